//! failsafe-go's adaptive limiter: the 90th percentile against its own average of ten windows, and how throughput and
//! latency go with what is in flight.
//!
//! Sources: `adaptivelimiter/adaptivelimiter.go` and `internal/util` of failsafe-go/failsafe-go.

use super::{Algorithm, Average, Ended, log10, median};
use std::collections::VecDeque;

const MAX_LIMIT: f64 = 200.0;
/// The limit is at most so many times what is in flight.
const MOST_OF_IN_FLIGHT: f64 = 5.0;

pub(crate) struct Failsafe {
    limit: f64,
    latencies: Vec<f64>,
    most: u32,
    next: f64,
    last: VecDeque<f64>,
    recent: Average,
    base: Average,
    throughputs: Pairs,
    round_trips: Pairs,
}

impl Default for Failsafe {
    fn default() -> Self {
        Self {
            limit: 20.0,
            latencies: Vec::new(),
            most: 0,
            next: 0.0,
            last: VecDeque::new(),
            recent: Average::of_last(5.0),
            base: Average::of_last(10.0),
            throughputs: Pairs::default(),
            round_trips: Pairs::default(),
        }
    }
}

impl Failsafe {
    /// The median of the last five; before there are five, the value itself.
    fn filtered(&mut self, value: f64) -> f64 {
        self.last.push_back(value);
        if self.last.len() < 5 {
            return value;
        }
        let five = self.last.iter().copied().collect();
        self.last.pop_front();
        median(five)
    }

    fn step(&mut self, recent: f64, in_flight: f64, is_full: bool) {
        let base = self.base.add(recent);
        let queue = (self.limit * (1.0 - base / recent)).ceil();
        let throughput = self.throughputs.add(in_flight, in_flight / recent);
        let round_trip = self.round_trips.add(in_flight, recent);
        let step = log10(self.limit);
        let overloaded = throughput.correlation < 0.0
            || round_trip.correlation > 0.5 && (throughput.correlation < 0.3 || throughput.variation < 0.2);
        let next = if queue > 6.0 * step || is_full && overloaded {
            self.limit - step
        } else if queue < 3.0 * step {
            self.limit + step
        } else {
            self.limit
        };
        let most = in_flight * MOST_OF_IN_FLIGHT;
        let next = match next > most {
            true if self.limit > most => self.limit - step,
            true => most,
            false => next,
        };
        self.limit = next.clamp(1.0, MAX_LIMIT);
    }
}

impl Algorithm for Failsafe {
    fn ended(&mut self, call: &Ended) {
        if !call.dropped {
            self.latencies.push(call.latency);
            self.most = self.most.max(call.at_start);
        }
        if call.now <= self.next || self.latencies.len() < 50 {
            return;
        }
        let mut latencies = std::mem::take(&mut self.latencies);
        latencies.sort_by(f64::total_cmp);
        let filtered = self.filtered(latencies[(latencies.len() as f64 * 0.9) as usize]);
        let recent = self.recent.add(filtered);
        // Its own permit is given back later.
        let most = std::mem::take(&mut self.most);
        self.step(recent, f64::from(most), call.left + 1 >= self.limit());
        self.next = call.now + (latencies[0] * 2.0).clamp(1.0, 30.0);
    }

    fn limit(&self) -> u32 {
        self.limit as u32
    }
}

/// The last 50 pairs of values.
#[derive(Default)]
struct Pairs(VecDeque<(f64, f64)>);

#[derive(Clone, Copy, Debug, Default)]
struct Together {
    /// -1 to 1; 0 while there are few pairs, or while one of both hardly varies.
    correlation: f64,
    /// Deviation of the second value, in means; 0 while there are few pairs.
    variation: f64,
}

impl Pairs {
    fn add(&mut self, x: f64, y: f64) -> Together {
        self.0.push_back((x, y));
        if self.0.len() > 50 {
            self.0.pop_front();
        }
        if self.0.len() < 10 {
            return Together::default();
        }
        let count = self.0.len() as f64;
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| self.0.iter().map(of).sum::<f64>() / count;
        let (mean_x, mean_y) = (mean(&|pair| pair.0), mean(&|pair| pair.1));
        let deviation_x = mean(&|pair| (pair.0 - mean_x).powi(2)).sqrt();
        let deviation_y = mean(&|pair| (pair.1 - mean_y).powi(2)).sqrt();
        let variation = deviation_y / mean_y;
        if deviation_x / mean_x < 0.01 || variation < 0.01 {
            return Together { correlation: 0.0, variation };
        }
        let covariance = mean(&|pair| (pair.0 - mean_x) * (pair.1 - mean_y));
        Together { correlation: covariance / (deviation_x * deviation_y), variation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_correlate_from_the_tenth_on() {
        let mut pairs = Pairs::default();
        let all: Vec<_> = (1..=10).map(|x| pairs.add(f64::from(x), f64::from(20 - x)).correlation).collect();
        assert_eq!(all[..9], [0.0; 9]);
        assert!((all[9] + 1.0).abs() < 1e-9);
    }

    #[test]
    fn grows_while_latency_is_even_and_shrinks_when_it_rises() {
        let mut rule = Failsafe::default();
        (0..5).for_each(|_| rule.step(0.02, 20.0, true));
        assert_eq!(rule.limit(), 25);
        // Base (5 · 20 + 80) / 6 = 30 ms: a queue of ⌈25 · (1 - 30 / 80)⌉ = 16.
        rule.step(0.08, 20.0, true);
        assert_eq!(rule.limit(), 24);
        rule.step(0.02, 3.0, false);
        assert_eq!(rule.limit(), 23, "above five times what is in flight: by steps");
        rule.limit = 14.5;
        rule.step(0.02, 3.0, false);
        assert_eq!(rule.limit(), 15, "up to that at once");
    }
}
