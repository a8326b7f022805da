//! A new instance starts with a part of its limit and grows into the whole (the idea of Guava's `SmoothWarmingUp`).

use crate::ConfigError;
use std::time::Duration;

/// The ramp of a new limit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct WarmUp {
    period_ns: u64,
    from: f64,
}

impl WarmUp {
    /// No ramp.
    pub(crate) const NONE: Self = Self { period_ns: 0, from: 1.0 };

    /// From the fraction `from` (above 0, at most 1) of the limit to all of it over `period`, in a straight line.
    ///
    /// Errors: `warm_up` when the period is zero or above a year; `warm_up_from` when the fraction is outside its range.
    pub fn new(period: Duration, from: f64) -> Result<Self, ConfigError> {
        let year = Duration::from_secs(365 * 86_400);
        if period.is_zero() || period > year {
            return Err(ConfigError::out_of_range("warm_up", "must be above zero and at most a year"));
        }
        if !(from > 0.0 && from <= 1.0) {
            let message = format!("{from} is not a fraction of the limit to start from; allowed is above 0 up to 1");
            return Err(ConfigError::out_of_range("warm_up_from", message));
        }
        Ok(Self { period_ns: period.as_nanos() as u64, from })
    }

    /// The burst in force `since` nanoseconds after the start: at least 1.
    pub(crate) fn burst(&self, since: u64, burst: u32) -> u32 {
        if self.is_over(since) {
            return burst;
        }
        let factor = self.from + (1.0 - self.from) * (since as f64 / self.period_ns as f64);
        ((f64::from(burst) * factor) as u32).min(burst).max(1)
    }

    /// Whether a share of this burst would read 1 although its part is less.
    pub(crate) fn starts_below_one(&self, burst: u32) -> bool {
        f64::from(burst) * self.from < 1.0
    }

    /// The fraction that it starts from.
    #[cfg(not(loom))]
    pub(crate) fn from(&self) -> f64 {
        self.from
    }

    /// Nanoseconds from the start to the end of the ramp.
    pub(crate) fn period_ns(&self) -> u64 {
        self.period_ns
    }

    /// Whether the ramp is over.
    pub(crate) fn is_over(&self, since: u64) -> bool {
        since >= self.period_ns
    }
}
