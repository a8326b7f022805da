//! One bucket in several words, so that many threads contend less. Rate and burst are split, so the whole can never
//! admit more than one word would; a thread tries its own stripe first and the others before it is denied.

use super::state::BucketState;
use super::types::STRIPES;
use super::{BucketConfig, Receipt, Ticket, TokenBucket, busy};
use crate::counters::thread_hint;
use crate::decision::{Decision, NEVER};
use crate::limit::WarmUp;
use crate::{Clock, ConfigError, ConfigErrorKind, Quota};

impl TokenBucket {
    /// A full bucket whose rate and burst are split over `stripes` words (1 to 64). Good for many threads on one hot
    /// limit; costs a little accuracy: a call may be denied while the tokens it needs lie spread over several stripes,
    /// and a cost above `burst / stripes` (rounded down) is "never".
    ///
    /// Errors: `stripes` when it is 0 or above 64; `burst` when it is smaller than `stripes`.
    pub fn striped(quota: Quota, stripes: u32, clock: Clock) -> Result<Self, ConfigError> {
        Self::with_options(quota, BucketConfig { stripes, ..BucketConfig::default() }, clock)
    }

    /// Every stripe once, the calling thread's own first.
    pub(super) fn stripes(&self) -> impl Iterator<Item = &BucketState> {
        self.order().map(|index| self.stripe(index))
    }

    fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let count = self.others.len() + 1;
        let own = if count == 1 { 0 } else { thread_hint() % count };
        (0..count).map(move |i| (own + i) % count)
    }

    #[inline]
    pub(super) fn stripe(&self, index: usize) -> &BucketState {
        if index == 0 { &self.state } else { &self.others[index - 1] }
    }

    #[inline(never)]
    pub(super) fn acquire_striped_by_ticks(&self, n: u32) -> Option<bool> {
        let count = self.others.len() + 1;
        // Masking where it can: a division costs as much as the rest.
        let hint = thread_hint();
        let own = if count.is_power_of_two() { hint & (count - 1) } else { hint % count };
        if self.stripe(own).acquire_by_ticks(&self.clock, n)? {
            return Some(true);
        }
        for i in 1..count {
            if self.stripe((own + i) % count).acquire_by_ticks(&self.clock, n)? {
                return Some(true);
            }
        }
        Some(false)
    }

    pub(super) fn check_striped(&self, now: u64, n: u32) -> Decision {
        self.charge_striped(now, n).0
    }

    /// Takes `n` from the first stripe that has them; what it tells is about the whole.
    pub(super) fn charge_striped(&self, now: u64, n: u32) -> (Decision, Option<Receipt>) {
        let (mut retry, mut receipt) = (NEVER, None);
        for index in self.order() {
            let (decision, charged) = self.stripe(index).charge_for_receipt(now, n, index as u32);
            retry = retry.min(decision.retry_after_ns);
            if decision.allowed {
                receipt = charged;
                break;
            }
        }
        (Decision { allowed: retry == 0, retry_after_ns: retry, ..self.look_striped(now, n) }, receipt)
    }

    pub(super) fn look_striped(&self, now: u64, n: u32) -> Decision {
        self.stripes()
            .map(|stripe| stripe.look(now, n))
            .reduce(|a, b| Decision {
                allowed: a.allowed || b.allowed,
                limit: a.limit.saturating_add(b.limit),
                remaining: a.remaining.saturating_add(b.remaining),
                retry_after_ns: a.retry_after_ns.min(b.retry_after_ns),
                reset_after_ns: a.reset_after_ns.max(b.reset_after_ns),
                delay_ns: 0,
            })
            .unwrap_or_else(|| self.state.look(now, n))
    }

    pub(super) fn reserve_striped(&self, now: u64, n: u32, max_wait_ns: u64) -> Result<(u64, Ticket), u64> {
        // The stripe with the shortest wait as far as can be seen; booking there is exact again.
        let wait = |index: usize| self.stripe(index).wait(now, n);
        let best = (0..=self.others.len()).min_by_key(|&index| wait(index)).unwrap_or(0);
        let (wait, ticket) = self.stripe(best).reserve(now, n, max_wait_ns)?;
        Ok((wait, Ticket { word: ticket.word, booking: with_stripe(ticket.booking, best) }))
    }

    pub(super) fn cancel_striped(&self, now: u64, ticket: Ticket) -> bool {
        let (booking, index) = without_stripe(ticket.booking);
        index <= self.others.len() && self.stripe(index).cancel(now, Ticket { word: ticket.word, booking })
    }

    /// Gives each stripe what it has room for, the calling thread's own first.
    pub(super) fn refund_striped(&self, now: u64, n: u32) {
        let mut left = n;
        for stripe in self.stripes() {
            let look = stripe.look(now, 0);
            let room = look.limit.saturating_sub(look.remaining).min(left);
            stripe.refund(now, room);
            left -= room;
        }
    }

    pub(super) fn set_quota_striped(&self, now: u64, quota: &Quota) -> Result<(), ConfigError> {
        let shares = shares(quota, self.others.len() as u32 + 1, self.warm_up)?;
        for (index, share) in shares.iter().enumerate() {
            self.stripe(index).set_quota(now, share).map_err(busy)?;
        }
        Ok(())
    }
}

/// The quota of each stripe: the rate divided by their number, the burst split as evenly as it goes.
/// A ramp must leave each of them a token, or the whole would start with more than its part.
pub(super) fn shares(quota: &Quota, stripes: u32, warm_up: Option<WarmUp>) -> Result<Vec<Quota>, ConfigError> {
    STRIPES.check_count(stripes.into(), "")?;
    if quota.burst() < stripes {
        let message = format!(
            "a burst of {} cannot be split over {stripes} stripes; use a burst of at least {stripes} or fewer stripes",
            quota.burst()
        );
        return Err(ConfigError::out_of_range("burst", message));
    }
    let (each, more) = (quota.burst() / stripes, quota.burst() % stripes);
    if stripes > 1 && warm_up.is_some_and(|ramp| ramp.starts_below_one(each)) {
        let message = format!(
            "a warm-up would start each of {stripes} stripes with less than one token of its burst of {each}; use \
             fewer stripes, a larger burst or a larger fraction to start from"
        );
        return Err(ConfigError::new(ConfigErrorKind::Conflict, "stripes", message));
    }
    (0..stripes).map(|i| quota.share(stripes, each + u32::from(i < more))).collect()
}

/// A booking is `stripe:6 | number:26 | n:32`, see [`Bookings`](super::bookings::Bookings).
fn with_stripe(booking: u64, stripe: usize) -> u64 {
    booking | (stripe as u64) << 58
}

fn without_stripe(booking: u64) -> (u64, usize) {
    (booking & ((1 << 58) - 1), (booking >> 58) as usize)
}
