//! A limit per key in a fixed table.

mod config;

pub use config::{Block, LimiterConfig};

use crate::limit::Algorithm;
use crate::{Clock, ConfigError, Decision, Quota};
use std::time::Duration;

/// A limit for each key (user, address, API key): any [`Algorithm`], in a flat lock-free table of fixed size.
#[derive(Debug)]
pub struct RateLimiter {
    clock: Clock,
}

/// A quota made ready for one limiter: per tier or per call. Copy it, keep it; making one takes a few divisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    _private: u64,
}

/// What [`RateLimiter::hit`] counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Hits {
    /// Hits of the key in its present window, this one included. 2^20 - 1 is "that many or more".
    pub count: u32,
    /// Nanoseconds until the window ends.
    pub reset_after_ns: u64,
}

/// Counts since the limiter was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimiterStats {
    /// Calls admitted.
    pub admitted: u64,
    /// Calls denied.
    pub denied: u64,
    /// Calls admitted by a dry run that would have been denied.
    pub would_deny: u64,
    /// Idle keys that made room for others.
    pub evictions: u64,
    /// Calls that were decided by the shared sketch, because their key found no room.
    pub overflowed: u64,
    /// Keys blocked.
    pub blocked: u64,
}

impl RateLimiter {
    /// `quota` per key on the monotonic clock.
    pub fn new(algorithm: Algorithm, quota: Quota, max_keys: usize) -> Result<Self, ConfigError> {
        Self::with_config(LimiterConfig { max_keys, ..LimiterConfig::new(algorithm, quota) }, Clock::monotonic())
    }
    /// As `config` says, on `clock`.
    pub fn with_config(config: LimiterConfig, clock: Clock) -> Result<Self, ConfigError> {
        let _ = config;
        Ok(Self { clock })
    }
    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        todo!()
    }
    /// The default quota in force.
    pub fn quota(&self) -> Quota {
        todo!()
    }
    /// The cap on live keys.
    pub fn max_keys(&self) -> usize {
        todo!()
    }
    /// A quota of its own for some keys or calls.
    ///
    /// Errors: `rate` or `burst` when it is faster or larger than what the table was made for.
    pub fn tier(&self, quota: Quota) -> Result<Tier, ConfigError> {
        let _ = quota;
        todo!()
    }
    /// Takes `n` from the key's limit, or nothing. A leaky bucket admits here only what needs no delay.
    pub fn try_acquire(&self, key: &[u8], n: u32) -> bool {
        self.try_acquire_at(self.clock.now(), key, n)
    }
    /// [`try_acquire`](Self::try_acquire) at `now`.
    pub fn try_acquire_at(&self, now: u64, key: &[u8], n: u32) -> bool {
        let _ = (now, key, n);
        todo!()
    }
    /// Takes `n`, or nothing, and tells what is left.
    pub fn check(&self, key: &[u8], n: u32) -> Decision {
        self.check_at(self.clock.now(), key, n)
    }
    /// [`check`](Self::check) at `now`.
    pub fn check_at(&self, now: u64, key: &[u8], n: u32) -> Decision {
        let _ = (now, key, n);
        todo!()
    }
    /// [`check`](Self::check) by another quota than the default.
    pub fn check_tier(&self, key: &[u8], n: u32, tier: &Tier) -> Decision {
        self.check_tier_at(self.clock.now(), key, n, tier)
    }
    /// [`check_tier`](Self::check_tier) at `now`.
    pub fn check_tier_at(&self, now: u64, key: &[u8], n: u32, tier: &Tier) -> Decision {
        let _ = (now, key, n, tier);
        todo!()
    }
    /// [`try_acquire`](Self::try_acquire) by another quota than the default.
    pub fn try_acquire_tier(&self, key: &[u8], n: u32, tier: &Tier) -> bool {
        self.try_acquire_tier_at(self.clock.now(), key, n, tier)
    }
    /// [`try_acquire_tier`](Self::try_acquire_tier) at `now`.
    pub fn try_acquire_tier_at(&self, now: u64, key: &[u8], n: u32, tier: &Tier) -> bool {
        let _ = (now, key, n, tier);
        todo!()
    }
    /// Looks without taking. (`tier`: `None` is the default quota.)
    pub fn peek(&self, key: &[u8], tier: Option<&Tier>) -> Decision {
        self.peek_at(self.clock.now(), key, tier)
    }
    /// [`peek`](Self::peek) at `now`.
    pub fn peek_at(&self, now: u64, key: &[u8], tier: Option<&Tier>) -> Decision {
        let _ = (now, key, tier);
        todo!()
    }
    /// Gives `n` back, never above full.
    pub fn refund(&self, key: &[u8], n: u32, tier: Option<&Tier>) {
        self.refund_at(self.clock.now(), key, n, tier);
    }
    /// [`refund`](Self::refund) at `now`.
    pub fn refund_at(&self, now: u64, key: &[u8], n: u32, tier: Option<&Tier>) {
        let _ = (now, key, n, tier);
        todo!()
    }
    /// Nothing for the key before `now + wait` (at most a year); a penalty in force is only lengthened. Returns whether
    /// there was room to note it: a key without a cell of its own is not penalised, for others share its sketch.
    pub fn penalize(&self, key: &[u8], wait: Duration) -> bool {
        self.penalize_at(self.clock.now(), key, wait)
    }
    /// [`penalize`](Self::penalize) at `now`.
    pub fn penalize_at(&self, now: u64, key: &[u8], wait: Duration) -> bool {
        let _ = (now, key, wait);
        todo!()
    }
    /// The key as new; ends a penalty and forgets its blocks.
    pub fn reset(&self, key: &[u8]) {
        self.reset_at(self.clock.now(), key);
    }
    /// [`reset`](Self::reset) at `now`.
    pub fn reset_at(&self, now: u64, key: &[u8]) {
        let _ = (now, key);
        todo!()
    }
    /// All keys as new; counters stay. Takes time in proportion to the table.
    pub fn reset_all(&self) {
        self.reset_all_at(self.clock.now());
    }
    /// [`reset_all`](Self::reset_all) at `now`.
    pub fn reset_all_at(&self, now: u64) {
        let _ = now;
        todo!()
    }
    /// Changes the default quota; every key keeps its time to full, clipped to the new burst; windows keep their counts.
    pub fn set_quota(&self, quota: Quota) -> Result<(), ConfigError> {
        let _ = quota;
        todo!()
    }
    /// Fixed windows only: counts `n` hits whatever the limit, for stores that judge by themselves. `window`: of this
    /// length instead of the quota's period.
    ///
    /// Errors: `algorithm` when it is not a fixed window.
    pub fn hit(&self, key: &[u8], n: u32) -> Result<Hits, ConfigError> {
        self.hit_at(self.clock.now(), key, n)
    }
    /// [`hit`](Self::hit) at `now`.
    pub fn hit_at(&self, now: u64, key: &[u8], n: u32) -> Result<Hits, ConfigError> {
        let _ = (now, key, n);
        todo!()
    }
    /// Keys that are live (not idle) now. Takes time in proportion to the table.
    pub fn len(&self) -> usize {
        self.len_at(self.clock.now())
    }
    /// [`len`](Self::len) at `now`.
    pub fn len_at(&self, now: u64) -> usize {
        let _ = now;
        todo!()
    }
    /// Whether no key is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Bytes of the table, the sketch and all else that grows with `max_keys`.
    pub fn memory(&self) -> usize {
        todo!()
    }
    /// Counts since the limiter was made.
    pub fn stats(&self) -> LimiterStats {
        todo!()
    }
}
