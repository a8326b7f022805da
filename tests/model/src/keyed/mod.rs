//! A limit per key with unlimited memory: a plain map from key to level, and every algorithm in exact integers.
//!
//! Times inside are nanoseconds since the limiter was made (its epoch).

mod block;
mod fixed_window;
mod gcra;
mod key;
mod settings;
mod sliding_log;
mod sliding_window;
#[cfg(test)]
mod tests;
mod ticks;

pub use crate::bucket::NEVER;
pub use settings::{Algorithm, Block, Mode, Quota, Settings, WarmUp};

use key::Key;
use std::collections::HashMap;
use ticks::{Limit, Ticks};

const YEAR_NS: u64 = 365 * 86_400 * 1_000_000_000;

/// The answer of [`Limiter::check`] and [`Limiter::peek`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the cost was taken.
    pub allowed: bool,
    /// The most that fits at once.
    pub limit: u32,
    /// What is left after the decision.
    pub remaining: u32,
    /// Nanoseconds until the same cost could pass.
    pub retry_after_ns: u64,
    /// Nanoseconds until the key is as new.
    pub reset_after_ns: u64,
    /// Nanoseconds to wait before acting on an admission.
    pub delay_ns: u64,
}

impl From<crate::bucket::Decision> for Decision {
    fn from(decision: crate::bucket::Decision) -> Self {
        let crate::bucket::Decision { allowed, limit, remaining, retry_after_ns, reset_after_ns } = decision;
        Self { allowed, limit, remaining, retry_after_ns, reset_after_ns, delay_ns: 0 }
    }
}

/// How the calls ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Stats {
    pub admitted: u64,
    pub denied: u64,
    pub would_deny: u64,
}

/// What an algorithm remembers of a key. `now` is nanoseconds since the epoch, `n` at most the limit.
trait Level: std::fmt::Debug + Send {
    fn boxed(&self) -> Box<dyn Level>;
    /// Nanoseconds until `n` would pass: 0 if it passes now.
    fn wait(&self, now: u64, n: u32, limit: &Limit) -> u64;
    /// How long to wait before acting on an admission.
    fn delay(&self, _now: u64, _limit: &Limit) -> u64 {
        0
    }
    /// Takes `n`, which passes.
    fn charge(&mut self, now: u64, n: u32, limit: &Limit);
    fn remaining(&self, now: u64, limit: &Limit) -> u32;
    fn reset_after(&self, now: u64, limit: &Limit) -> u64;
    /// Nanoseconds from `now` until nothing is counted.
    fn counted_for(&self, now: u64, limit: &Limit) -> u64 {
        self.reset_after(now, limit)
    }
    /// Whether anything came back.
    fn refund(&mut self, now: u64, n: u32, limit: &Limit) -> bool;
    /// Takes back the last charge, as if it had never been.
    fn undo(&mut self, now: u64, n: u32, limit: &Limit) -> bool {
        self.refund(now, n, limit)
    }
    /// What a denial stores of a change of quota.
    fn fit(&mut self, _now: u64, _limit: &Limit) {}
}

/// A limiter that one thread uses.
#[derive(Debug)]
pub struct Limiter {
    settings: Settings,
    ticks: Ticks,
    epoch: u64,
    keys: HashMap<Vec<u8>, Key>,
    stats: Stats,
}

impl Limiter {
    /// No key has been seen; made at `now`. `None` where no unit of time fits the quotas.
    pub fn new(settings: Settings, now: u64) -> Option<Self> {
        let ticks = Ticks::of(&settings)?;
        Some(Self { settings, ticks, epoch: now, keys: HashMap::new(), stats: Stats::default() })
    }

    /// Whether `quota` may be a tier or the new default here.
    pub fn fits(&self, quota: &Quota) -> bool {
        self.ticks.fits(quota)
    }

    /// Takes `n` or nothing; of a leaky bucket only what needs no delay.
    pub fn try_acquire(&mut self, now: u64, key: &[u8], n: u32, tier: Option<Quota>) -> bool {
        self.decide(now, key, n, tier, true).allowed
    }

    /// Takes `n` or nothing, and tells what is left.
    pub fn check(&mut self, now: u64, key: &[u8], n: u32, tier: Option<Quota>) -> Decision {
        self.decide(now, key, n, tier, false)
    }

    /// What `check(1)` would say; `remaining` and `reset_after` as they are.
    pub fn peek(&self, now: u64, key: &[u8], tier: Option<Quota>) -> Decision {
        self.look(now, key, 1, tier)
    }

    /// What `check(n)` would say; `remaining` and `reset_after` as they are.
    pub fn look(&self, now: u64, key: &[u8], n: u32, tier: Option<Quota>) -> Decision {
        let now = now.saturating_sub(self.epoch);
        let limit = self.limit(now, tier);
        if self.settings.mode == Mode::Disabled {
            return disabled(&limit);
        }
        let mut key = self.key(key);
        key.settle(now, &limit);
        let wait = key.wait(now, n, &limit);
        let delay = if wait == 0 && n > 0 { key.delay(now, &limit) } else { 0 };
        self.in_mode(key.decision(now, wait == 0, wait, delay, &limit))
    }

    /// Gives `n` back, never above full; nothing during a penalty.
    pub fn refund(&mut self, now: u64, name: &[u8], n: u32, tier: Option<Quota>) {
        self.give_back(now, name, n, tier, |level, now, limit| level.refund(now, n, limit));
    }

    /// Takes back a charge of `n` that a set which denies has just made.
    pub(crate) fn undo(&mut self, now: u64, name: &[u8], n: u32) {
        self.give_back(now, name, n, None, |level, now, limit| level.undo(now, n, limit));
    }

