//! A limit per key in a fixed table.

mod any_algorithm;
#[cfg(not(loom))]
mod arena;
mod cache_line;
mod cell;
mod config;
mod hash;
mod kind;
mod ops;
mod quotas;
mod reclaim;
mod set_member;
mod strikes;
mod table;
mod time;
mod units;

pub(super) use config::MAX_KEYS;
pub use config::{Block, LimiterConfig, SETTINGS};
pub(crate) use hash::KeyHash;
pub(crate) use set_member::Receipt;

use crate::counters::Striped;
use crate::decision::NEVER;
use crate::limit::{Algorithm, Mode, WarmUp};
use crate::memory::ObjectAllocator;
use crate::{Clock, ConfigError, Decision, Quota};
use any_algorithm::AnyAlgorithm;
use hash::KeyHasher;
use ops::Taken;
use quotas::Quotas;
use std::time::Duration;
use strikes::Strikes;
use time::Present;
use units::Units;

/// A limit for each key (user, address, API key): any [`Algorithm`], in a flat lock-free table of fixed size.
///
/// Keys are bytes of any length; the table keeps a hash under a random secret and 24 bits to tell the keys of a line
/// apart, so that two of a million keys share a level with a probability of some 5 % (which only denies early). The
/// table is laid out for [`max_keys`](LimiterConfig::max_keys) live keys. An idle key and an unknown one are the same
/// thing, so idle cells are reused and live ones never are; keys that find no room share a sketch, which may deny
/// early and never admits more. 40 bytes a key for a token bucket (a sliding log: 128, and 32 for each unit of its
/// limit), taken from the system as keys come.
///
/// Every operation has an `_at` form that takes the time in nanoseconds of this limiter's clock. Time passes in
/// ticks, chosen so that the rate is exact to 0.01 % at least and a common one wholly.
///
/// # Late threads and bad readings
///
/// A thread may come with a reading that is behind those of others, by however much: it is admitted no more than it
/// would have been by a limit that remembers every time in full, and may be denied early. A key that has no cell is
/// as new from the latest reading on that any line was swept or any cell given away for, so that such a thread may
/// find it used.
///
/// A reading that is ahead, of a clock that goes back afterwards, is believed for a bounded time. Its key waits until
/// the clock is there again if that is less than an epoch (for buckets what the slowest declared quota takes to come
/// back, at most twice that or a second; for fixed windows a window or 34 s; for sliding ones four windows). Further
/// ahead it may deny keys that have no cell, and beyond 65,536 epochs others, for a minute: when readings have gone
/// on for a minute from the first that was more than a minute behind, none of them with the clock less behind, the
/// limit goes back to the present. (What counts are readings that meet a key without a cell or a line of another
/// epoch.) The keys that it shared a line with, seven at most, then count as used up, for what the slowest quota
/// takes to come back, or an epoch longer. (A clock that goes there a second time before the limit is back, and back
/// again by more than an epoch, passes what those keys took the second time once more.) In a process whose threads all
/// read one monotonic clock there is no such reading.
///
/// A key whose cell was given to another as of the bad reading, in a line that was full, has lost its count, and cannot
/// be told from a new one. So if that count was not over as of the moment which the limit went back to, keys without a
/// cell start as used up, and as free from when it is over: it takes them what the slowest quota takes to come back,
/// and an epoch, at most. (A penalty that was lost lasts no longer either.) Where no live count was lost, new keys
/// start as ever.
///
/// A window that was begun by a reading ahead does not know what was taken before: its key is denied before it, by all
/// but [`hit`](Self::hit).
///
/// What is not made good: the keys of a line that met a reading more than 32,767 epochs ahead start as new.
///
/// A sliding log counts in nanoseconds (for 146 years). There a reading that is more than a minute ahead of others
/// denies the key that it charged, and keys that are new, until readings have gone on for a minute; then what it put
/// is dated to the present, and keys that are new wait for a period at most if a live log was given away.
///
/// Thread safety: all methods may be called from any thread at any time. Decisions take no lock and make no system
/// call; `set_quota`, and `tier` for a quota that it has not met, take one among themselves.
///
/// ```
/// use std::time::Duration;
/// use tidegate::limit::{Algorithm, LimiterConfig, RateLimiter};
/// use tidegate::ManualClock;
///
/// let clock = ManualClock::new(0);
/// let config = LimiterConfig::new(Algorithm::TokenBucket, "100/min".parse()?);
/// let limiter = RateLimiter::with_config(config, (&clock).into())?;
/// assert!((0..100).all(|_| limiter.try_acquire(b"user:1", 1)));
/// assert!(!limiter.try_acquire(b"user:1", 1));
/// assert!(limiter.try_acquire(b"user:2", 1));
/// clock.advance(Duration::from_millis(600));
/// assert!(limiter.try_acquire(b"user:1", 1));
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct RateLimiter {
    hasher: KeyHasher,
    identity: u64,
    rule: AnyAlgorithm,
    quotas: Quotas,
    epoch_ns: u64,
    clock: Clock,
    mode: Mode,
    warm_up: Option<WarmUp>,
    strikes: Option<Strikes>,
    counts: Striped<4>,
    algorithm: Algorithm,
    max_keys: usize,
}

