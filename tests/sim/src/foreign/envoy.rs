//! Envoy's gradient controller: each 100 ms the median against that of 50 calls at a limit of 3, measured each minute.
//!
//! Source: `gradient_controller.cc` of envoyproxy/envoy.

use super::{Algorithm, Ended, median};

const FLOOR: u32 = 3;
const MAX_LIMIT: u32 = 1_000;
const UPDATE: f64 = 0.1;
const PROBE_EVERY: f64 = 60.0;
const PROBE_CALLS: usize = 50;
const BUFFER: f64 = 1.25;

pub(crate) struct Envoy {
    limit: u32,
    /// The limit that a probe has set aside; `None`: no probe.
    saved: Option<u32>,
    /// Calls that began before say nothing.
    epoch: f64,
    latencies: Vec<f64>,
    unloaded: f64,
    next_probe: f64,
    next_update: f64,
    /// How often running the limit has stayed at its floor.
    at_floor: u32,
    random: fastrand::Rng,
}

impl Default for Envoy {
    fn default() -> Self {
        Self {
            limit: FLOOR,
            saved: Some(FLOOR),
            epoch: 0.0,
            latencies: Vec::new(),
            unloaded: 0.0,
            next_probe: f64::INFINITY,
            next_update: UPDATE,
            at_floor: 0,
            random: fastrand::Rng::with_seed(2),
        }
    }
}

impl Envoy {
    fn probe(&mut self, now: f64) {
        self.saved = Some(std::mem::replace(&mut self.limit, FLOOR));
        self.latencies.clear();
        self.epoch = now;
        self.at_floor = 0;
    }

    fn step(&mut self) {
        let latency = median(std::mem::take(&mut self.latencies));
        let limit = f64::from(self.limit) * (self.unloaded * BUFFER / latency).clamp(0.5, 2.0);
        let next = ((limit + limit.sqrt()) as u32).clamp(FLOOR, MAX_LIMIT);
        self.at_floor = if self.limit == FLOOR && next == FLOOR { self.at_floor + 1 } else { 0 };
        self.limit = next;
    }
}

impl Algorithm for Envoy {
    fn ended(&mut self, call: &Ended) {
        if call.now - call.latency >= self.epoch {
            self.latencies.push(call.latency);
        }
        if let Some(saved) = self.saved {
            if self.latencies.len() >= PROBE_CALLS {
                self.unloaded = median(std::mem::take(&mut self.latencies));
                self.limit = saved;
                self.saved = None;
                self.next_probe = call.now + PROBE_EVERY * (1.0 + 0.15 * self.random.f64());
                self.next_update = call.now + UPDATE;
            }
            return;
        }
        if call.now < self.next_probe && call.now >= self.next_update && !self.latencies.is_empty() {
            self.next_update = call.now + UPDATE;
            self.step();
        }
        if call.now >= self.next_probe || self.at_floor >= 5 {
            self.probe(call.now);
        }
    }

    fn limit(&self) -> u32 {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(rule: &mut Envoy, calls: usize, now: f64, latency: f64) {
        let call = Ended { now, latency, at_start: 0, left: 0, dropped: false };
        (0..calls).for_each(|_| rule.ended(&call));
    }

    #[test]
    fn probes_then_moves_by_the_gradient_and_its_root() {
        let mut rule = Envoy::default();
        end(&mut rule, 49, 1.0, 0.02);
        assert!(rule.saved.is_some());
        end(&mut rule, 1, 1.0, 0.02);
        assert!(rule.saved.is_none());
        // 3 · 1.25 + √3.75 = 5.7.
        end(&mut rule, 1, 1.2, 0.02);
        assert_eq!(rule.limit(), 5);
        // Half at most: 2.5 + √2.5 = 4.1.
        end(&mut rule, 1, 1.4, 0.2);
        assert_eq!(rule.limit(), 4);
        // 2 + √2 = 3.4, 1.5 + √1.5 = 2.7, then five times at the floor.
        (0..7).for_each(|i| end(&mut rule, 1, 1.6 + 0.2 * f64::from(i), 0.2));
        assert_eq!((rule.limit(), rule.saved), (3, Some(3)));
    }
}
