//! Netflix's `VegasLimit`, for those who migrate: its arithmetic, also where it is not wise. It measures the unloaded
//! latency anew under load, and a lasting overload becomes the normal state.
//!
//! Source: `VegasLimit.java` of Netflix/concurrency-limits.

use super::window::{Window, number};

/// Settings. Decrease and smoothing are Netflix's own there; its tests have others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vegas {
    pub(super) min_limit: f64,
    pub(super) initial_limit: f64,
    pub(super) max_limit: f64,
    pub(super) smoothing: f64,
    pub(super) decrease: fn(f64) -> f64,
}

/// After so many calls for each place of the limit the least latency is forgotten.
const PROBE_MULTIPLIER: f64 = 30.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    pub(super) limit: f64,
    /// The least latency, ns; 0: none yet.
    pub(super) unloaded: u64,
    pub(super) count: u64,
    /// 0.5 to 1; drawn anew at each probe.
    pub(super) jitter: f64,
}

/// `log10` of the limit, at least 1.
fn log10(limit: f64) -> f64 {
    (limit.max(1.0).trunc().log10()).trunc().max(1.0)
}

pub(super) fn decrease(limit: f64) -> f64 {
    limit - log10(limit)
}

impl Vegas {
    /// `draw`: 0 to 1.
    pub(super) fn start(&self, draw: f64) -> State {
        State { limit: self.initial_limit, unloaded: 0, count: 0, jitter: 0.5 + draw / 2.0 }
    }

    pub(super) fn next(&self, mut state: State, window: &Window, draw: f64) -> State {
        let (limit, latency) = (state.limit, window.mean.max(1));
        state.count += 1;
        if state.jitter * PROBE_MULTIPLIER * limit <= state.count as f64 {
            return State { unloaded: latency, count: 0, jitter: 0.5 + draw / 2.0, ..state };
        }
        if state.unloaded == 0 || latency < state.unloaded {
            return State { unloaded: latency, ..state };
        }
        let queue = (limit * (1.0 - state.unloaded as f64 / latency as f64)).ceil();
        let step = log10(limit);
        let next = if window.dropped > 0 {
            (self.decrease)(limit)
        } else if f64::from(window.most) * 2.0 < limit {
            return state;
        } else if queue <= step {
            limit + 6.0 * step
        } else if queue < 3.0 * step {
            limit + step
        } else if queue > 6.0 * step {
            (self.decrease)(limit)
        } else {
            return state;
        };
        let next = next.min(self.max_limit).max(self.min_limit);
        State { limit: (1.0 - self.smoothing) * limit + self.smoothing * next, ..state }
    }
}

/// As words of shared memory; whatever stands there is a state.
pub(super) type Words = [u64; 4];

impl State {
    pub(super) fn to_words(self) -> Words {
        [self.limit.to_bits(), self.unloaded, self.count, self.jitter.to_bits()]
    }

    pub(super) fn of_words([limit, unloaded, count, jitter]: Words) -> Self {
        let [limit, jitter] = [limit, jitter].map(number);
        Self { limit, unloaded, count: count & 0xffff_ffff, jitter }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    //! The numbers of `VegasLimitTest.java`.

    use super::*;

    const MS: u64 = 1_000_000;

    fn vegas(initial: f64, most: f64) -> Vegas {
        Vegas { min_limit: 1.0, initial_limit: initial, max_limit: most, smoothing: 1.0, decrease }
    }

    fn play(vegas: Vegas, samples: &[(u64, u32)]) -> Vec<u32> {
        let mut state = vegas.start(0.5);
        let limit = |&(mean, most): &(u64, u32)| {
            state = vegas.next(state, &Window { mean, most, ..Window::default() }, 0.5);
            state.limit as u32
        };
        samples.iter().map(limit).collect()
    }

    #[test]
    fn increases_and_decreases_as_netflix_does() {
        let small = vegas(10.0, 20.0);
        assert_eq!(play(small, &[(10 * MS, 10), (10 * MS, 11)]), [10, 16]);
        assert_eq!(play(small, &[(10 * MS, 10), (50 * MS, 11)]), [10, 9]);
        assert_eq!(play(small, &[(10 * MS, 10), (14 * MS, 14)]), [10, 10]);
        assert_eq!(play(vegas(10_000.0, 20_000.0), &[(10_000 * MS, 5_000), (10_000 * MS, 6_000)]), [10_000, 10_024]);
    }

    #[test]
    fn smooths_as_netflix_does() {
        let halves = Vegas { decrease: |limit| limit / 2.0, ..vegas(100.0, 200.0) };
        let samples = [(10 * MS, 100), (20 * MS, 100), (20 * MS, 100)];
        assert_eq!(play(halves, &samples), [100, 50, 25]);
        assert_eq!(play(Vegas { smoothing: 0.5, ..halves }, &samples), [100, 75, 56]);
    }

    #[test]
    fn its_logarithm_is_netflixs() {
        assert_eq!([0.0, 9.9, 10.0, 99.0, 100.0, 999.9, 10_000.0].map(log10), [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 4.0]);
    }
}