const ADMITTED: usize = 0;
const DENIED: usize = 1;
const WOULD_DENY: usize = 2;
const BLOCKED: usize = 3;

/// A quota made ready for one limiter: per tier or per call. Copy it, keep it; making one takes a few divisions.
///
/// Made by [`RateLimiter::tier`] and meant for that limiter; another limiter takes the quota in it if it can, else its
/// own default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    quota: Quota,
    units: u64,
    /// The limiter it was made for.
    limiter: u64,
}

impl Tier {
    /// The quota that it stands for.
    pub fn quota(&self) -> Quota {
        self.quota
    }
}

/// What [`RateLimiter::hit`] counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Hits {
    /// Hits of the key in its present window, these included. It stops at the largest count that the limiter has bits
    /// for, no less than its largest quota and at most 1,048,575, which stands for that many or more.
    pub count: u32,
    /// Nanoseconds until the window ends. 0 of a key that has none, and is only looked at: with no hits.
    pub reset_after_ns: u64,
}

/// What [`RateLimiter::windows`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Windows {
    /// Counts of the window before the present one.
    pub previous: u32,
    /// Counts of the present window.
    pub current: u32,
    /// Nanoseconds that are left of the present window.
    pub left_ns: u64,
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
    /// Blocks of keys that went on after being denied.
    pub blocked: u64,
}

impl RateLimiter {
    /// `quota` for each of up to `max_keys` live keys, on the monotonic clock.
    ///
    /// Errors: as [`with_config`](Self::with_config).
    pub fn new(algorithm: Algorithm, quota: Quota, max_keys: usize) -> Result<Self, ConfigError> {
        Self::with_config(LimiterConfig { max_keys, ..LimiterConfig::new(algorithm, quota) }, Clock::monotonic())
    }

    /// As `config` says, on `clock`.
    ///
    /// Errors: `max_keys` outside 1 to 100 million, or more than there is memory for; `rate` and `burst` when the
    /// quota, or the fastest, is beyond what the algorithm can hold (a bucket's burst: 1,048,576; a fixed
    /// window: 1,048,575; a sliding window: 262,143; a sliding log: 4,096).
    pub fn with_config(config: LimiterConfig, clock: Clock) -> Result<Self, ConfigError> {
        Self::in_room(&mut ObjectAllocator::of_process(config.huge_pages), &config.resolved()?, clock.now(), clock)
    }

