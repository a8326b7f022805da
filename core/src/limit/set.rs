//! Several limits over different keys as one decision.

use crate::limit::{RateLimiter, TokenBucket};
use crate::{ConfigError, Decision};
use std::sync::Arc;

/// One limit of a [`LimitSet`].
#[derive(Clone, Debug)]
pub enum Member {
    /// One for everybody: takes no key.
    Bucket(Arc<TokenBucket>),
    /// One per key.
    Keyed(Arc<RateLimiter>),
}

/// Several limits over different keys (user, address, endpoint, everybody) decided all or nothing.
#[derive(Debug)]
pub struct LimitSet {
    members: Box<[(String, Member)]>,
}

/// What a [`LimitSet`] decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct SetDecision {
    /// Denied: that of the limit with the longest wait. Allowed: that of the limit with the fewest left.
    pub decision: Decision,
    /// The limit that denied, as its place in the order of declaration.
    pub denied_by: Option<usize>,
}

impl LimitSet {
    /// The members in order, each with its name.
    ///
    /// Errors: `members` when there are none or more than 16, a name comes twice or is empty, or clocks differ.
    pub fn new(members: impl IntoIterator<Item = (String, Member)>) -> Result<Self, ConfigError> {
        Ok(Self { members: members.into_iter().collect() })
    }
    /// Names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }
    /// The members in order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.members.iter().map(|(name, member)| (name.as_str(), member))
    }
    /// Takes `n` from every member, or nothing from any. `keys`: one for each keyed member, in order.
    ///
    /// Errors: `keys` when there are more or fewer than keyed members.
    pub fn check(&self, keys: &[&[u8]], n: u32) -> Result<SetDecision, ConfigError> {
        self.check_each(keys, n, &mut [])
    }
    /// [`check`](Self::check) at `now`.
    pub fn check_at(&self, now: u64, keys: &[&[u8]], n: u32) -> Result<SetDecision, ConfigError> {
        self.check_each_at(now, keys, n, &mut [])
    }
    /// [`check`](Self::check) that also tells each member's own decision, in order, as far as `each` has room.
    pub fn check_each(&self, keys: &[&[u8]], n: u32, each: &mut [Decision]) -> Result<SetDecision, ConfigError> {
        let _ = (keys, n, each);
        todo!()
    }
    /// [`check_each`](Self::check_each) at `now`.
    pub fn check_each_at(
        &self,
        now: u64,
        keys: &[&[u8]],
        n: u32,
        each: &mut [Decision],
    ) -> Result<SetDecision, ConfigError> {
        let _ = (now, keys, n, each);
        todo!()
    }
    /// Looks without taking: as `check(keys, n)` would say.
    pub fn peek(&self, keys: &[&[u8]], n: u32) -> Result<SetDecision, ConfigError> {
        let _ = (keys, n);
        todo!()
    }
    /// Gives `n` back to every member, never above full.
    pub fn refund(&self, keys: &[&[u8]], n: u32) -> Result<(), ConfigError> {
        let _ = (keys, n);
        todo!()
    }
}
