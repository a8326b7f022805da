//! kratos' limiter: while the processor is busy, at most the best 100 ms of the last 10 s times its least latency.
//!
//! Source: `ratelimit/bbr/bbr.go` of go-kratos/aegis.

use super::rolling::Rolling;
use super::{Algorithm, Ended};

const GATE: f64 = 0.8;
const DECAY: f64 = 0.95;

pub(crate) struct Bbr {
    calls: Rolling,
    cpu: f64,
    /// When refusing began; 0: it did not.
    refuses_since: f64,
    /// What was computed last, and when: it holds for a bucket.
    most: (f64, u32),
}

impl Default for Bbr {
    fn default() -> Self {
        Self { calls: Rolling::of(100), cpu: 0.0, refuses_since: 0.0, most: (f64::NEG_INFINITY, 0) }
    }
}

impl Bbr {
    fn most(&mut self, now: f64) -> u32 {
        if now - self.most.0 >= 0.1 {
            let least = self.calls.past(now).map(|bucket| bucket.ms / bucket.calls).fold(f64::INFINITY, f64::min);
            let least = if least.is_finite() { least.ceil().max(1.0) } else { 1.0 };
            self.most = (now, (self.calls.most(now) * least * 10.0 / 1_000.0) as u32);
        }
        self.most.1
    }
}

impl Algorithm for Bbr {
    fn admits(&mut self, now: f64, in_flight: u32) -> bool {
        let is_busy = self.cpu >= GATE;
        if !is_busy && (self.refuses_since == 0.0 || now - self.refuses_since > 1.0) {
            self.refuses_since = 0.0;
            return true;
        }
        let admits = in_flight <= 1 || in_flight <= self.most(now);
        if is_busy && !admits && self.refuses_since == 0.0 {
            self.refuses_since = now;
        }
        admits
    }

    fn ended(&mut self, call: &Ended) {
        self.calls.add(call.now, (call.latency * 1e3).ceil());
    }

    fn limit(&self) -> u32 {
        self.most.1
    }

    fn looks_each(&self) -> f64 {
        0.5
    }

    fn looks(&mut self, busy: f64) {
        self.cpu = self.cpu * DECAY + busy * (1.0 - DECAY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_above_the_best_rate_times_the_least_latency_while_the_processor_is_busy() {
        let mut rule = Bbr::default();
        // 40 calls of 20 ms in a bucket, then 10 of 90 ms in the next.
        let mut add = |calls: u32, now, latency| {
            let call = Ended { now, latency, at_start: 0, left: 0, dropped: false };
            (0..calls).for_each(|_| rule.ended(&call));
        };
        add(40, 1.05, 0.0195);
        add(10, 1.15, 0.09);
        assert!(rule.admits(1.3, 1_000), "an idle processor admits all");
        (0..100).for_each(|_| rule.looks(1.0));
        // 400 calls a second of 20 ms.
        assert!(rule.admits(1.3, 8));
        assert!(!rule.admits(1.3, 9));
        (0..100).for_each(|_| rule.looks(0.0));
        assert!(!rule.admits(2.2, 9), "it goes on for a second");
        assert!(rule.admits(2.4, 9));
    }
}