    /// Its parts in their order. `config`: what it was made with, by whom it was made first.
    fn in_room(
        room: &mut ObjectAllocator,
        config: &LimiterConfig,
        epoch_ns: u64,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let LimiterConfig { algorithm, quota, max_keys, .. } = *config;
        config::MAX_KEYS.check_count(max_keys as u64, "")?;
        let hasher = KeyHasher::of(room);
        let declared: Vec<Quota> = std::iter::once(quota).chain(config.fastest).collect();
        let present = Present::new(clock.clone(), epoch_ns);
        let rule = AnyAlgorithm::in_room(room, algorithm, &declared, max_keys, &present)?;
        declared.iter().try_for_each(|quota| rule.units(quota).map(|_| ()))?;
        let quotas = Quotas::in_room(room, quota)?;
        if room.is_fresh() {
            let (quota, units) = rule.number(&quota, &rule.units(&quota)?)?;
            quotas.put(&quota, units);
        }
        Ok(Self {
            quotas,
            counts: Striped::in_room(room)?,
            // Last: who looks inside does without it.
            strikes: config.block.map(|block| Strikes::in_room(room, block, max_keys, present)).transpose()?,
            identity: hasher.identity(),
            hasher,
            rule,
            epoch_ns,
            clock,
            mode: config.mode,
            warm_up: config.warm_up,
            algorithm,
            max_keys,
        })
    }

    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How it counts.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The default quota in force.
    pub fn quota(&self) -> Quota {
        self.quotas.default()
    }

    /// How many live keys it was made for: of so many, fewer than 0.04 % find no cell of their own.
    pub fn max_keys(&self) -> usize {
        self.max_keys
    }

    /// What it does with its decisions.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// A quota of its own for some keys or calls. A key whose quota changes keeps the part that is used: of a bucket
    /// the part of the burst, rounded up; of a window the count.
    ///
    /// **Any quotas, in any order, on one key** admit at one moment at most the largest of their bursts, and over time
    /// at most that for each of the shortest of their times to fill (of windows: in each of the shortest period): in a
    /// stretch of `t` at most `burst * (1 + t / fill)`. So where one of them has the largest burst and the shortest
    /// time to fill, they admit together no more than it alone. What is used comes back by the quota that it was
    /// charged by, or from its first call on by one that fills sooner. In a leaky bucket it does so by the one that it
    /// was charged by: times that were told stand. (A clock that goes back between two quotas of a key passes the same
    /// time twice, and so does what comes back in it; one that goes back under one quota mints nothing.)
    ///
    /// A bucket tells seven times to fill apart, of all quotas that the limiter has ever had, in whichever processes. A
    /// quota with an eighth gets a smaller [burst](Tier::quota), one that fills in the next shorter of the seven; or,
    /// where one of those is longer by less than a token of it takes, it is counted by that: by turns the two may admit
    /// less than one token more than the bound, once.
    ///
    /// Errors: `rate` or `burst` when it is faster, slower or larger than the table was made for; `burst` when it is an
    /// eighth that fills sooner than all seven; `period` when a sliding algorithm has another; in an arena, `arena`
    /// when the system refuses its lock.
    pub fn tier(&self, quota: Quota) -> Result<Tier, ConfigError> {
        let quota = config::counted(self.algorithm, quota)?;
        let units = self.rule.units(&quota)?;
        let (quota, units) = match self.rule.numbered(&quota, &units) {
            Some(known) => known,
            None => self.quotas.locked(|| self.rule.number(&quota, &units))??,
        };
        Ok(Tier { quota, units: units.pack(), limiter: self.identity })
    }

    /// Takes `n` from the key's limit, or nothing. `n` = 0 takes nothing and is denied only under a penalty. A leaky
    /// bucket admits here only what needs no delay.
    #[inline]
    pub fn try_acquire(&self, key: &[u8], n: u32) -> bool {
        self.try_acquire_at(self.clock.now(), key, n)
    }

    /// [`try_acquire`](Self::try_acquire) at `now` nanoseconds of this limiter's clock.
    #[inline]
    pub fn try_acquire_at(&self, now: u64, key: &[u8], n: u32) -> bool {
        self.acquire(now, key, n, self.default_units())
    }

    /// Takes `n` from the key's limit, or nothing, and tells what is left. A leaky bucket's admission comes with a
    /// [delay](Decision::delay_ns) to wait before acting.
    pub fn check(&self, key: &[u8], n: u32) -> Decision {
        self.check_at(self.clock.now(), key, n)
    }

    /// [`check`](Self::check) at `now`.
    pub fn check_at(&self, now: u64, key: &[u8], n: u32) -> Decision {
        self.decide(now, key, n, self.default_units())
    }

