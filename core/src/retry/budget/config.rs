//! A retry budget's settings.

use crate::ConfigError;
use crate::mode::Mode;
use crate::setting::{Field, Kind, Preset, Table};
use std::time::Duration;

/// Settings of a [`RetryBudget`](super::RetryBudget).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudgetConfig {
    /// Retries that a call pays in, 0 to 1. Default 0.2: one retry for five calls.
    pub ratio: f64,
    /// Retries that a second pays in, 0 to 10,000, for services with few calls. Default 10. Less than one in eleven
    /// days counts as none.
    pub min_per_second: f64,
    /// For how long what seconds pay in is saved up at most, 1 ms to 1 day: no more than `min_per_second · ttl` retries
    /// (at least one) can be there at once. Default 10 s.
    pub ttl: Duration,
    /// Off, or only watching. By default [`Mode::from_env`].
    pub mode: Mode,
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self { ratio: RATIO.real(), min_per_second: MIN_PER_SECOND.real(), ttl: TTL.span(), mode: Mode::default() }
    }
}

impl RetryBudgetConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        // A percentage is the common mistake.
        let meant = if self.ratio > 1.0 && self.ratio <= 100.0 { self.ratio / 100.0 } else { RATIO.real() };
        RATIO.check_real(self.ratio, &format!("; did you mean {meant}?"))?;
        MIN_PER_SECOND.check_real(self.min_per_second, "; 0: calls alone pay for retries")?;
        TTL.check_span(self.ttl, "")
    }
}

const SECOND: u64 = 1_000_000_000;

const RATIO: Field = Field::new(
    "ratio",
    Kind::Real { min: 0.0, from_min: true, max: 1.0 },
    Preset::Real(0.2),
    "retries that each call pays in",
);
const MIN_PER_SECOND: Field = Field::new(
    "min_per_second",
    Kind::Real { min: 0.0, from_min: true, max: 10_000.0 },
    Preset::Real(10.0),
    "retries that each second pays in",
);
const TTL: Field = Field::new(
    "ttl",
    Kind::Span { min_ns: 1_000_000, max_ns: 24 * 3600 * SECOND },
    Preset::Span(10 * SECOND),
    "at most what seconds pay in for so long is saved up, and at least one retry",
);

/// The settings of a retry budget.
pub static SETTINGS: Table = Table { object: "retry_budget", fields: &[RATIO, MIN_PER_SECOND, TTL] };
