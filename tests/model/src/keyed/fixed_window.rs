//! Fixed window: it starts at the first hit and ends with the first tick that begins a period later or after that.

use super::{Level, Limit};

#[derive(Clone, Debug, Default)]
pub(super) struct FixedWindow {
    end: i128,
    count: u32,
}

impl FixedWindow {
    /// What counts now: nothing when the window is over.
    fn count(&self, now: u64, limit: &Limit) -> u32 {
        if limit.ticks.tick(now) < self.end { self.count } else { 0 }
    }

    fn until_end(&self, now: u64, limit: &Limit) -> u64 {
        limit.ticks.start(self.end) - now
    }
}

impl Level for FixedWindow {
    fn boxed(&self) -> Box<dyn Level> {
        Box::new(self.clone())
    }

    fn wait(&self, now: u64, n: u32, limit: &Limit) -> u64 {
        let fits = self.count(now, limit).saturating_add(n) <= limit.burst;
        if fits { 0 } else { self.until_end(now, limit) }
    }

    fn charge(&mut self, now: u64, n: u32, limit: &Limit) {
        if limit.ticks.tick(now) >= self.end {
            let tick = limit.ticks.tick(now);
            let in_tick = i128::from(limit.ticks.start(tick) < now);
            *self = Self { end: tick + limit.window + in_tick, count: 0 };
        }
        self.count += n;
    }

    fn remaining(&self, now: u64, limit: &Limit) -> u32 {
        limit.burst.saturating_sub(self.count(now, limit))
    }

    fn reset_after(&self, now: u64, limit: &Limit) -> u64 {
        if self.count(now, limit) > 0 { self.until_end(now, limit) } else { 0 }
    }

    fn refund(&mut self, now: u64, n: u32, limit: &Limit) -> bool {
        let back = n.min(self.count(now, limit));
        self.count -= back;
        back > 0
    }

    fn undo(&mut self, now: u64, n: u32, limit: &Limit) -> bool {
        let back = self.refund(now, n, limit);
        if self.count == 0 {
            // A window that only this charge began has never been.
            self.end = self.end.min(limit.ticks.tick(now));
        }
        back
    }
}