    /// [`check`](Self::check) by another quota than the default.
    pub fn check_tier(&self, key: &[u8], n: u32, tier: &Tier) -> Decision {
        self.check_tier_at(self.clock.now(), key, n, tier)
    }

    /// [`check_tier`](Self::check_tier) at `now`.
    pub fn check_tier_at(&self, now: u64, key: &[u8], n: u32, tier: &Tier) -> Decision {
        self.decide(now, key, n, self.tier_units(Some(tier)))
    }

    /// [`try_acquire`](Self::try_acquire) by another quota than the default.
    pub fn try_acquire_tier(&self, key: &[u8], n: u32, tier: &Tier) -> bool {
        self.try_acquire_tier_at(self.clock.now(), key, n, tier)
    }

    /// [`try_acquire_tier`](Self::try_acquire_tier) at `now`.
    pub fn try_acquire_tier_at(&self, now: u64, key: &[u8], n: u32, tier: &Tier) -> bool {
        self.acquire(now, key, n, self.tier_units(Some(tier)))
    }

    /// Looks without taking: `allowed` and `retry_after` as `check(key, 1)` would say, `remaining` what is there now.
    /// `tier`: `None` is the default quota. Whatever its reading, a look changes nobody's answer.
    pub fn peek(&self, key: &[u8], tier: Option<&Tier>) -> Decision {
        self.peek_at(self.clock.now(), key, tier)
    }

    /// [`peek`](Self::peek) at `now`.
    pub fn peek_at(&self, now: u64, key: &[u8], tier: Option<&Tier>) -> Decision {
        let units = self.tier_units(tier);
        if self.mode == Mode::Disabled {
            return self.untouched(&units);
        }
        let (ns, units) = self.moment(now, units);
        let taken = self.rule.look(self.hash(key), ns, &units, 1);
        self.mode.answer(taken.decision(&units))
    }

    /// Gives `n` back, never above full; does not shorten a penalty. Of a log the newest go. A key without a cell of
    /// its own gets nothing back.
    pub fn refund(&self, key: &[u8], n: u32, tier: Option<&Tier>) {
        self.refund_at(self.clock.now(), key, n, tier);
    }

    /// [`refund`](Self::refund) at `now`.
    pub fn refund_at(&self, now: u64, key: &[u8], n: u32, tier: Option<&Tier>) {
        if self.mode == Mode::Disabled {
            return;
        }
        let (ns, units) = self.moment(now, self.tier_units(tier));
        self.rule.refund(self.hash(key), ns, &units, n);
    }

    /// Nothing for the key before `now + wait` (at most a year, rounded up to about a millisecond, or a tick where
    /// that is longer); a penalty in force is only lengthened. From its end on a token bucket refills from empty; the
    /// others start anew, so that there it lasts until what was counted before it is over.
    /// Returns whether there was room to note it: a key without a cell is not penalised, for others share its word.
    pub fn penalize(&self, key: &[u8], wait: Duration) -> bool {
        self.penalize_at(self.clock.now(), key, wait)
    }

    /// [`penalize`](Self::penalize) at `now`.
    pub fn penalize_at(&self, now: u64, key: &[u8], wait: Duration) -> bool {
        if self.mode == Mode::Disabled {
            return true;
        }
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.rule.penalize(self.hash(key), self.since(now), wait)
    }

    /// The key as new: ends a penalty and forgets its blocks.
    pub fn reset(&self, key: &[u8]) {
        self.reset_at(self.clock.now(), key);
    }

    /// [`reset`](Self::reset) at `now`.
    pub fn reset_at(&self, now: u64, key: &[u8]) {
        let (key, ns) = (self.hash(key), self.since(now));
        self.rule.reset(key, ns);
        if let Some(strikes) = &self.strikes {
            strikes.forget(key, ns);
        }
    }

    /// All keys as new, for tests and operators; counters stay. Takes time in proportion to the table, and is not one
    /// moment for keys that are in use meanwhile.
    pub fn reset_all(&self) {
        self.reset_all_at(self.clock.now());
    }

