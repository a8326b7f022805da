//! Calls counted over a window, and whether they trip.

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) calls: u32,
    pub(super) failed: u32,
    pub(super) slow: u32,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failed = self.failed.saturating_add(other.failed);
        self.slow = self.slow.saturating_add(other.slow);
    }

    pub(super) fn failure_rate(self) -> f64 {
        rate(self.failed, self.calls)
    }

    pub(super) fn slow_rate(self) -> f64 {
        rate(self.slow, self.calls)
    }
}

fn rate(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

/// The thresholds a tally is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thresholds {
    pub(super) failure_rate: f64,
    pub(super) slow_rate: f64,
    pub(super) min_calls: u32,
}

impl Thresholds {
    pub(super) fn trips(&self, tally: Tally) -> bool {
        tally.calls >= self.min_calls && self.reached(tally)
    }

    /// The rates alone, whatever `min_calls`.
    pub(super) fn reached(&self, tally: Tally) -> bool {
        tally.failure_rate() >= self.failure_rate || tally.slow_rate() >= self.slow_rate
    }
}

/// What recording an outcome led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recorded {
    /// The generation is over: not counted.
    Late,
    /// Not counted yet, for the settings have been changed meanwhile: to be reported again, by those in force.
    Changed,
    /// Counted.
    Counted,
    /// The window reached a threshold: as it was then.
    Trips(Tally),
}
