//! Client throttle: the slices that are remembered, and the formula.

use crate::concurrency::Mode;
use crate::watch::{SLACK_NS, Watch};
use std::collections::BTreeMap;

/// The settings, times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub struct Settings {
    pub k: f64,
    pub window: u64,
    pub min_calls: u64,
    pub max_rejection: f64,
    pub force_pass: u64,
    pub mode: Mode,
}

/// Counts since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub struct Counts {
    pub accepted: u64,
    pub refused: u64,
    pub rejected: u64,
    pub would_reject: u64,
    pub forced: u64,
}

/// A throttle that one thread uses.
#[derive(Clone, Debug)]
pub struct Throttle {
    settings: Settings,
    start: u64,
    /// Requests and accepts of each slice that is remembered, by its number.
    slices: BTreeMap<u64, (u64, u64)>,
    /// When the next call may be forced through.
    next: u64,
    watch: Watch,
    counts: Counts,
}

/// A window is ten slices.
const SLICES: u64 = 10;
/// So many are remembered at once: another one takes the place of that which is a round behind it.
const ROUND: u64 = 16;

impl Throttle {
    /// Nothing is known yet.
    pub fn new(settings: Settings, start: u64) -> Self {
        let (watch, counts) = (Watch::default(), Counts::default());
        Self { settings, start, slices: BTreeMap::new(), next: start, watch, counts }
    }

    fn slice_ns(&self) -> u64 {
        self.settings.window / SLICES
    }

    fn slice(&self, now: u64) -> u64 {
        now.saturating_sub(self.start) / self.slice_ns()
    }

    /// A slice so far ahead is a bad reading's.
    fn too_far(&self) -> u64 {
        ROUND + SLACK_NS / self.slice_ns()
    }

    fn count(&mut self, now: u64, accepts: u64) {
        let (mut own, too_far) = (self.slice(now), self.too_far());
        let there = self.slices.keys().copied().find(|other| other % ROUND == own % ROUND && *other != own);
        match there {
            Some(other) if other > own && other - own <= too_far => own = other,
            Some(other) => {
                self.slices.remove(&other);
            }
            None => {}
        }
        let slice = self.slices.entry(own).or_default();
        slice.0 += 1;
        slice.1 += accepts;
    }

    /// Requests and accepts in the window.
    pub fn window(&self, now: u64) -> (u64, u64) {
        let (own, too_far) = (self.slice(now), self.too_far());
        let counted = self.slices.iter().filter(|&(&slice, _)| slice + SLICES > own && slice <= own + too_far);
        counted.fold((0, 0), |sum, (_, slice)| (sum.0 + slice.0, sum.1 + slice.1))
    }

    /// The probability of a rejection.
    pub fn probability(&self, now: u64) -> f64 {
        let (requests, accepts) = self.window(now);
        if self.settings.mode == Mode::Disabled || requests < self.settings.min_calls {
            return 0.0;
        }
        let excess = requests as f64 - self.settings.k * accepts as f64;
        (excess / (requests as f64 + 1.0)).clamp(0.0, self.settings.max_rejection)
    }

    /// Whether a call may be made.
    pub fn try_acquire(&mut self, now: u64, draw: f64) -> bool {
        if draw >= self.probability(now) {
            return true;
        }
        if self.is_due(now) {
            self.next = now.max(self.start) + self.settings.force_pass;
            self.counts.forced += 1;
            return true;
        }
        if self.settings.mode == Mode::DryRun {
            self.counts.would_reject += 1;
            return true;
        }
        self.counts.rejected += 1;
        self.count(now, 0);
        false
    }

    fn is_due(&mut self, now: u64) -> bool {
        let now = now.max(self.start);
        if now >= self.next {
            return true;
        }
        if self.next <= now + self.settings.force_pass + SLACK_NS {
            self.watch.clear();
            return false;
        }
        let lasted = self.watch.lasted(now);
        if lasted {
            self.watch.clear();
        }
        lasted
    }

    /// What became of a call.
    pub fn report(&mut self, now: u64, accepted: bool) {
        if self.settings.mode == Mode::Disabled {
            return;
        }
        if accepted {
            self.counts.accepted += 1
        } else {
            self.counts.refused += 1
        }
        self.count(now, accepted.into());
    }

    /// Nanoseconds until a call passes in any case.
    pub fn retry_after(&self, now: u64) -> u64 {
        self.next.saturating_sub(now.max(self.start)).min(self.settings.force_pass)
    }

    /// Counts.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
