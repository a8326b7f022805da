//! All that is known of one key.

use super::block::Denials;
use super::fixed_window::FixedWindow;
use super::gcra::Gcra;
use super::sliding_log::SlidingLog;
use super::sliding_window::SlidingWindow;
use super::ticks::Limit;
use super::{Algorithm, Decision, Level, NEVER};

#[derive(Debug)]
pub(super) struct Key {
    algorithm: Algorithm,
    pub(super) level: Box<dyn Level>,
    /// Nothing passes before this; stays until something is written after it.
    penalty_end: Option<u64>,
    pub(super) denials: Denials,
}

impl Clone for Key {
    fn clone(&self) -> Self {
        Self { level: self.level.boxed(), ..*self }
    }
}

impl Key {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, level: fresh(algorithm), penalty_end: None, denials: Denials::default() }
    }

    /// Puts a penalty that is over behind it and fits the level to the quota. False while a penalty is in force.
    pub(super) fn settle(&mut self, now: u64, limit: &Limit) -> bool {
        match self.penalty_end {
            Some(end) if now < end => return false,
            Some(end) => {
                self.penalty_end = None;
                self.level = match self.algorithm {
                    Algorithm::TokenBucket => Box::new(Gcra::empty(limit.ticks.tick(end), limit)),
                    other => fresh(other),
                };
            }
            None => self.level.fit(now, limit),
        }
        true
    }

    /// Fits the level to the quota, nothing else.
    pub(super) fn fit(&mut self, now: u64, limit: &Limit) {
        if self.penalty_end.is_none() {
            self.level.fit(now, limit);
        }
    }

    /// Nanoseconds until what is counted is over, where a penalty ends with nothing counted.
    pub(super) fn counted_for(&self, now: u64, limit: &Limit) -> u64 {
        match (self.penalty_end, self.algorithm) {
            (Some(_), _) | (_, Algorithm::TokenBucket) => 0,
            _ => self.level.counted_for(now, limit),
        }
    }

    pub(super) fn penalize(&mut self, now: u64, end: u64) {
        let in_force = self.penalty_end.filter(|&old| now < old);
        self.penalty_end = Some(in_force.map_or(end, |old| old.max(end)));
    }

    /// Nanoseconds until `n` would pass. The key is settled.
    pub(super) fn wait(&self, now: u64, n: u32, limit: &Limit) -> u64 {
        match self.penalty_end {
            // More than is open: once it is, and the key is as new.
            _ if n > limit.burst => {
                let opens_in =
                    limit.quota.zip(limit.warm_up).and_then(|(quota, ramp)| ramp.opens_in(now, quota.burst, n));
                opens_in.map_or(NEVER, |opens_in| opens_in.max(self.reset_after(now, limit)))
            }
            Some(end) if self.algorithm == Algorithm::TokenBucket && n > 0 => {
                Gcra::empty(limit.ticks.tick(end), limit).wait(now, n, limit)
            }
            Some(end) => end - now,
            None if n == 0 => 0,
            None => self.level.wait(now, n, limit),
        }
    }

    pub(super) fn delay(&self, now: u64, limit: &Limit) -> u64 {
        self.level.delay(now, limit)
    }

    /// Nanoseconds until it is as new. The key is settled.
    fn reset_after(&self, now: u64, limit: &Limit) -> u64 {
        match (self.penalty_end, self.algorithm) {
            (None, _) => self.level.reset_after(now, limit),
            (Some(end), Algorithm::TokenBucket) => Gcra::empty(limit.ticks.tick(end), limit).reset_after(now, limit),
            (Some(end), _) => end - now,
        }
    }

    fn has_level(&self) -> bool {
        self.penalty_end.is_none()
    }

    /// The answer as of this state. The key is settled.
    pub(super) fn decision(&self, now: u64, allowed: bool, wait: u64, delay: u64, limit: &Limit) -> Decision {
        let remaining = if self.has_level() { self.level.remaining(now, limit) } else { 0 };
        let reset_after_ns = self.reset_after(now, limit);
        let (retry_after_ns, delay_ns) = if allowed { (0, delay) } else { (wait, 0) };
        Decision { allowed, limit: limit.burst, remaining, retry_after_ns, reset_after_ns, delay_ns }
    }
}

fn fresh(algorithm: Algorithm) -> Box<dyn Level> {
    match algorithm {
        Algorithm::TokenBucket => Box::new(Gcra::full(false)),
        Algorithm::LeakyBucket => Box::new(Gcra::full(true)),
        Algorithm::FixedWindow => Box::<FixedWindow>::default(),
        Algorithm::SlidingWindow => Box::<SlidingWindow>::default(),
        Algorithm::SlidingLog => Box::<SlidingLog>::default(),
    }
}
