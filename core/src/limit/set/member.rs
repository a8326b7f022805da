//! One limit of a set: with or without a key, behind one face.

use super::MAX_MEMBERS;
use crate::limit::keyed::{self, KeyHash};
use crate::limit::{Algorithm, Mode, RateLimiter, TokenBucket, bucket};
use crate::{Clock, ConfigError, ConfigErrorKind, Decision};
use std::sync::Arc;

/// One limit of a [`LimitSet`](super::LimitSet).
#[derive(Clone, Debug)]
pub enum Member {
    /// One for everybody: takes no key.
    Bucket(Arc<TokenBucket>),
    /// One per key.
    Keyed(Arc<RateLimiter>),
}

impl From<Arc<TokenBucket>> for Member {
    fn from(bucket: Arc<TokenBucket>) -> Self {
        Self::Bucket(bucket)
    }
}

impl From<Arc<RateLimiter>> for Member {
    fn from(limiter: Arc<RateLimiter>) -> Self {
        Self::Keyed(limiter)
    }
}

impl Member {
    pub(super) fn clock(&self) -> &Clock {
        match self {
            Self::Bucket(bucket) => bucket.clock(),
            Self::Keyed(limiter) => limiter.clock(),
        }
    }

    /// Sorts narrow limits before wide ones: those for everybody last, else by how long they take to fill. Leaky
    /// buckets come after all others: what they booked cannot be taken back once others have booked behind it.
    pub(super) fn width(&self) -> (bool, bool, u64) {
        match self {
            Self::Bucket(bucket) => (false, true, bucket.quota().fill_time().as_nanos() as u64),
            Self::Keyed(limiter) => (limiter.algorithm() == Algorithm::LeakyBucket, false, limiter.capacity_ns()),
        }
    }
}

/// The hashed key of each member that takes one, in the order of members; in the other places, nothing of meaning.
pub(super) type Keys = [KeyHash; MAX_MEMBERS];

/// A charge that can be taken back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Receipt {
    Bucket(bucket::Receipt),
    Keyed(keyed::Receipt),
}

/// A member in its place.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) member: Member,
    /// The place of its key among the keys, if it takes one.
    pub(super) key: usize,
}

impl Entry {
    /// At least one, or an error.
    pub(super) fn all(members: Vec<(String, Member)>) -> Result<Box<[Self]>, ConfigError> {
        let wrong = |message| Err(ConfigError::new(ConfigErrorKind::Conflict, "members", message));
        if !(1..=MAX_MEMBERS).contains(&members.len()) {
            return wrong(format!("{} limits given; a set has 1 to {MAX_MEMBERS}", members.len()));
        }
        let mut entries: Vec<Self> = Vec::with_capacity(members.len());
        let mut keyed = 0;
        for (name, member) in members {
            if name.is_empty() {
                return wrong("a limit without a name; give each one, it tells which limit denied".into());
            }
            if entries.iter().any(|entry| entry.name == name) {
                return wrong(format!("{name:?} comes twice; give each limit a name of its own"));
            }
            if let Some(first) = entries.first()
                && !first.member.clock().is_same(member.clock())
            {
                let message = format!(
                    "{:?} and {name:?} run on different clocks; make all limits of a set with the same one",
                    first.name
                );
                return wrong(message);
            }
            entries.push(Self { name, key: keyed, member });
            keyed += usize::from(entries[entries.len() - 1].is_keyed());
        }
        Ok(entries.into())
    }

    pub(super) fn is_keyed(&self) -> bool {
        matches!(self.member, Member::Keyed(_))
    }

    pub(super) fn hash(&self, keys: &[&[u8]]) -> KeyHash {
        match &self.member {
            Member::Bucket(_) => KeyHash::default(),
            Member::Keyed(limiter) => limiter.key_hash(keys[self.key]),
        }
    }

    pub(super) fn mode(&self) -> Mode {
        match &self.member {
            Member::Bucket(bucket) => bucket.mode(),
            Member::Keyed(limiter) => limiter.mode(),
        }
    }

    /// Whether its refusals count.
    pub(super) fn enforces(&self) -> bool {
        self.mode() == Mode::Enforce
    }

    /// What it would decide whatever its mode, with what there is now; takes and counts nothing.
    pub(super) fn probe(&self, now: u64, key: KeyHash, n: u32) -> Decision {
        match &self.member {
            Member::Bucket(bucket) => bucket.probe(now, n),
            Member::Keyed(limiter) => limiter.probe_at(now, key, n),
        }
    }

    /// Takes `n`, whatever its mode, or nothing; counts nothing.
    pub(super) fn charge(&self, now: u64, key: KeyHash, n: u32) -> Result<(Decision, Option<Receipt>), Decision> {
        match &self.member {
            Member::Bucket(bucket) => bucket.charge(now, n).map(|(told, receipt)| (told, receipt.map(Receipt::Bucket))),
            Member::Keyed(limiter) => {
                limiter.charge_at(now, key, n).map(|(told, receipt)| (told, Some(Receipt::Keyed(receipt))))
            }
        }
    }

    /// Takes a charge back, at most what it still holds at `now` or at the clock's time, whichever is later.
    pub(super) fn undo(&self, now: u64, receipt: Receipt) {
        match (&self.member, receipt) {
            (Member::Bucket(bucket), Receipt::Bucket(receipt)) => bucket.undo(now, receipt),
            (Member::Keyed(limiter), Receipt::Keyed(receipt)) => limiter.undo_at(now, receipt),
            _ => unreachable!("each member gets its own receipt back"),
        }
    }

    /// Counts what it decided, and answers as its mode says.
    pub(super) fn settle(&self, now: u64, key: KeyHash, n: u32, mut decision: Decision) -> Decision {
        match &self.member {
            Member::Bucket(bucket) => {
                bucket.tell_against(now, &decision);
                return bucket.settle(decision);
            }
            Member::Keyed(limiter) if decision.allowed => limiter.note_admitted(),
            Member::Keyed(limiter) => {
                if limiter.note_denied(now, key) {
                    // It may have been one denial too many: the wait is the block's.
                    decision = Decision { allowed: false, ..limiter.probe_at(now, key, n) };
                }
            }
        }
        self.mode().answer(decision)
    }

    /// What it has left, as a member that does not refuse.
    pub(super) fn left(&self, now: u64, key: KeyHash) -> Decision {
        Decision { allowed: true, retry_after_ns: 0, delay_ns: 0, ..self.probe(now, key, 0) }
    }
}
