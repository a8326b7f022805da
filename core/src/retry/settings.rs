//! The settings of a retry policy.

use super::backoff::{Backoff, Jitter};
use crate::ConfigError;
use crate::setting::{Field, Kind, Preset, Table};
use std::time::Duration;

/// Settings of a [`RetryPolicy`](super::RetryPolicy).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryConfig {
    /// How often the call is made at most, the first time included. Default 3; `u32::MAX` for as often as the deadline
    /// lets.
    pub attempts: u32,
    /// The wait that grows, up to 365 days. Default 100 ms.
    pub base: Duration,
    /// What each retry multiplies it by, ≥ 1. Default 2.
    pub factor: f64,
    /// No wait is longer, up to 365 days, but for a server's own word. Default 5 s.
    pub max_delay: Duration,
    /// How waits are spread. Default [`Jitter::Full`].
    pub jitter: Jitter,
    /// All attempts and waits together: a wait that would reach its end is not begun. Default: none.
    pub deadline: Option<Duration>,
    /// A server's `Retry-After` counts up to so much. Default 60 s.
    pub max_retry_after: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: ATTEMPTS.count() as u32,
            base: BASE.span(),
            factor: FACTOR.real(),
            max_delay: MAX_DELAY.span(),
            jitter: Jitter::Full,
            deadline: None,
            max_retry_after: MAX_RETRY_AFTER.span(),
        }
    }
}

impl RetryConfig {
    /// The wait between attempts alone.
    ///
    /// Errors: `base`, `factor` or `max_delay` outside its range.
    pub fn backoff(&self) -> Result<Backoff, ConfigError> {
        BASE.check_span(self.base, "")?;
        FACTOR.check_real(self.factor, "; 2 doubles the wait each time")?;
        MAX_DELAY.check_span(self.max_delay, "")?;
        let ns = |span: Duration| span.as_nanos() as u64;
        Ok(Backoff { base_ns: ns(self.base), factor: self.factor, max_ns: ns(self.max_delay), jitter: self.jitter })
    }

    pub(super) fn check(&self) -> Result<Backoff, ConfigError> {
        ATTEMPTS.check_count(self.attempts.into(), "; 1 is the call without a retry")?;
        let backoff = self.backoff()?;
        if let Some(deadline) = self.deadline {
            DEADLINE.check_span(deadline, "; left out, there is none")?;
        }
        MAX_RETRY_AFTER.check_span(self.max_retry_after, "")?;
        Ok(backoff)
    }
}

const SECOND: u64 = 1_000_000_000;
const YEAR: u64 = 365 * 24 * 3600 * SECOND;
const FROM_ZERO: Kind = Kind::Span { min_ns: 0, max_ns: YEAR };

const ATTEMPTS: Field = Field::new(
    "attempts",
    Kind::Count { min: 1, max: u32::MAX as u64 },
    Preset::Count(3),
    "how often the call is made at most, the first time included",
);
const BASE: Field = Field::new("base", FROM_ZERO, Preset::Span(SECOND / 10), "the wait that grows");
const FACTOR: Field = Field::new(
    "factor",
    Kind::Real { min: 1.0, from_min: true, max: f64::MAX },
    Preset::Real(2.0),
    "what each retry multiplies the wait by; decorrelated and smooth jitter grow by themselves",
);
const MAX_DELAY: Field =
    Field::new("max_delay", FROM_ZERO, Preset::Span(5 * SECOND), "no wait is longer, but for a server's own word");
pub(super) const JITTER: Field =
    Field::new("jitter", Kind::Choice(&Jitter::NAMES), Preset::Choice("full"), "how waits are spread");
const DEADLINE: Field = Field::new(
    "deadline",
    Kind::Span { min_ns: 1, max_ns: YEAR },
    Preset::Unset,
    "all attempts and waits together: a wait that would reach its end is not begun; left out, none",
);
const MAX_RETRY_AFTER: Field =
    Field::new("max_retry_after", FROM_ZERO, Preset::Span(60 * SECOND), "a server's Retry-After counts up to so much");

/// The settings of a retry policy.
pub static SETTINGS: Table =
    Table { object: "retry", fields: &[ATTEMPTS, BASE, FACTOR, MAX_DELAY, JITTER, DEADLINE, MAX_RETRY_AFTER] };
