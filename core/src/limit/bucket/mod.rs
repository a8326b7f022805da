//! Token bucket.

#[cfg(not(loom))]
mod arena;
mod booking;
mod bookings;
mod reach;
mod receipt;
mod slot;
mod state;
mod stripes;
mod switches;
mod types;
mod view;
mod word;

pub(super) use receipt::Receipt;
pub use types::{BucketConfig, BucketStats, Reservation, SETTINGS, Ticket};

use crate::counters::Striped;
use crate::limit::{Mode, WarmUp};
use crate::memory::{ChangeLock, ObjectAllocator, One, SeqLock};
use crate::{Clock, ConfigError, ConfigErrorKind, Decision, Quota};
use state::{BucketState, GaveUp, Setting};
use std::sync::Arc;
use std::time::Duration;
use types::STRIPES;

/// A token bucket: starts full, refills at the quota's rate, holds at most the burst.
///
/// One atomic word in units of the token (the generic cell rate algorithm, ITU-T I.371, as governor uses it); rates are
/// exact. Every operation has an `_at` form that takes the time in nanoseconds of this bucket's clock; the plain form
/// reads the clock. A clock that steps back never mints tokens: until it catches up the bucket may deny early.
/// It counts for 36 years from when it was made, at least (73 where it fills in days). At rates that need fine units it
/// goes over to coarser ones after 4 years at the earliest, once: the rate is then low by at most one in a million, and
/// tickets of before are void.
///
/// Thread safety: all methods may be called from any thread at any time. Decisions take no lock and make no system
/// call; `set_quota` and `reset` take one among themselves. Over any span of time no more than burst + rate × time is
/// admitted.
///
/// ```
/// use tidegate::{ManualClock, TokenBucket};
/// use std::time::Duration;
///
/// let clock = ManualClock::new(0);
/// let bucket = TokenBucket::with_clock("400/s".parse::<tidegate::Quota>()?.with_burst(800)?, (&clock).into());
/// assert!(bucket.try_acquire(800));
/// let denied = bucket.check(1);
/// assert!(!denied.allowed);
/// clock.advance(denied.retry_after().unwrap());
/// assert!(bucket.try_acquire(1));
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct TokenBucket {
    state: BucketState,
    /// The other stripes, none by default.
    others: Box<[BucketState]>,
    clock: Clock,
    mode: Mode,
    warm_up: Option<WarmUp>,
    counts: Striped<3>,
    /// The quota of the whole bucket: count, period in nanoseconds, burst.
    quota: One<SeqLock<3>>,
    /// Held by `set_quota` and `reset`.
    changes: Arc<ChangeLock>,
}

const ADMITTED: usize = 0;
const DENIED: usize = 1;
const WOULD_DENY: usize = 2;

