//! A new instance starts with a part of its limit and grows into the whole (the idea of Guava's `SmoothWarmingUp`).

use crate::ConfigError;
use crate::quota::YEAR_NS;
use crate::setting::{Field, Kind, Preset};
use std::time::Duration;

pub(super) const PERIOD: Field = Field::new(
    "warm_up",
    Kind::Span { min_ns: 1, max_ns: YEAR_NS },
    Preset::Unset,
    "the time in which a new limit grows to all of itself; left out, it is whole at once",
);
pub(super) const FROM: Field = Field::new(
    "warm_up_from",
    Kind::Real { min: 0.0, from_min: false, max: 1.0 },
    Preset::Real(0.1),
    "the fraction of the limit that a warm-up starts from",
);

/// The ramp of a new limit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct WarmUp {
    period_ns: u64,
    from: f64,
}

impl WarmUp {
    /// What it starts from where nothing is said.
    pub const FROM: f64 = FROM.real();

    /// No ramp.
    pub(crate) const NONE: Self = Self { period_ns: 0, from: 1.0 };

    /// From the fraction `from` (above 0, at most 1) of the limit to all of it over `period`, in a straight line.
    ///
    /// Errors: `warm_up` when the period is zero or above a year; `warm_up_from` when the fraction is outside its
    /// range.
    pub fn new(period: Duration, from: f64) -> Result<Self, ConfigError> {
        PERIOD.check_span(period, "")?;
        FROM.check_real(from, "; the fraction of the limit to start from")?;
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

    /// Nanoseconds from `since` until `n` of a burst are open. `None`: more than the whole.
    #[cold]
    pub(crate) fn opens_in(&self, since: u64, burst: u32, n: u32) -> Option<u64> {
        if n > burst {
            return None;
        }
        let (mut least, mut most) = (since, since.max(self.period_ns));
        while least < most {
            let middle = least + (most - least) / 2;
            if self.burst(middle, burst) < n { least = middle + 1 } else { most = middle }
        }
        Some(most - since)
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
