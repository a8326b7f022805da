//! Several limits as one decision, in the plainest order: ask all, then take from all. Of enforced limits.

use crate::bucket::Bucket;
use crate::keyed::{Decision, Limiter};

/// The limits themselves; a limit may stand behind several members.
#[derive(Debug)]
#[expect(missing_docs, reason = "the types say it")]
pub enum Limit {
    Bucket(Bucket),
    Keyed(Limiter),
}

/// A set that one thread uses.
#[derive(Debug)]
pub struct Set {
    limits: Vec<Limit>,
    /// For each member which limit it is.
    members: Vec<usize>,
}

/// The answer of [`Set::check`] and [`Set::peek`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Of the member that denied, or of the one with the least left.
    pub decision: Decision,
    /// The member that denied.
    pub denied_by: Option<usize>,
}

impl Set {
    /// `members` name their limit by its place in `limits`.
    pub fn new(limits: Vec<Limit>, members: Vec<usize>) -> Self {
        Self { limits, members }
    }

    /// The limit behind a member.
    pub fn limit(&mut self, member: usize) -> &mut Limit {
        &mut self.limits[self.members[member]]
    }

    /// Takes `n` from all or from none. `keys` has one for each member; a bucket does not read its own.
    pub fn check(&mut self, now: u64, keys: &[Vec<u8>], n: u32) -> Verdict {
        let seen = self.peek(now, keys, n);
        if seen.denied_by.is_some() {
            // Each limit that denies counts it, towards a block too; the others have nothing to count.
            let answers: Vec<_> = (0..keys.len())
                .map(|member| {
                    let (key, limit) = (&keys[member], self.limit(member));
                    let look = limit.look(now, key, n);
                    if look.allowed { look } else { limit.check(now, key, n) }
                })
                .collect();
            return verdict(answers);
        }
        let mut taken: Vec<(usize, Decision)> = Vec::new();
        for member in self.narrow_first() {
            let look = self.limit(member).look(now, &keys[member], n);
            if !look.allowed {
                // A limit that comes twice had room for one. What was taken goes back before the denial counts towards
                // a block.
                for (earlier, _) in taken {
                    self.limit(earlier).undo(now, &keys[earlier], n);
                }
                let decision = self.limit(member).refuse(now, &keys[member], n, look);
                return Verdict { decision, denied_by: Some(member) };
            }
            taken.push((member, self.limit(member).check(now, &keys[member], n)));
        }
        taken.sort_by_key(|&(member, _)| member);
        verdict(taken.into_iter().map(|(_, decision)| decision))
    }

    /// What `check(keys, n)` would say if it took nothing.
    pub fn peek(&mut self, now: u64, keys: &[Vec<u8>], n: u32) -> Verdict {
        let decisions: Vec<_> =
            (0..self.members.len()).map(|member| self.limit(member).look(now, &keys[member], n)).collect();
        verdict(decisions)
    }

    /// Gives `n` back to all.
    pub fn refund(&mut self, now: u64, keys: &[Vec<u8>], n: u32) {
        for (member, key) in keys.iter().enumerate() {
            self.limit(member).refund(now, key, n);
        }
    }

    /// Per key before for everybody, what fills fast before what fills slowly, then as declared.
    fn narrow_first(&self) -> Vec<usize> {
        let mut order: Vec<_> = (0..self.members.len()).collect();
        order.sort_by_key(|&member| match &self.limits[self.members[member]] {
            Limit::Keyed(limiter) => (0, limiter.fill_ns()),
            Limit::Bucket(bucket) => (1, bucket.fill_ns()),
        });
        order
    }
}

impl Limit {
    fn check(&mut self, now: u64, key: &[u8], n: u32) -> Decision {
        match self {
            Self::Bucket(bucket) => bucket.check(now, n).into(),
            Self::Keyed(limiter) => limiter.check(now, key, n, None),
        }
    }

    fn look(&self, now: u64, key: &[u8], n: u32) -> Decision {
        match self {
            Self::Bucket(bucket) => bucket.look(now, n).into(),
            Self::Keyed(limiter) => limiter.look(now, key, n, None),
        }
    }

    fn refuse(&mut self, now: u64, key: &[u8], n: u32, answer: Decision) -> Decision {
        match self {
            Self::Bucket(_) => answer,
            Self::Keyed(limiter) => limiter.refuse(now, key, n, None, answer),
        }
    }

    fn undo(&mut self, now: u64, key: &[u8], n: u32) {
        match self {
            Self::Bucket(bucket) => bucket.refund(now, n),
            Self::Keyed(limiter) => limiter.undo(now, key, n),
        }
    }

    fn refund(&mut self, now: u64, key: &[u8], n: u32) {
        match self {
            Self::Bucket(bucket) => bucket.refund(now, n),
            Self::Keyed(limiter) => limiter.refund(now, key, n, None),
        }
    }

    /// What is there now.
    pub fn peek(&self, now: u64, key: &[u8]) -> Decision {
        self.look(now, key, 1)
    }

    /// Nothing before `now + wait_ns`.
    pub fn penalize(&mut self, now: u64, key: &[u8], wait_ns: u64) {
        match self {
            Self::Bucket(bucket) => bucket.penalize(now, wait_ns),
            Self::Keyed(limiter) => limiter.penalize(now, key, wait_ns),
        }
    }
}

/// The longest wait of those that deny, else the least that is left; the first of equals. The delay is the longest.
fn verdict(decisions: impl IntoIterator<Item = Decision>) -> Verdict {
    let decisions: Vec<_> = decisions.into_iter().collect();
    let denials = decisions.iter().enumerate().filter(|(_, decision)| !decision.allowed);
    let longest = denials.rev().max_by_key(|(_, decision)| decision.retry_after_ns);
    if let Some((member, &decision)) = longest {
        return Verdict { decision, denied_by: Some(member) };
    }
    let least = decisions.iter().min_by_key(|decision| decision.remaining).expect("a set has members");
    let delay_ns = decisions.iter().map(|decision| decision.delay_ns).max().expect("a set has members");
    Verdict { decision: Decision { delay_ns, ..*least }, denied_by: None }
}
