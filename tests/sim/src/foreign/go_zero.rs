//! go-zero's shedder: as kratos' limiter over 5 s, less while the processor is fuller, for calls and their average.
//!
//! Sources: `core/load/adaptiveshedder.go` and `core/stat/usage.go` of zeromicro/go-zero.

use super::rolling::Rolling;
use super::{Algorithm, Ended};

const GATE: f64 = 0.9;
const DECAY: f64 = 0.95;

pub(crate) struct GoZero {
    calls: Rolling,
    cpu: f64,
    /// In flight, averaged over calls that ended.
    average: f64,
    /// When the processor was too busy last.
    busy_at: Option<f64>,
    refused: bool,
    most: f64,
}

impl Default for GoZero {
    fn default() -> Self {
        Self { calls: Rolling::of(50), cpu: 0.0, average: 0.0, busy_at: None, refused: false, most: f64::INFINITY }
    }
}

impl GoZero {
    fn is_hot(&mut self, now: f64) -> bool {
        if self.cpu >= GATE {
            self.busy_at = Some(now);
            return true;
        }
        self.refused &= self.busy_at.is_none_or(|at| now - at < 1.0);
        self.refused && self.busy_at.is_some()
    }

    fn most(&self, now: f64) -> f64 {
        let means = self.calls.past(now).map(|bucket| (bucket.ms / bucket.calls).round());
        let least = means.fold(1_000.0, f64::min);
        let most = (self.calls.most(now) * least * 10.0 / 1_000.0).max(1.0);
        most * ((1.0 - self.cpu) / (1.0 - GATE)).clamp(0.1, 1.0)
    }
}

impl Algorithm for GoZero {
    fn admits(&mut self, now: f64, in_flight: u32) -> bool {
        if !self.is_hot(now) {
            return true;
        }
        self.most = self.most(now);
        if self.average <= self.most || f64::from(in_flight) <= self.most {
            return true;
        }
        self.refused = true;
        false
    }

    fn ended(&mut self, call: &Ended) {
        self.average = self.average * 0.9 + f64::from(call.left) * 0.1;
        if !call.dropped {
            self.calls.add(call.now, (call.latency * 1e3).ceil());
        }
    }

    fn limit(&self) -> u32 {
        self.most as u32
    }

    fn looks_each(&self) -> f64 {
        0.25
    }

    fn looks(&mut self, busy: f64) {
        self.cpu = self.cpu * DECAY + busy * (1.0 - DECAY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_above_in_flight_and_on_average_and_less_when_fuller() {
        let mut rule = GoZero::default();
        let call = Ended { now: 1.05, latency: 0.02, at_start: 0, left: 20, dropped: false };
        (0..100).for_each(|_| rule.ended(&call));
        assert!(rule.admits(1.2, 1_000), "an idle processor admits all");
        rule.cpu = 0.9;
        // 1,000 calls a second of 20 ms.
        assert!(rule.admits(1.2, 20) && rule.admits(1.2, 1_000), "the average is not above");
        rule.average = 21.0;
        assert!(rule.admits(1.2, 20) && !rule.admits(1.2, 21));
        rule.cpu = 0.95;
        assert!(rule.admits(1.2, 10) && !rule.admits(1.2, 11));
        rule.cpu = 0.5;
        assert!(!rule.admits(2.1, 21), "it stays hot for a second");
        assert!(rule.admits(2.3, 21));
    }
}
