//! Token and leaky bucket: the theoretical arrival time of GCRA (ITU-T I.371) in ticks.

use super::{Level, Limit, Quota};

#[derive(Clone, Debug)]
pub(super) struct Gcra {
    /// The tick at which the key is as new if nobody takes anything.
    tat: i128,
    /// That of the last decision or refund.
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

    fn base(&self, now: u64, limit: &Limit) -> i128 {
        self.tat.max(limit.ticks.tick(now))
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
        Self::until(self.base(now, limit) + i128::from(n) * limit.token - limit.capacity, now, limit)
    }

    fn delay(&self, now: u64, limit: &Limit) -> u64 {
        if self.paced { Self::until(self.base(now, limit), now, limit) } else { 0 }
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
        let owed = self.base(now, limit) - limit.ticks.tick(now);
        let back = owed.min(i128::from(n) * limit.token);
        if back > 0 {
            self.tat -= back;
        }
        back > 0
    }

    fn knows_quota(&self) -> bool {
        true
    }

    /// The first decision by another quota cuts the deficit to its capacity; later ones by the same, as of whatever
    /// reading, do not.
    fn fit(&mut self, now: u64, limit: &Limit) {
        if self.quota != limit.quota {
            let most = limit.ticks.tick(now) + limit.capacity;
            *self = Self { tat: self.tat.min(most), quota: limit.quota, ..*self };
        }
    }
}
