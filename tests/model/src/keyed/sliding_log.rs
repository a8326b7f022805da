//! Sliding log: every admission is remembered for a period.

use super::{Level, Limit};

#[derive(Clone, Debug, Default)]
pub(super) struct SlidingLog {
    /// When each was admitted, the oldest first.
    stamps: Vec<u64>,
}

impl SlidingLog {
    fn live(&self, now: u64, limit: &Limit) -> &[u64] {
        let dead = self.stamps.iter().take_while(|&&stamp| stamp + limit.period_ns <= now).count();
        &self.stamps[dead..]
    }
}

impl Level for SlidingLog {
    fn boxed(&self) -> Box<dyn Level> {
        Box::new(self.clone())
    }

    fn wait(&self, now: u64, n: u32, limit: &Limit) -> u64 {
        let live = self.live(now, limit);
        match (live.len() + n as usize).checked_sub(limit.burst as usize) {
            None | Some(0) => 0,
            Some(excess) => live[excess - 1] + limit.period_ns - now,
        }
    }

    fn charge(&mut self, now: u64, n: u32, _: &Limit) {
        self.stamps.extend((0..n).map(|_| now));
        self.stamps.sort_unstable();
    }

    fn remaining(&self, now: u64, limit: &Limit) -> u32 {
        limit.burst.saturating_sub(u32::try_from(self.live(now, limit).len()).expect("few"))
    }

    fn reset_after(&self, now: u64, limit: &Limit) -> u64 {
        self.live(now, limit).last().map_or(0, |newest| newest + limit.period_ns - now)
    }

    fn refund(&mut self, now: u64, n: u32, limit: &Limit) -> bool {
        let back = self.live(now, limit).len().min(n as usize);
        self.stamps.truncate(self.stamps.len() - back);
        back > 0
    }
}
