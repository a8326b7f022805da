//! What a gate tells of a call.

use super::{Kind, Part};
use crate::decision::NEVER;
use std::time::Duration;

/// What a gate decided.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct Answer {
    /// Whether the call may be served.
    pub allowed: bool,
    /// Who refused: the part with the longest wait ("never" wins; the first looked at of equals). In a dry run who
    /// would have.
    pub denied_by: Option<Part>,
    /// Nanoseconds until another try makes sense: 0 when allowed, and where nobody waits for it any more; [`NEVER`].
    pub retry_after_ns: u64,
    /// The most tokens at once of the limit that decided: where one refused, that one; else the one with the fewest
    /// left. 0 where no limit was asked.
    pub limit: u32,
    /// Tokens that are left of it.
    pub remaining: u32,
    /// Nanoseconds until that limit is full again.
    pub reset_after_ns: u64,
    /// Nanoseconds to wait before acting on an admission; 0 without a leaky bucket.
    pub delay_ns: u64,
    /// The shedder's pressure at its last step, 0 to 1; 0 without a shedder.
    pub pressure: f64,
}

impl Answer {
    /// Of a call that nothing was asked about.
    pub(super) const UNTOUCHED: Self = Self {
        allowed: true,
        denied_by: None,
        retry_after_ns: 0,
        limit: 0,
        remaining: 0,
        reset_after_ns: 0,
        delay_ns: 0,
        pressure: 0.0,
    };

    /// What kind of part refused.
    pub fn kind(&self) -> Option<Kind> {
        self.denied_by.map(Part::kind)
    }

    /// Time until another try makes sense: zero when allowed, `None` for "never".
    pub fn retry_after(&self) -> Option<Duration> {
        (self.retry_after_ns != NEVER).then(|| Duration::from_nanos(self.retry_after_ns))
    }

    /// The value of a `Retry-After`, in whole seconds; `None`: send none, for the call was let in, or another try makes
    /// no sense, or is no matter of time.
    #[cfg(feature = "http")]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        if self.allowed { None } else { self.kind().and_then(|kind| kind.retry_after_seconds(self.retry_after_ns)) }
    }

    /// The HTTP status of a refusal: 403 of an access list, 504 of a deadline, 429 of a rate limit, else 503.
    pub fn status(&self) -> Option<u16> {
        if self.allowed { None } else { self.kind().map(Kind::status) }
    }
}
