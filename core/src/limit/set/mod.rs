//! Several limits over different keys as one decision.

mod decide;
mod member;
mod phases;
mod roll_back;

pub use member::Member;
pub(crate) use phases::{Looked, SetKeys};

use crate::{Clock, ConfigError, ConfigErrorKind, Decision};
use member::{Entry, Keys};

/// Their decisions live on the stack.
const MAX_MEMBERS: usize = LimitSet::MAX_MEMBERS;

/// Several limits over different keys (user, address, endpoint, everybody) decided all or nothing.
///
/// A call looks at all limits first, without writing: most denials end there, and leave nothing. Then it charges the
/// narrow limits before the wide ones, and leaky buckets last. Where another call took the last tokens in between, what
/// was charged is taken back, at most what it still holds. So:
/// - a denied call leaves nothing consumed, but for two charges, which stay until they expire: of a key in the overflow
///   sketch of a [`RateLimiter`](crate::RateLimiter), and of one of several leaky buckets when another call has booked
///   behind it meanwhile (that one was told to wait until after it);
/// - no member ever admits more than it would alone, whatever races;
/// - while a call is in flight, what it has charged may make another call deny; a process killed inside leaves its
///   charge to expire.
///
/// Each member counts a call of the set once: as admitted when the set admits, as denied when it was this member that
/// refused. A member in [`Mode::DryRun`](crate::limit::Mode::DryRun) counts what it would have denied and refuses
/// nothing; one that is `Disabled` touches nothing. The same limiter and key twice costs twice.
///
/// Thread safety: all methods may be called from any thread at any time; decisions take no lock, allocate nothing and
/// make no system call.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use tidegate::limit::{LimitSet, Member};
/// use tidegate::{ManualClock, TokenBucket};
///
/// let clock = ManualClock::new(0);
/// let bucket = |rate: &str| -> Result<Member, tidegate::ConfigError> {
///     Ok(Arc::new(TokenBucket::with_clock(rate.parse()?, (&clock).into())).into())
/// };
/// let set = LimitSet::new([("second", bucket("5/s")?), ("minute", bucket("8/min")?)])?;
///
/// assert!(set.check(&[], 5)?.decision.allowed);
/// clock.advance(Duration::from_secs(1));
/// let denied = set.check(&[], 4)?;
/// assert_eq!(denied.denied_by.and_then(|member| set.names().nth(member)), Some("minute"));
/// // Nothing was taken of the other limit: after the wait, both admit.
/// clock.advance(denied.decision.retry_after().unwrap());
/// assert!(set.check(&[], 4)?.decision.allowed);
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct LimitSet {
    entries: Box<[Entry]>,
    /// The order of charging: narrow first.
    order: Box<[usize]>,
    /// How many members take a key.
    keyed: usize,
    clock: Clock,
}

/// What a [`LimitSet`] decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct SetDecision {
    /// Denied: that of the limit with the longest wait ("never" wins; the first declared of equals). Allowed: that of
    /// the limit with the fewest left, of those that are enforced if any is, with the longest delay of all.
    pub decision: Decision,
    /// The limit that denied, as its place in the order of declaration.
    pub denied_by: Option<usize>,
}

impl LimitSet {
    /// The most limits of one set.
    pub const MAX_MEMBERS: usize = 16;

    /// The members in order, each with its name.
    ///
    /// Errors: `members` when there are none or more than 16, a name is empty or comes twice, or they run on different
    /// clocks.
    pub fn new<N: Into<String>>(members: impl IntoIterator<Item = (N, Member)>) -> Result<Self, ConfigError> {
        let members = members.into_iter().map(|(name, member)| (name.into(), member)).collect();
        let entries = Entry::all(members)?;
        let clock = entries[0].member.clock().clone();
        let mut order: Box<[usize]> = (0..entries.len()).collect();
        // Stable: equals in the order of declaration.
        order.sort_by_key(|&index| entries[index].member.width());
        let keyed = entries.iter().filter(|entry| entry.is_keyed()).count();
        Ok(Self { entries, order, keyed, clock })
    }

