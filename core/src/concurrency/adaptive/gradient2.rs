//! Netflix's `Gradient2Limit`, for those who migrate: its arithmetic, also where it is not wise. Drops change nothing,
//! and its baseline is an average of what it sees, so that a lasting overload becomes the normal state.
//!
//! Source: `Gradient2Limit.java` and `ExpAvgMeasurement.java` of Netflix/concurrency-limits.

use super::window::{Window, number};

/// What the limit may grow by while latencies are low.
const QUEUE: f64 = 4.0;
const SMOOTHING: f64 = 0.2;
/// Of the long average; its first samples are averaged plainly.
const LONG_WINDOW: f64 = 600.0;
const WARM_UP: u64 = 10;

#[derive(Clone, Copy, Debug)]
pub(super) struct Gradient2 {
    pub(super) min_limit: f64,
    pub(super) initial_limit: f64,
    pub(super) max_limit: f64,
    pub(super) tolerance: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    pub(super) limit: f64,
    pub(super) long: Average,
}

/// An exponential average that begins as a plain one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Average {
    value: f64,
    sum: f64,
    count: u64,
}

impl Average {
    fn add(&mut self, sample: f64, window: f64) {
        if self.count < WARM_UP {
            self.count += 1;
            self.sum += sample;
            self.value = self.sum / self.count as f64;
        } else {
            let factor = 2.0 / (window + 1.0);
            self.value = self.value * (1.0 - factor) + sample * factor;
        }
    }
}

impl Gradient2 {
    pub(super) fn start(&self) -> State {
        State { limit: self.initial_limit, long: Average::default() }
    }

    pub(super) fn next(&self, mut state: State, window: &Window) -> State {
        let latency = window.mean.max(1) as f64;
        state.long.add(latency, LONG_WINDOW);
        let long = state.long.value;
        if long / latency > 2.0 {
            state.long.value *= 0.95;
        }
        let limit = state.limit;
        if f64::from(window.most) < limit / 2.0 {
            return state;
        }
        let gradient = (self.tolerance * long / latency).clamp(0.5, 1.0);
        let next = limit * (1.0 - SMOOTHING) + (limit * gradient + QUEUE) * SMOOTHING;
        State { limit: next.min(self.max_limit).max(self.min_limit), ..state }
    }
}

/// As words of shared memory; whatever stands there is a state.
pub(super) type Words = [u64; 4];

impl State {
    pub(super) fn to_words(self) -> Words {
        [self.limit.to_bits(), self.long.value.to_bits(), self.long.sum.to_bits(), self.long.count]
    }

    pub(super) fn of_words([limit, value, sum, count]: Words) -> Self {
        let [limit, value, sum] = [limit, value, sum].map(number);
        Self { limit, long: Average { value, sum, count: count.min(WARM_UP) } }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The numbers of `ExpAvgMeasurementTest.java`.
    #[test]
    fn its_average_is_netflixs() {
        let mut average = Average::default();
        for (i, expected) in (0..10).map(|i| (f64::from(i), 10.0 + f64::from(i) / 2.0)) {
            average.add(10.0 + i, 100.0);
            assert!((average.value - expected).abs() < 0.01);
        }
        average.add(100.0, 100.0);
        assert!((average.value - 16.2).abs() < 0.1);
    }

    #[test]
    fn grows_by_its_queue_and_shrinks_by_the_gradient() {
        let rule = Gradient2 { min_limit: 20.0, initial_limit: 20.0, max_limit: 200.0, tolerance: 1.5 };
        let window = |ms: u64, most| Window { mean: ms * 1_000_000, most, ..Window::default() };
        let mut state = rule.next(rule.start(), &window(20, 20));
        // 0.8 · 20 + 0.2 · (20 + 4).
        assert!((state.limit - 20.8).abs() < 1e-9);
        assert_eq!(rule.next(state, &window(20, 10)).limit, state.limit, "fewer than half in flight");
        state = State { limit: 100.0, ..state };
        // The average is (20 + 200) / 2 = 110, and 1.5 · 110 / 200 = 0.825.
        let next = rule.next(state, &window(200, 100));
        assert!((next.limit - (80.0 + 0.2 * (82.5 + 4.0))).abs() < 1e-9, "{}", next.limit);
    }
}