    /// [`reset_all`](Self::reset_all) at `now`.
    pub fn reset_all_at(&self, now: u64) {
        let ns = self.since(now);
        self.rule.clear(ns);
        if let Some(strikes) = &self.strikes {
            strikes.clear(ns);
        }
    }

    /// Changes the default quota: every key keeps the part that it has used of a bucket, or the count of its window.
    /// What is told of [tiers](Self::tier) holds for quotas by turns here too.
    ///
    /// Errors: as [`tier`](Self::tier).
    pub fn set_quota(&self, quota: Quota) -> Result<(), ConfigError> {
        let quota = config::counted(self.algorithm, quota)?;
        let units = self.rule.units(&quota)?;
        self.quotas.locked(|| self.put_quota(&quota, units))?
    }

    /// Under the lock.
    fn put_quota(&self, quota: &Quota, units: Units) -> Result<(), ConfigError> {
        let (quota, units) = self.rule.number(quota, &units)?;
        self.quotas.put(&quota, units);
        Ok(())
    }

    /// Fixed windows only: counts `n` hits of the key whatever the limit, for stores that judge by themselves.
    ///
    /// A key without room shares a window, which goes on for a period after each hit of whoever shares it that comes to
    /// this limiter's own limit at most.
    ///
    /// Errors: `algorithm` when this is not a fixed window.
    pub fn hit(&self, key: &[u8], n: u32) -> Result<Hits, ConfigError> {
        self.hit_at(self.clock.now(), key, n)
    }

    /// [`hit`](Self::hit) at `now`.
    pub fn hit_at(&self, now: u64, key: &[u8], n: u32) -> Result<Hits, ConfigError> {
        let units = self.default_units();
        self.rule.hit(self.hash(key), self.since(now), &units, n).ok_or_else(|| {
            let message = format!("only a fixed_window counts hits, this is a {}", self.algorithm);
            ConfigError::new(crate::ConfigErrorKind::Conflict, "algorithm", message)
        })
    }

    /// Sliding windows only: the two counts behind a key's estimate, for stores that judge by themselves.
    ///
    /// Errors: `algorithm` when this is not a sliding window.
    pub fn windows(&self, key: &[u8]) -> Result<Windows, ConfigError> {
        self.windows_at(self.clock.now(), key)
    }

    /// [`windows`](Self::windows) at `now`.
    pub fn windows_at(&self, now: u64, key: &[u8]) -> Result<Windows, ConfigError> {
        self.rule.windows(self.hash(key), self.since(now)).ok_or_else(|| {
            let message = format!("only a sliding_window has two windows, this is a {}", self.algorithm);
            ConfigError::new(crate::ConfigErrorKind::Conflict, "algorithm", message)
        })
    }

    /// Live (not idle) keys with a cell of their own; those in the sketch do not count. May exceed
    /// [`max_keys`](Self::max_keys): the table has nearly four cells for each of these, because keys do not spread
    /// evenly, and turns nobody away who finds one free.
    /// Takes time in proportion to the table.
    pub fn len(&self) -> usize {
        self.len_at(self.clock.now())
    }

    /// [`len`](Self::len) at `now`.
    pub fn len_at(&self, now: u64) -> usize {
        self.rule.len(self.since(now))
    }

    /// Whether no key is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the table and all else that grows with `max_keys`, whether touched yet or not.
    pub fn memory(&self) -> usize {
        self.rule.memory() + self.strikes.as_ref().map_or(0, Strikes::memory)
    }

    /// Counts since the limiter was made.
    pub fn stats(&self) -> LimiterStats {
        LimiterStats {
            admitted: self.counts.sum(ADMITTED),
            denied: self.counts.sum(DENIED),
            would_deny: self.counts.sum(WOULD_DENY),
            blocked: self.counts.sum(BLOCKED),
            evictions: self.rule.evictions(),
            overflowed: self.rule.overflowed(),
        }
    }