    fn give_back(
        &mut self,
        now: u64,
        name: &[u8],
        n: u32,
        tier: Option<Quota>,
        back: impl FnOnce(&mut dyn Level, u64, &Limit) -> bool,
    ) {
        let now = now.saturating_sub(self.epoch);
        let limit = self.limit(now, tier);
        if self.settings.mode == Mode::Disabled || n == 0 {
            return;
        }
        let mut key = self.key(name);
        // What nothing came back of stays as it is, a penalty that is over too.
        if key.settle(now, &limit) && back(&mut *key.level, now, &limit) {
            self.keys.insert(name.into(), key);
        }
    }

    /// Nothing before `now + wait_ns`, nor, where a penalty ends with nothing counted, before what is counted is over;
    /// a penalty in force is only lengthened, one of no time is none.
    pub fn penalize(&mut self, now: u64, name: &[u8], wait_ns: u64) {
        if self.settings.mode != Mode::Disabled && wait_ns > 0 {
            let now = now.saturating_sub(self.epoch);
            let mut key = self.key(name);
            let counted = key.counted_for(now, &self.limit(now, None));
            let end = self.ticks.penalty_end(now, wait_ns.min(YEAR_NS).max(counted));
            key.penalize(now, end);
            self.keys.insert(name.into(), key);
        }
    }

    /// The key as new.
    pub fn reset(&mut self, key: &[u8]) {
        self.keys.remove(key);
    }

    /// All keys as new.
    pub fn reset_all(&mut self) {
        self.keys.clear();
    }

    /// Another default quota.
    pub fn set_quota(&mut self, quota: Quota) {
        self.settings.quota = quota;
    }

    /// How the calls ended.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// How long the default quota takes to come back as a whole.
    pub(crate) fn fill_ns(&self) -> u64 {
        let Quota { count, period_ns, burst } = self.settings.quota;
        u64::try_from((u128::from(period_ns) * u128::from(burst)).div_ceil(count.into())).unwrap_or(u64::MAX)
    }

    fn decide(&mut self, now: u64, name: &[u8], n: u32, tier: Option<Quota>, at_once: bool) -> Decision {
        let now = now.saturating_sub(self.epoch);
        let limit = self.limit(now, tier);
        if self.settings.mode == Mode::Disabled {
            return disabled(&limit);
        }
        let mut key = self.key(name);
        let free = key.settle(now, &limit);
        let wait = key.wait(now, n, &limit);
        let delay = if wait == 0 && n > 0 { key.delay(now, &limit) } else { 0 };
        // Who cannot wait is not helped by an admission that has to.
        let allowed = wait == 0 && !(at_once && delay > 0);
        if allowed && n > 0 {
            key.level.charge(now, n, &limit);
            self.keys.insert(name.into(), key.clone());
        }
        let answer = key.decision(now, allowed, wait, delay, &limit);
        if !allowed {
            return self.refused(now, name, n, &limit, free, answer);
        }
        self.stats.admitted += 1;
        self.in_mode(answer)
    }

    /// Counts a denial that the caller has worked out; its answer, or the block's.
    pub fn refuse(&mut self, now: u64, name: &[u8], n: u32, tier: Option<Quota>, answer: Decision) -> Decision {
        let now = now.saturating_sub(self.epoch);
        let limit = self.limit(now, tier);
        let free = self.key(name).settle(now, &limit);
        self.refused(now, name, n, &limit, free, answer)
    }

    /// `free`: no penalty is in force, in which denials do not count towards a block.
    fn refused(&mut self, now: u64, name: &[u8], n: u32, limit: &Limit, free: bool, answer: Decision) -> Decision {
        let mut answer = answer;
        if free && self.denied(now, name, limit) {
            // One denial too many: the wait is the block's.
            let key = self.key(name);
            answer = key.decision(now, false, key.wait(now, n, limit), 0, limit);
        }
        match self.settings.mode {
            Mode::DryRun => self.stats.would_deny += 1,
            _ => self.stats.denied += 1,
        }
        self.in_mode(answer)
    }

    /// What a denial leaves behind: a level in the measure of another quota, and a step towards a block; true if it is
    /// one.
    fn denied(&mut self, now: u64, name: &[u8], limit: &Limit) -> bool {
        let mut key = self.key(name);
        key.fit(now, limit);
        let mut blocked = false;
        if let Some(block) = self.settings.block
            && let Some(duration_ns) = key.denials.denied(now, &block)
        {
            let counted = key.counted_for(now, limit);
            let end = self.ticks.penalty_end(now, duration_ns.max(counted));
            key.penalize(now, end);
            blocked = true;
        }
        self.keys.insert(name.into(), key);
        blocked
    }

    fn in_mode(&self, answer: Decision) -> Decision {
        match self.settings.mode {
            Mode::DryRun => Decision { allowed: true, retry_after_ns: 0, ..answer },
            _ => answer,
        }
    }

    fn limit(&self, now: u64, tier: Option<Quota>) -> Limit {
        self.ticks.limit(&tier.unwrap_or(self.settings.quota), self.settings.warm_up, now)
    }

    fn key(&self, name: &[u8]) -> Key {
        self.keys.get(name).cloned().unwrap_or_else(|| Key::new(self.settings.algorithm))
    }
}

fn disabled(limit: &Limit) -> Decision {
    let most = limit.burst;
    Decision { allowed: true, limit: most, remaining: most, retry_after_ns: 0, reset_after_ns: 0, delay_ns: 0 }
}
