//! Limits of other projects, as they compute them, for the table beside tidegate's own. They are no part of tidegate.

mod bbr;
mod envoy;
mod failsafe;
mod go_zero;
mod netflix;
mod rolling;

pub(crate) use bbr::Bbr;
pub(crate) use envoy::Envoy;
pub(crate) use failsafe::Failsafe;
pub(crate) use go_zero::GoZero;
pub(crate) use netflix::{Aimd, Gradient2, Vegas};

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// Seconds.
    pub(crate) now: f64,
    /// Seconds from asking to the end.
    pub(crate) latency: f64,
    /// In flight when it began, with itself.
    pub(crate) at_start: u32,
    /// In flight after it.
    pub(crate) left: u32,
    /// It was too late to be of use.
    pub(crate) dropped: bool,
}

/// Decides on calls and learns from them. Times are seconds.
pub(crate) trait Algorithm {
    /// Whether one more may begin.
    fn admits(&mut self, _now: f64, in_flight: u32) -> bool {
        in_flight < self.limit()
    }

    /// A call has ended.
    fn ended(&mut self, call: &Ended);

    /// What is in force.
    fn limit(&self) -> u32;

    /// How often it looks at the processor's use, if it does.
    fn looks_each(&self) -> f64 {
        f64::INFINITY
    }

    /// The processor's use since the last look, 0 to 1.
    fn looks(&mut self, _busy: f64) {}
}

/// The middle of the values, the upper one of two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The whole digits of a limit less one, at least 1: Netflix's and failsafe-go's step.
fn log10(limit: f64) -> f64 {
    limit.max(1.0).trunc().log10().trunc().max(1.0)
}

/// An exponential average whose first samples are averaged plainly: Netflix's and failsafe-go's.
#[derive(Clone, Copy, Debug)]
struct Average {
    factor: f64,
    value: f64,
    sum: f64,
    count: u32,
}

impl Average {
    const WARM_UP: u32 = 10;

    fn of_last(samples: f64) -> Self {
        Self { factor: 2.0 / (samples + 1.0), value: 0.0, sum: 0.0, count: 0 }
    }

    fn add(&mut self, sample: f64) -> f64 {
        if self.count < Self::WARM_UP {
            self.count += 1;
            self.sum += sample;
            self.value = self.sum / f64::from(self.count);
        } else {
            self.value += (sample - self.value) * self.factor;
        }
        self.value
    }
}
