//! The answer of a limit.

use std::time::Duration;

/// Nanoseconds that mean "never" in [`Decision::retry_after_ns`].
pub const NEVER: u64 = u64::MAX;

/// What a limit decided, and what the caller may tell its client.
///
/// A denial is a result, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
#[must_use]
pub struct Decision {
    /// Whether the cost was taken.
    pub allowed: bool,
    /// The most tokens that can be taken at once (the burst).
    pub limit: u32,
    /// Whole tokens left after this decision; 0 while the bucket is in debt or under a penalty.
    pub remaining: u32,
    /// Nanoseconds until the same cost could be admitted: 0 when allowed, [`NEVER`] when the cost exceeds the burst.
    pub retry_after_ns: u64,
    /// Nanoseconds until the bucket is full again.
    pub reset_after_ns: u64,
    /// Nanoseconds to wait before acting on an admission; 0 for every algorithm but the leaky bucket.
    pub delay_ns: u64,
}

impl Decision {
    /// The answer of a limit that is switched off: all of `limit` is there.
    pub(crate) fn untouched(limit: u32) -> Self {
        Self { allowed: true, limit, remaining: limit, retry_after_ns: 0, reset_after_ns: 0, delay_ns: 0 }
    }

    /// Time until the same cost could be admitted: zero when allowed, `None` for "never".
    pub fn retry_after(&self) -> Option<Duration> {
        (self.retry_after_ns != NEVER).then(|| Duration::from_nanos(self.retry_after_ns))
    }

    /// How long to wait before acting on an admission; zero for every algorithm but the leaky bucket.
    pub fn delay(&self) -> Duration {
        Duration::from_nanos(self.delay_ns)
    }

    /// Time until the limit is back at its full burst.
    pub fn reset_after(&self) -> Duration {
        Duration::from_nanos(self.reset_after_ns)
    }
}
