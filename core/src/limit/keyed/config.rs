//! What a keyed limit is made from.

use crate::limit::{Algorithm, Mode, WarmUp};
use crate::{ConfigError, Quota};
use std::time::Duration;

/// Settings of a [`RateLimiter`](super::RateLimiter). Start from [`LimiterConfig::new`].
#[derive(Clone, Copy, Debug)]
pub struct LimiterConfig {
    /// How it counts.
    pub algorithm: Algorithm,
    /// The default quota. Its burst is the limit of a window, and one more than the queue of a leaky bucket.
    pub quota: Quota,
    /// How many live keys have a cell of their own; more share an overflow sketch. 1 to 100 million; default 100,000.
    pub max_keys: usize,
    /// The fastest (or largest) quota that any key will ever have here; it decides the resolution of time and count.
    pub fastest: Option<Quota>,
    /// Blocks keys that go on after being denied.
    pub block: Option<Block>,
    /// A new limiter's ramp.
    pub warm_up: Option<WarmUp>,
    /// Off, or only watching.
    pub mode: Mode,
    /// Asks the kernel for huge pages under the table: fewer misses with millions of keys.
    pub huge_pages: bool,
}

impl LimiterConfig {
    /// `quota` for each of up to 100,000 keys.
    pub fn new(algorithm: Algorithm, quota: Quota) -> Self {
        Self {
            algorithm,
            quota,
            max_keys: 100_000,
            fastest: None,
            block: None,
            warm_up: None,
            mode: Mode::default(),
            huge_pages: false,
        }
    }

    /// With the quotas as the algorithm counts by them: everything else in this module sees these.
    pub(super) fn resolved(self) -> Result<Self, ConfigError> {
        let fastest = self.fastest.map(|fastest| counted(self.algorithm, fastest)).transpose()?;
        Ok(Self { quota: counted(self.algorithm, self.quota)?, fastest, ..self })
    }
}

/// A quota as an algorithm counts by it.
pub(super) fn counted(algorithm: Algorithm, quota: Quota) -> Result<Quota, ConfigError> {
    if algorithm.is_window() { quota.in_window() } else { Ok(quota) }
}

/// Blocks a key for a time after repeated denials.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    pub(crate) after: u32,
    pub(crate) within_ns: u64,
    pub(crate) duration_ns: u64,
    pub(crate) growth: f64,
    pub(crate) max_ns: u64,
}

impl Block {
    /// The `after`-th denial of a key `within` that time (from the first of them) blocks it for `duration`, times `growth`
    /// for each block before that is not yet forgotten, at most `max`. A key is forgotten when it has been neither
    /// blocked nor denied for the longer of `within` and twice its last block. Denials during a block do not count.
    ///
    /// Errors: `block_after` outside 1 to 255; `block_within`, `block_duration`, `block_max` when zero or above a
    /// year, or the most below the first; `block_growth` below 1 or not finite.
    pub fn new(
        after: u32,
        within: Duration,
        duration: Duration,
        growth: f64,
        max: Option<Duration>,
    ) -> Result<Self, ConfigError> {
        let year = Duration::from_secs(365 * 86_400);
        if !(1..=255).contains(&after) {
            let message = format!("{after} is not a number of denials; allowed are 1 to 255");
            return Err(ConfigError::out_of_range("block_after", message));
        }
        let max = max.unwrap_or(year.min(duration.saturating_mul(64)));
        for (field, time) in [("block_within", within), ("block_duration", duration), ("block_max", max)] {
            if time.is_zero() || time > year {
                return Err(ConfigError::out_of_range(field, "must be above zero and at most a year"));
            }
        }
        if max < duration {
            return Err(ConfigError::out_of_range("block_max", "is shorter than block_duration, the first block"));
        }
        if !(growth.is_finite() && growth >= 1.0) {
            let message = format!("{growth} is not a factor between one block and the next; allowed are 1 and more");
            return Err(ConfigError::out_of_range("block_growth", message));
        }
        let ns = |time: Duration| time.as_nanos() as u64;
        Ok(Self { after, within_ns: ns(within), duration_ns: ns(duration), growth, max_ns: ns(max) })
    }
}
