//! Retry budget, as a level of savings at a moment, in exact integers.

use crate::concurrency::Mode;
use crate::watch::{SLACK_NS, Watch};

/// Parts of a retry.
const RETRY: i128 = 1_000_000_000_000;

/// Counts since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub struct Counts {
    pub deposited: u64,
    pub withdrawn: u64,
    pub denied: u64,
    pub would_deny: u64,
}

/// A budget that one thread uses.
#[derive(Clone, Debug)]
pub struct Budget {
    per_call: i128,
    per_ns: i128,
    most: i128,
    /// What was there at the moment `at`, the last one at which something changed.
    level: i128,
    at: u64,
    /// Its time begins then: earlier readings are read as this.
    start: u64,
    watch: Watch,
    mode: Mode,
    counts: Counts,
}

impl Budget {
    /// Thousandths of retries that a call and a second pay in; for how long seconds pay in at most.
    pub fn new(per_call: u64, per_second: u64, ttl_ns: u64, mode: Mode, now: u64) -> Self {
        let (per_call, per_ns) =
            (i128::from(per_call) * RETRY / 1_000, i128::from(per_second) * RETRY / 1_000 / 1_000_000_000);
        let saved = per_ns * i128::from(ttl_ns);
        let (watch, counts) = (Watch::default(), Counts::default());
        Self { per_call, per_ns, most: saved.max(RETRY), level: saved, at: now, start: now, watch, mode, counts }
    }

    /// Below nothing where the clock has stepped back behind a withdrawal.
    fn level_at(&self, now: u64) -> i128 {
        let now = now.max(self.start);
        (self.level + (i128::from(now) - i128::from(self.at)) * self.per_ns).min(self.most)
    }

    /// A call is made.
    pub fn deposit(&mut self, now: u64) {
        if self.mode == Mode::Disabled {
            return;
        }
        self.counts.deposited += 1;
        let level = self.level_at(now);
        if level < self.most {
            (self.level, self.at) = ((level + self.per_call).min(self.most), now.max(self.start));
        }
    }

    /// A retry is decided.
    pub fn try_withdraw(&mut self, now: u64) -> bool {
        if self.mode == Mode::Disabled {
            return true;
        }
        let mut level = self.level_at(now);
        if level >= -self.per_ns * i128::from(SLACK_NS) {
            self.watch.clear();
        } else if self.watch.lasted(now) {
            self.watch.clear();
            level = 0;
            (self.level, self.at) = (0, now.max(self.start));
        }
        let enough = level >= RETRY;
        if enough {
            (self.level, self.at) = (level - RETRY, now.max(self.start));
        }
        match (enough, self.mode) {
            (true, _) => self.counts.withdrawn += 1,
            (false, Mode::DryRun) => self.counts.would_deny += 1,
            (false, _) => self.counts.denied += 1,
        }
        enough || self.mode == Mode::DryRun
    }

    /// Whole retries.
    pub fn balance(&self, now: u64) -> u64 {
        (self.level_at(now).max(0) / RETRY) as u64
    }

    /// Nanoseconds until time alone has paid in a retry; `None` for never.
    pub fn retry_after(&self, now: u64) -> Option<u64> {
        let missing = RETRY - self.level_at(now);
        match (missing, self.per_ns) {
            _ if self.mode != Mode::Enforce => Some(0),
            (..=0, _) => Some(0),
            (_, 0) => None,
            (missing, per_ns) => Some(((missing + per_ns - 1) / per_ns) as u64),
        }
    }

    /// Counts.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