    /// Names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The members in order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), &entry.member))
    }

    /// The clock of the plain forms, which all members share.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes `n` from every member, or nothing from any. `keys`: one for each keyed member, in order.
    ///
    /// Errors: `keys` when there are more or fewer than keyed members.
    pub fn check(&self, keys: &[&[u8]], n: u32) -> Result<SetDecision, ConfigError> {
        self.check_each(keys, n, &mut [])
    }

    /// [`check`](Self::check) at `now` nanoseconds of the members' clock.
    pub fn check_at(&self, now: u64, keys: &[&[u8]], n: u32) -> Result<SetDecision, ConfigError> {
        self.check_each_at(now, keys, n, &mut [])
    }

    /// [`check`](Self::check) that also tells each member's own decision, in order, as far as `each` has room. Where
    /// the set denies, a member that did not is as it was before: allowed, with what it has left.
    pub fn check_each(&self, keys: &[&[u8]], n: u32, each: &mut [Decision]) -> Result<SetDecision, ConfigError> {
        self.check_each_at(self.clock.now(), keys, n, each)
    }

    /// [`check_each`](Self::check_each) at `now`.
    pub fn check_each_at(
        &self,
        now: u64,
        keys: &[&[u8]],
        n: u32,
        each: &mut [Decision],
    ) -> Result<SetDecision, ConfigError> {
        Ok(self.decide(now, &self.hashed(keys)?, n, each))
    }

    /// Looks without taking or counting: `allowed` and `retry_after` as `check(keys, n)` would say, `remaining` what is
    /// there now.
    pub fn peek(&self, keys: &[&[u8]], n: u32) -> Result<SetDecision, ConfigError> {
        self.peek_at(self.clock.now(), keys, n)
    }

    /// [`peek`](Self::peek) at `now`.
    pub fn peek_at(&self, now: u64, keys: &[&[u8]], n: u32) -> Result<SetDecision, ConfigError> {
        Ok(self.foresee(now, &self.hashed(keys)?, n))
    }

    /// [`peek`](Self::peek) that also tells each member's own decision, in order, as far as `each` has room.
    pub fn peek_each(&self, keys: &[&[u8]], n: u32, each: &mut [Decision]) -> Result<SetDecision, ConfigError> {
        self.peek_each_at(self.clock.now(), keys, n, each)
    }

    /// [`peek_each`](Self::peek_each) at `now`.
    pub fn peek_each_at(
        &self,
        now: u64,
        keys: &[&[u8]],
        n: u32,
        each: &mut [Decision],
    ) -> Result<SetDecision, ConfigError> {
        let looked = self.look_at(now, &self.keys_of(keys)?, n);
        for (place, (_, own)) in each.iter_mut().zip(self.each(&looked)) {
            *place = own;
        }
        Ok(self.told_by(&looked))
    }

    /// Gives `n` back to every member, never above full; does not shorten a penalty.
    pub fn refund(&self, keys: &[&[u8]], n: u32) -> Result<(), ConfigError> {
        self.refund_at(self.clock.now(), keys, n)
    }

    /// [`refund`](Self::refund) at `now`.
    pub fn refund_at(&self, now: u64, keys: &[&[u8]], n: u32) -> Result<(), ConfigError> {
        self.expect(keys)?;
        for entry in &self.entries {
            match &entry.member {
                Member::Bucket(bucket) => bucket.refund_at(now, n),
                Member::Keyed(limiter) => limiter.refund_at(now, keys[entry.key], n, None),
            }
        }
        Ok(())
    }

    fn hashed(&self, keys: &[&[u8]]) -> Result<Keys, ConfigError> {
        self.expect(keys)?;
        let mut hashed = Keys::default();
        for (place, entry) in hashed.iter_mut().zip(&self.entries) {
            *place = entry.hash(keys);
        }
        Ok(hashed)
    }

    fn expect(&self, keys: &[&[u8]]) -> Result<(), ConfigError> {
        if keys.len() == self.keyed { Ok(()) } else { Err(self.other_keys(keys)) }
    }

    #[cold]
    fn other_keys(&self, keys: &[&[u8]]) -> ConfigError {
        let keyed = self.entries.iter().filter(|entry| entry.is_keyed());
        let names: Vec<&str> = keyed.map(|entry| entry.name.as_str()).collect();
        let message = match names.len() {
            0 => format!("{} given, and no limit of this set takes a key; give none", keys.len()),
            more => {
                format!("{} given for {more} keyed limits; give one each, in order: {}", keys.len(), names.join(", "))
            }
        };
        ConfigError::new(ConfigErrorKind::Conflict, "keys", message)
    }
}

#[cfg(all(test, not(loom)))]
mod keyed_tests;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, not(loom)))]
mod undo_tests;

#[cfg(all(test, loom))]
mod loom_tests;