    #[inline]
    fn acquire(&self, now: u64, key: &[u8], n: u32, units: Units) -> bool {
        if self.mode == Mode::Disabled {
            return true;
        }
        let key = self.hash(key);
        let (ns, units) = self.moment(now, units);
        if self.rule.acquire(key, ns, &units, n) {
            self.counts.add(ADMITTED, 1);
            return true;
        }
        self.refused(key, ns);
        self.mode == Mode::DryRun
    }

    fn decide(&self, now: u64, key: &[u8], n: u32, units: Units) -> Decision {
        if self.mode == Mode::Disabled {
            return self.untouched(&units);
        }
        let key = self.hash(key);
        let (ns, open) = self.moment(now, units);
        let taken = self.rule.take(key, ns, &open, n);
        if taken.allowed {
            self.counts.add(ADMITTED, 1);
        } else if self.refused(key, ns) {
            // It may have been one denial too many: the wait is the block's.
            let blocked = self.rule.look(key, ns, &open, n);
            return self.mode.answer(self.told(&Taken { allowed: false, ..blocked }, ns, n, (&units, &open)));
        }
        self.mode.answer(self.told(&taken, ns, n, (&units, &open)))
    }

    /// A decision on `n` by a quota of which so much was open.
    fn told(&self, taken: &Taken, ns: u64, n: u32, (units, open): (&Units, &Units)) -> Decision {
        let decision = taken.decision(open);
        // `n` is more than is open.
        if decision.retry_after_ns == NEVER { self.until_open(decision, ns, n, units) } else { decision }
    }

    /// What is not open yet can be had once it is, and the key is as new: so as much is left then, whatever a token
    /// costs.
    #[cold]
    fn until_open(&self, decision: Decision, ns: u64, n: u32, units: &Units) -> Decision {
        let opens_in = self.warm_up.and_then(|warm_up| warm_up.opens_in(ns, units.burst, n));
        let retry_after_ns = opens_in.map_or(NEVER, |opens_in| opens_in.max(decision.reset_after_ns));
        Decision { retry_after_ns, ..decision }
    }

    fn untouched(&self, units: &Units) -> Decision {
        Decision {
            allowed: true,
            limit: units.burst,
            remaining: units.burst,
            retry_after_ns: 0,
            reset_after_ns: 0,
            delay_ns: 0,
        }
    }

    /// Counts a denial; true if the key is blocked by now.
    fn refused(&self, key: KeyHash, ns: u64) -> bool {
        self.counts.add(if self.mode == Mode::DryRun { WOULD_DENY } else { DENIED }, 1);
        self.strikes.as_ref().is_some_and(|strikes| self.strike(strikes, key, ns))
    }

    #[cold]
    fn strike(&self, strikes: &Strikes, key: KeyHash, ns: u64) -> bool {
        // A key that is already blocked has had its verdict.
        if self.rule.is_penalised(key, ns) {
            return true;
        }
        let Some(length) = strikes.denied(key, ns) else { return false };
        self.counts.add(BLOCKED, 1);
        self.rule.penalize(key, ns, length)
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> KeyHash {
        self.hasher.hash(key)
    }

    #[inline]
    fn since(&self, now: u64) -> u64 {
        now.saturating_sub(self.epoch_ns)
    }

    /// Nanoseconds since the epoch, and the quota as far as it has warmed up by then.
    #[inline]
    fn moment(&self, now: u64, units: Units) -> (u64, Units) {
        let ns = self.since(now);
        match &self.warm_up {
            Some(warm_up) if !warm_up.is_over(ns) => (ns, self.rule.warming(&units, warm_up.burst(ns, units.burst))),
            _ => (ns, units),
        }
    }

    #[inline]
    fn default_units(&self) -> Units {
        self.quotas.units()
    }

    fn tier_units(&self, tier: Option<&Tier>) -> Units {
        match tier {
            None => self.default_units(),
            Some(tier) if tier.limiter == self.identity => Units::unpack(tier.units),
            Some(stranger) => {
                self.tier(stranger.quota).map_or_else(|_| self.default_units(), |own| Units::unpack(own.units))
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod arena_tests;
#[cfg(all(test, not(loom)))]
mod hostile_tests;
#[cfg(all(test, not(loom)))]
mod sweep_tests;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;