impl TokenBucket {
    /// A full bucket on the monotonic clock; switched off where the environment says `TIDEGATE_DISABLED=1`.
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, Clock::monotonic())
    }

    /// [`new`](Self::new) on `clock`.
    pub fn with_clock(quota: Quota, clock: Clock) -> Self {
        let room = &mut ObjectAllocator::of_process(false);
        let made = Self::of_shares(room, quota, &[quota], BucketConfig::default(), clock.now(), clock);
        made.expect("a few hundred bytes of memory")
    }

    /// A full bucket as `options` say, on `clock`.
    ///
    /// Errors: `stripes` when it is 0 or above 64, or so many that a warm-up would start a stripe with less than a
    /// token; `burst` when it is smaller than `stripes`.
    pub fn with_options(quota: Quota, options: BucketConfig, clock: Clock) -> Result<Self, ConfigError> {
        let shares = stripes::shares(&quota, options.stripes, options.warm_up)?;
        Self::of_shares(&mut ObjectAllocator::of_process(false), quota, &shares, options, clock.now(), clock)
    }

    /// `shares`: the quota of each stripe, at least one.
    fn of_shares(
        room: &mut ObjectAllocator,
        quota: Quota,
        shares: &[Quota],
        options: BucketConfig,
        epoch_ns: u64,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let BucketConfig { mode, warm_up, .. } = options;
        let changes = Arc::new(ChangeLock::of(room));
        let setting = Setting { epoch_ns, clock: &clock, warm_up, enforced: mode == Mode::Enforce, changes: &changes };
        let stripe = |room: &mut ObjectAllocator, share| BucketState::in_room(room, share, &setting);
        let state = stripe(room, &shares[0])?;
        let others = shares[1..].iter().map(|share| room.sized_by(&STRIPES, |room| stripe(room, share)));
        let others = others.collect::<Result<_, _>>()?;
        let latest = room.one::<SeqLock<3>>()?;
        if room.is_fresh() {
            latest.write(words(&quota));
        }
        let counts = Striped::in_room(room)?;
        Ok(Self { state, others, clock, mode, warm_up, counts, quota: latest, changes })
    }

    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether it is off, or only watching.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The quota in force; a warm-up ramps up to it.
    pub fn quota(&self) -> Quota {
        let [count, period_ns, burst] = self.quota.read();
        let quota = u32::try_from(burst).ok().and_then(|burst| Quota::from_parts(count, period_ns, burst));
        // Foreign bytes in an arena: the slowest there is.
        quota.unwrap_or(Quota::SLOWEST)
    }

    /// Takes `n` tokens, or nothing. `n` = 0 takes nothing and is denied only in debt or under a penalty.
    #[inline]
    pub fn try_acquire(&self, n: u32) -> bool {
        let decided = if self.others.is_empty() {
            self.state.acquire_by_ticks(&self.clock, n)
        } else {
            self.acquire_striped_by_ticks(n)
        };
        match decided {
            // Only where the limit is enforced: other modes have no counter of ticks.
            Some(allowed) => {
                self.counts.add(if allowed { ADMITTED } else { DENIED }, 1);
                allowed
            }
            None => self.try_acquire_by_ns(n),
        }
    }

    #[cold]
    fn try_acquire_by_ns(&self, n: u32) -> bool {
        self.try_acquire_at(self.clock.now(), n)
    }

    /// [`try_acquire`](Self::try_acquire) at `now` nanoseconds of this bucket's clock.
    pub fn try_acquire_at(&self, now: u64, n: u32) -> bool {
        self.mode == Mode::Disabled || self.count(self.stripes().any(|stripe| stripe.acquire(now, n)))
    }

    /// Takes `n` tokens, or nothing, and tells what is left.
    pub fn check(&self, n: u32) -> Decision {
        self.check_at(self.clock.now(), n)
    }

    /// [`check`](Self::check) at `now`.
    pub fn check_at(&self, now: u64, n: u32) -> Decision {
        if self.mode == Mode::Disabled {
            return self.untouched();
        }
        self.settle(if self.others.is_empty() { self.state.check(now, n) } else { self.check_striped(now, n) })
    }

    /// Looks without taking: `allowed` and `retry_after` as `check(1)` would say, `remaining` what is there now.
    pub fn peek(&self) -> Decision {
        self.peek_at(self.clock.now())
    }

    /// [`peek`](Self::peek) at `now`.
    pub fn peek_at(&self, now: u64) -> Decision {
        self.mode.answer(self.probe(now, 1))
    }

    /// Books `n` tokens ahead, if the wait is at most `max_wait` (`None`: as long as it takes). Wait that long, then
    /// act; the booking is already paid.
    pub fn reserve(&self, n: u32, max_wait: Option<Duration>) -> Reservation {
        self.reserve_at(self.clock.now(), n, max_wait)
    }

    /// [`reserve`](Self::reserve) at `now`.
    pub fn reserve_at(&self, now: u64, n: u32, max_wait: Option<Duration>) -> Reservation {
        if self.mode == Mode::Disabled {
            return switches::UNBOOKED;
        }
        let max_wait = max_wait.map_or(u64::MAX, saturating_ns);
        let answer = if self.others.is_empty() {
            self.state.reserve(now, n, max_wait)
        } else {
            self.reserve_striped(now, n, max_wait)
        };
        let admitted = self.count(answer.is_ok());
        match answer {
            Ok((_, ticket)) if self.mode == Mode::DryRun => Reservation::Booked { wait_ns: 0, ticket },
            Err(_) if admitted => switches::UNBOOKED,
            Ok((wait_ns, ticket)) => Reservation::Booked { wait_ns, ticket },
            Err(retry_after_ns) => Reservation::Denied { retry_after_ns },
        }
    }

    /// Gives a booking back: nothing once its time has come, else its cost minus what was booked behind it and is still
    /// out (the rule of Go's x/time/rate). So the last booking comes back whole, then the one before it. One from the
    /// middle does not, for those behind it were told their times: with a burst of 10 in use, and 10 booked for 1 s and
    /// 10 for 2 s from now, to give all of the first back would book the next 10 for 2 s as well.
    ///
    /// Nothing during a penalty, and nothing after `reset` or `set_quota`, which void tickets. A ticket counts once,
    /// and as long as it is among the latest 256 that had to wait; do not keep one for 2^26 more. Returns whether
    /// anything came back.
    pub fn cancel(&self, ticket: Ticket) -> bool {
        self.cancel_at(self.clock.now(), ticket)
    }

    /// [`cancel`](Self::cancel) at `now`.
    pub fn cancel_at(&self, now: u64, ticket: Ticket) -> bool {
        if self.others.is_empty() { self.state.cancel(now, ticket) } else { self.cancel_striped(now, ticket) }
    }

    /// Gives `n` tokens back, never above full; does not shorten a penalty.
    pub fn refund(&self, n: u32) {
        self.refund_at(self.clock.now(), n);
    }

    /// [`refund`](Self::refund) at `now`.
    pub fn refund_at(&self, now: u64, n: u32) {
        if self.mode == Mode::Disabled {
            return;
        }
        if self.others.is_empty() { self.state.refund(now, n) } else { self.refund_striped(now, n) }
    }

    /// Nothing is admitted before `now + wait`, then the bucket refills from empty. A penalty in force is only ever
    /// lengthened.
    pub fn penalize(&self, wait: Duration) {
        self.penalize_at(self.clock.now(), wait);
    }

    /// [`penalize`](Self::penalize) at `now`.
    pub fn penalize_at(&self, now: u64, wait: Duration) {
        if self.mode != Mode::Disabled {
            self.stripes().for_each(|stripe| stripe.penalize(now, saturating_ns(wait)));
        }
    }

    /// Full again: ends a penalty and voids tickets, and no wait that was told before has to be kept.
    pub fn reset(&self) {
        self.reset_at(self.clock.now());
    }

    /// [`reset`](Self::reset) at `now`.
    pub fn reset_at(&self, now: u64) {
        // Without the lock (only an arena's can be refused) nothing is changed.
        if let Ok(_held) = self.changes.lock() {
            for stripe in self.stripes() {
                // Nothing to tell: whoever keeps all these exchanges from winning admits nothing by them.
                let _ = stripe.reset(now);
            }
        }
    }

    /// Changes the quota. The level at `now` is kept, rounded towards fewer tokens and clipped to the new burst; it is
    /// one exchange of the word, so an acquisition comes wholly before or wholly after it. Voids tickets; a penalty
    /// keeps its end.
    ///
    /// Errors: for a striped bucket, when the new burst is too small for the number of stripes; in an arena, `arena`
    /// when the system refuses its lock; kind [`Busy`](crate::ConfigErrorKind::Busy) when too many others change the
    /// bucket at the same time, and the old quota is in force (of a striped bucket in some stripes): try again.
    pub fn set_quota(&self, quota: Quota) -> Result<(), ConfigError> {
        self.set_quota_at(self.clock.now(), quota)
    }

    /// [`set_quota`](Self::set_quota) at `now`.
    pub fn set_quota_at(&self, now: u64, quota: Quota) -> Result<(), ConfigError> {
        let _held = self.changes.lock()?;
        self.change_quota(now, &quota)
    }

    /// [`set_quota_at`](Self::set_quota_at) under the lock.
    fn change_quota(&self, now: u64, quota: &Quota) -> Result<(), ConfigError> {
        if self.others.is_empty() {
            self.state.set_quota(now, quota).map_err(busy)?;
        } else {
            self.set_quota_striped(now, quota)?;
        }
        self.quota.write(words(quota));
        Ok(())
    }

    /// Counts since the bucket was made.
    pub fn stats(&self) -> BucketStats {
        BucketStats {
            admitted: self.counts.sum(ADMITTED),
            denied: self.counts.sum(DENIED),
            would_deny: self.counts.sum(WOULD_DENY),
        }
    }
}

/// A quota as it is kept.
fn words(quota: &Quota) -> [u64; 3] {
    [quota.count(), quota.period().as_nanos() as u64, quota.burst().into()]
}

fn busy(_: GaveUp) -> ConfigError {
    let message = "was not changed: too many others change the bucket at the same time; try again";
    ConfigError::new(ConfigErrorKind::Busy, "rate", message)
}

fn saturating_ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(all(test, not(loom)))]
mod receipt_tests;
#[cfg(all(test, not(loom)))]
mod switch_tests;
#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;
