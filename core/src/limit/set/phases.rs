//! A set's decision in two steps, for a gate that decides of other things in between.

use super::decide::Decisions;
use super::member::{Keys, Member};
use super::{LimitSet, MAX_MEMBERS, SetDecision};
use crate::limit::keyed::KeyHash;
use crate::{ConfigError, Decision};

/// The hashed keys of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SetKeys(Keys);

impl SetKeys {
    /// How many words they are.
    pub(crate) const WORDS: usize = MAX_MEMBERS;

    /// As words that another language keeps.
    pub(crate) fn to_words(self) -> [u64; Self::WORDS] {
        self.0.map(KeyHash::bits)
    }

    /// From [`to_words`](Self::to_words); whatever they are, they are some keys'.
    pub(crate) fn of_words(words: [u64; Self::WORDS]) -> Self {
        Self(words.map(KeyHash::of_bits))
    }
}

/// What a look at all members found.
#[derive(Debug)]
pub(crate) struct Looked {
    decisions: Decisions,
    refuses: bool,
}

impl Looked {
    /// Whether a member refuses, that is enforced.
    #[inline]
    pub(crate) fn refuses(&self) -> bool {
        self.refuses
    }
}

impl LimitSet {
    /// Errors: as [`check`](Self::check).
    #[inline]
    pub(crate) fn keys_of(&self, keys: &[&[u8]]) -> Result<SetKeys, ConfigError> {
        self.hashed(keys).map(SetKeys)
    }

    /// Looks at all members; takes and counts nothing.
    #[inline]
    pub(crate) fn look_at(&self, now: u64, keys: &SetKeys, n: u32) -> Looked {
        let decisions = self.probe(now, &keys.0, n);
        Looked { refuses: self.refuses(&decisions), decisions }
    }

    /// Charges and counts what a look found to be there, all or nothing: another call may have come in between.
    #[inline]
    pub(crate) fn charge_at(&self, now: u64, keys: &SetKeys, n: u32, looked: &mut Looked) -> SetDecision {
        self.take(now, &keys.0, n, &mut looked.decisions, &mut [])
    }

    /// Counts the refusal that a look found.
    #[cold]
    pub(crate) fn refuse_at(&self, now: u64, keys: &SetKeys, n: u32, looked: &Looked) -> SetDecision {
        self.refuse(now, &keys.0, n, looked.decisions, &mut [])
    }

    /// What a look found, told without counting it.
    #[cold]
    pub(crate) fn told_by(&self, looked: &Looked) -> SetDecision {
        match looked.refuses {
            true => self.longest(&looked.decisions),
            false => SetDecision { decision: self.scarcest(&looked.decisions), denied_by: None },
        }
    }

    /// What each member said in a look.
    pub(crate) fn each<'a>(&'a self, looked: &'a Looked) -> impl Iterator<Item = (&'a str, Decision)> {
        self.entries.iter().zip(&looked.decisions).map(|(entry, decision)| {
            let told = if entry.enforces() { *decision } else { entry.mode().answer(*decision) };
            (entry.name.as_str(), told)
        })
    }

    /// The name and the limit at this place.
    pub(crate) fn member(&self, place: usize) -> Option<(&str, &Member)> {
        self.entries.get(place).map(|entry| (entry.name.as_str(), &entry.member))
    }

    /// [`refund_at`](Self::refund_at) of keys that were hashed before.
    pub(crate) fn refund_hashed_at(&self, now: u64, keys: &SetKeys, n: u32) {
        for (entry, key) in self.entries.iter().zip(&keys.0) {
            match &entry.member {
                Member::Bucket(bucket) => bucket.refund_at(now, n),
                Member::Keyed(limiter) => limiter.refund_hashed_at(now, *key, n),
            }
        }
    }
}
