//! Netflix's limits without its windows: each call moves them, as their builders make them. (With windows they are
//! tidegate's own `"aimd"`, `"vegas"` and `"gradient2"`.)
//!
//! Sources: `AIMDLimit.java`, `VegasLimit.java`, `Gradient2Limit.java` of Netflix/concurrency-limits.

use super::{Algorithm, Average, Ended, log10};

/// 20 to 200; one more or a tenth less.
pub(crate) struct Aimd(u32);

impl Default for Aimd {
    fn default() -> Self {
        Self(20)
    }
}

impl Algorithm for Aimd {
    fn ended(&mut self, call: &Ended) {
        if call.dropped || call.latency > 5.0 {
            self.0 = (f64::from(self.0) * 0.9) as u32;
        } else if call.at_start * 2 >= self.0 {
            self.0 += 1;
        }
        self.0 = self.0.clamp(20, 200);
    }

    fn limit(&self) -> u32 {
        self.0
    }
}

/// From 20 up to 1,000.
pub(crate) struct Vegas {
    limit: f64,
    unloaded: f64,
    count: u32,
    jitter: f64,
    random: fastrand::Rng,
}

impl Default for Vegas {
    fn default() -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        Self { limit: 20.0, unloaded: 0.0, count: 0, jitter: 0.5 + random.f64() / 2.0, random }
    }
}

impl Algorithm for Vegas {
    fn ended(&mut self, call: &Ended) {
        self.count += 1;
        if self.jitter * 30.0 * self.limit <= f64::from(self.count) {
            self.jitter = 0.5 + self.random.f64() / 2.0;
            self.count = 0;
            self.unloaded = call.latency;
            return;
        }
        if self.unloaded == 0.0 || call.latency < self.unloaded {
            self.unloaded = call.latency;
            return;
        }
        let step = log10(self.limit);
        let queue = (self.limit * (1.0 - self.unloaded / call.latency)).ceil();
        let change = if call.dropped {
            -step
        } else if f64::from(call.at_start) * 2.0 < self.limit {
            0.0
        } else if queue <= step {
            6.0 * step
        } else if queue < 3.0 * step {
            step
        } else if queue > 6.0 * step {
            -step
        } else {
            0.0
        };
        self.limit = (self.limit + change).clamp(1.0, 1_000.0);
    }

    fn limit(&self) -> u32 {
        self.limit as u32
    }
}

/// 20 to 200. What was dropped counts as any other.
pub(crate) struct Gradient2 {
    limit: f64,
    long: Average,
}

impl Default for Gradient2 {
    fn default() -> Self {
        Self { limit: 20.0, long: Average::of_last(600.0) }
    }
}

impl Algorithm for Gradient2 {
    fn ended(&mut self, call: &Ended) {
        let long = self.long.add(call.latency);
        if long / call.latency > 2.0 {
            self.long.value *= 0.95;
        }
        if f64::from(call.at_start) < self.limit / 2.0 {
            return;
        }
        let gradient = (1.5 * long / call.latency).clamp(0.5, 1.0);
        self.limit = (self.limit * 0.8 + (self.limit * gradient + 4.0) * 0.2).clamp(20.0, 200.0);
    }

    fn limit(&self) -> u32 {
        self.limit as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(mut rule: impl Algorithm, calls: &[(f64, u32, bool)]) -> Vec<u32> {
        let limit = |&(latency, at_start, dropped): &(f64, u32, bool)| {
            rule.ended(&Ended { now: 0.0, latency, at_start, left: 0, dropped });
            rule.limit()
        };
        calls.iter().map(limit).collect()
    }

    /// The numbers of `AIMDLimitTest.java`.
    #[test]
    fn aimd_moves_as_netflix_does() {
        assert_eq!(limits(Aimd(20), &[(0.001, 10, false)]), [21]);
        assert_eq!(limits(Aimd(30), &[(0.0, 0, true), (0.001, 13, false), (5.1, 27, false)]), [27, 27, 24]);
    }

    /// The numbers of `VegasLimitTest.java`.
    #[test]
    fn vegas_moves_as_netflix_does() {
        let ten = || Vegas { limit: 10.0, ..Vegas::default() };
        assert_eq!(limits(ten(), &[(0.01, 10, false), (0.01, 11, false)]), [10, 16]);
        assert_eq!(limits(ten(), &[(0.01, 10, false), (0.05, 11, false)]), [10, 9]);
        assert_eq!(limits(ten(), &[(0.01, 10, false), (0.014, 14, false)]), [10, 10]);
    }

    #[test]
    fn gradient2_grows_by_its_queue_and_shrinks_by_the_gradient() {
        let mut rule = Gradient2 { limit: 100.0, ..Gradient2::default() };
        assert_eq!(limits(Gradient2::default(), &[(0.02, 20, false); 5]), [20, 21, 22, 23, 24]);
        rule.long.add(0.02);
        // The average is 110 ms, and 1.5 · 110 / 200 = 0.825.
        assert_eq!(limits(rule, &[(0.2, 100, false)]), [97]);
    }
}
