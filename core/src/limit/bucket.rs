//! Token bucket.

use crate::{Clock, ConfigError, Decision, Quota};
use std::time::Duration;

/// A token bucket: starts full, refills at the quota's rate, holds at most the burst.
#[derive(Debug)]
pub struct TokenBucket {
    clock: Clock,
}

/// A booking made by [`TokenBucket::reserve`], by value: hand it back to [`TokenBucket::cancel`] or drop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ticket {
    /// Opaque.
    pub word: u64,
    /// Opaque.
    pub booking: u64,
}

/// What [`TokenBucket::reserve`] answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// Booked: act after `wait_ns` nanoseconds (0 = now).
    Booked {
        /// Nanoseconds until the tokens are there.
        wait_ns: u64,
        /// For [`TokenBucket::cancel`].
        ticket: Ticket,
    },
    /// Nothing was booked: the wait would have been longer than `max_wait`.
    Denied {
        /// The wait it would have taken, in nanoseconds; [`NEVER`](crate::decision::NEVER) when the cost exceeds the burst.
        retry_after_ns: u64,
    },
}

/// Counts since the bucket was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketStats {
    /// Calls admitted.
    pub admitted: u64,
    /// Calls denied.
    pub denied: u64,
}

impl TokenBucket {
    /// A full bucket on the monotonic clock.
    pub fn new(quota: Quota) -> Self {
        Self::with_clock(quota, Clock::monotonic())
    }

    /// A full bucket on `clock`.
    pub fn with_clock(quota: Quota, clock: Clock) -> Self {
        let _ = quota;
        Self { clock }
    }

    /// Splits rate and burst over `stripes` words so that many threads contend less. Errors when burst < stripes.
    /// A cost above `burst / stripes` (rounded down) is "never".
    pub fn striped(quota: Quota, stripes: u32, clock: Clock) -> Result<Self, ConfigError> {
        let _ = (quota, stripes, clock);
        todo!()
    }

    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The quota in force.
    pub fn quota(&self) -> Quota {
        todo!()
    }

    /// Takes `n` tokens, or nothing. `n` = 0 takes nothing and is denied only in debt or under a penalty.
    #[inline]
    pub fn try_acquire(&self, n: u32) -> bool {
        self.try_acquire_at(self.clock.now(), n)
    }

    /// [`try_acquire`](Self::try_acquire) at `now` nanoseconds of this bucket's clock.
    pub fn try_acquire_at(&self, now: u64, n: u32) -> bool {
        let _ = (now, n);
        todo!()
    }

    /// Takes `n` tokens, or nothing, and tells what is left.
    pub fn check(&self, n: u32) -> Decision {
        self.check_at(self.clock.now(), n)
    }

    /// [`check`](Self::check) at `now`.
    pub fn check_at(&self, now: u64, n: u32) -> Decision {
        let _ = (now, n);
        todo!()
    }

    /// The answer that `check(1)` would give for `allowed`, `retry_after`; takes nothing, so `remaining` is what is there now.
    pub fn peek(&self) -> Decision {
        self.peek_at(self.clock.now())
    }

    /// [`peek`](Self::peek) at `now`.
    pub fn peek_at(&self, now: u64) -> Decision {
        let _ = now;
        todo!()
    }

    /// Books `n` tokens ahead, if the wait is at most `max_wait` (`None`: as long as it takes).
    pub fn reserve(&self, n: u32, max_wait: Option<Duration>) -> Reservation {
        self.reserve_at(self.clock.now(), n, max_wait)
    }

    /// [`reserve`](Self::reserve) at `now`.
    pub fn reserve_at(&self, now: u64, n: u32, max_wait: Option<Duration>) -> Reservation {
        let _ = (now, n, max_wait);
        todo!()
    }

    /// Gives a booking back: nothing once its time has come, else `n` minus what was booked after it.
    /// Returns whether anything came back.
    pub fn cancel(&self, ticket: Ticket) -> bool {
        self.cancel_at(self.clock.now(), ticket)
    }

    /// [`cancel`](Self::cancel) at `now`.
    pub fn cancel_at(&self, now: u64, ticket: Ticket) -> bool {
        let _ = (now, ticket);
        todo!()
    }

    /// Gives `n` tokens back, never above full; does not shorten a penalty.
    pub fn refund(&self, n: u32) {
        self.refund_at(self.clock.now(), n);
    }

    /// [`refund`](Self::refund) at `now`.
    pub fn refund_at(&self, now: u64, n: u32) {
        let _ = (now, n);
        todo!()
    }

    /// Nothing is admitted before `now + wait`, then the bucket refills from empty.
    pub fn penalize(&self, wait: Duration) {
        self.penalize_at(self.clock.now(), wait);
    }

    /// [`penalize`](Self::penalize) at `now`.
    pub fn penalize_at(&self, now: u64, wait: Duration) {
        let _ = (now, wait);
        todo!()
    }

    /// Full again: ends a penalty and voids tickets.
    pub fn reset(&self) {
        self.reset_at(self.clock.now());
    }

    /// [`reset`](Self::reset) at `now`.
    pub fn reset_at(&self, now: u64) {
        let _ = now;
        todo!()
    }

    /// Changes the quota; the level at `now` is kept (rounded towards fewer tokens, clipped to the new burst).
    pub fn set_quota(&self, quota: Quota) {
        self.set_quota_at(self.clock.now(), quota);
    }

    /// [`set_quota`](Self::set_quota) at `now`.
    pub fn set_quota_at(&self, now: u64, quota: Quota) {
        let _ = (now, quota);
        todo!()
    }

    /// Counts since the bucket was made.
    pub fn stats(&self) -> BucketStats {
        todo!()
    }
}
