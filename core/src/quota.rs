//! How much per how long: `"100/min"`, a burst, and exact intervals.

use crate::ConfigError;
use std::str::FromStr;
use std::time::Duration;

/// A rate and the burst above it: `count` tokens every `period`, at most `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Tokens ...
    count: u64,
    /// ... per this many nanoseconds, reduced to lowest terms.
    period_ns: u64,
    burst: u32,
}

impl Quota {
    /// `count` tokens per `period`, with a burst of `count`.
    pub fn new(count: u64, period: Duration) -> Result<Self, ConfigError> {
        let _ = (count, period);
        todo!()
    }

    /// A rate as numbers: `count` (any positive float) per `period_secs` seconds; the burst is `count` rounded up.
    pub fn from_f64(count: f64, period_secs: f64) -> Result<Self, ConfigError> {
        let _ = (count, period_secs);
        todo!()
    }

    /// The same rate with another burst.
    pub fn with_burst(self, burst: u64) -> Result<Self, ConfigError> {
        let _ = burst;
        todo!()
    }

    /// Several rates joined by `;`, as `limits` and slowapi write them.
    pub fn parse_many(text: &str) -> Result<Vec<Self>, ConfigError> {
        let _ = text;
        todo!()
    }

    /// Tokens per [`period`](Self::period).
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time in which [`count`](Self::count) tokens come back.
    pub fn period(&self) -> Duration {
        Duration::from_nanos(self.period_ns)
    }

    /// The most tokens that can be taken at once.
    pub fn burst(&self) -> u32 {
        self.burst
    }
}

impl FromStr for Quota {
    type Err = ConfigError;

    /// `"100/minute"`, `"100 per minute"`, `"5 per 15 minutes"`, `"400/s"`, `"100/min"`.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let _ = text;
        todo!()
    }
}
