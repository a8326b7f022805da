//! Token and leaky bucket: the theoretical arrival time of GCRA (ITU-T I.371) in ticks.

use super::{Level, Limit, Quota};

#[derive(Clone, Debug)]
pub(super) struct Gcra {
    /// The tick at which the key is as new if nobody takes anything.
    tat: i128,
    /// By which it was charged, or which fills sooner and has asked since: what is used comes back by it.
    quota: Option<Quota>,
    /// A leaky bucket: what is taken early waits.
    pub(super) paced: bool,
}

impl Gcra {
    pub(super) fn full(paced: bool) -> Self {
        Self { tat: 0, quota: None, paced }
    }

    /// Empty at tick `at`.
    pub(super) fn empty(at: i128, limit: &Limit) -> Self {
        Self { tat: at + limit.capacity, quota: limit.quota, paced: false }
    }

    /// What is used in the measure of a quota: the same part of what fills in its time, rounded up. Of a queue, no less
    /// than the time that was told to others.
    fn fitted(&self, now: u64, limit: &Limit) -> i128 {
        let Some(fill) = self.fill(limit).filter(|&fill| fill != limit.fill()) else { return self.tat };
        if self.paced && fill > limit.fill() {
            return self.tat;
        }
        // Never of a moment before it was charged.
        let moment = limit.ticks.tick(now).max(self.tat - fill);
        let left = self.tat - moment;
        if left <= 0 { self.tat } else { moment - (-left * limit.fill()).div_euclid(fill) }
    }

    /// How long the quota takes to fill by which it comes back.
    fn fill(&self, limit: &Limit) -> Option<i128> {
        self.quota.map(|quota| limit.ticks.limit(&quota, None, 0).capacity)
    }

    fn base(&self, now: u64, limit: &Limit) -> i128 {
        self.fitted(now, limit).max(limit.ticks.tick(now))
    }

    fn until(tick: i128, now: u64, limit: &Limit) -> u64 {
        if tick <= limit.ticks.tick(now) { 0 } else { limit.ticks.start(tick) - now }
    }
}

impl Level for Gcra {
    fn boxed(&self) -> Box<dyn Level> {
        Box::new(self.clone())
    }

    fn wait(&self, now: u64, n: u32, limit: &Limit) -> u64 {
        let cost = i128::from(n) * limit.token;
        match self.fill(limit) {
            // Until then it comes back by the other quota.
            Some(fill) if fill < limit.fill() => {
                let room = (limit.capacity - cost) * fill / limit.fill();
                Self::until(self.tat - room, now, limit)
            }
            _ => Self::until(self.base(now, limit) + cost - limit.capacity, now, limit),
        }
    }

    fn delay(&self, now: u64, limit: &Limit) -> u64 {
        if self.paced { Self::until(self.tat, now, limit) } else { 0 }
    }

    fn charge(&mut self, now: u64, n: u32, limit: &Limit) {
        self.tat = self.base(now, limit) + i128::from(n) * limit.token;
        self.quota = limit.quota;
    }

    fn remaining(&self, now: u64, limit: &Limit) -> u32 {
        let there = limit.ticks.tick(now) + limit.capacity - self.base(now, limit);
        u32::try_from(there.div_euclid(limit.token).max(0)).expect("at most the burst").min(limit.burst)
    }

    fn reset_after(&self, now: u64, limit: &Limit) -> u64 {
        Self::until(self.tat, now, limit)
    }

    fn refund(&mut self, now: u64, n: u32, limit: &Limit) -> bool {
        let (fitted, owed) = (self.fitted(now, limit), self.base(now, limit) - limit.ticks.tick(now));
        let back = owed.min(i128::from(n) * limit.token);
        if back > 0 {
            // A time of a queue that this quota left as it is stays the other's part: of this it may be more than all.
            let kept = self.paced && self.fill(limit).is_some_and(|fill| fill > limit.fill());
            *self = Self { tat: fitted - back, quota: if kept { self.quota } else { limit.quota }, ..*self };
        }
        back > 0
    }

    /// The first decision by a quota that fills sooner makes it come back by that one.
    fn fit(&mut self, now: u64, limit: &Limit) {
        let sooner = self.fill(limit).is_some_and(|fill| fill > limit.fill());
        if sooner && !self.paced && self.tat > limit.ticks.tick(now) {
            *self = Self { tat: self.fitted(now, limit), quota: limit.quota, ..*self };
        }
    }
}
