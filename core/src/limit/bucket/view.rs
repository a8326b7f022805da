//! What an operation sees of a bucket, and what it tells of it.

use super::super::gcra::{self, Moment};
use super::super::scale::Scale;
use super::word::Word;
use crate::decision::{Decision, NEVER};

/// What an operation sees: the word, its slot's units (as the ramp has them) and the moment.
pub(super) struct View {
    pub(super) raw: u64,
    pub(super) word: Word,
    pub(super) scale: Scale,
    pub(super) burst: u32,
    /// What a full bucket holds; while it warms up, `scale` rounds it up to whole tokens.
    pub(super) whole: u64,
    pub(super) now: Moment,
    /// The reading that the word lies impossibly far ahead of, if it does.
    pub(super) behind: Option<u64>,
}

/// What a charge did: the word it left, the units it took and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    pub(super) word: Word,
    pub(super) cost: u64,
    pub(super) at: u64,
}

impl View {
    /// Whether finer units than [lasting](Scale::lasting) ones come to their end.
    #[inline]
    pub(super) fn is_late(&self) -> bool {
        Scale::is_late(self.now)
    }

    pub(super) fn in_penalty(&self) -> bool {
        self.word.penalty && self.word.tat > self.now.units.saturating_add(self.whole)
    }

    pub(super) fn remaining(&self, tat: u64) -> u32 {
        let tokens = gcra::level(tat, self.now, self.scale.capacity) / self.scale.token.max(1);
        u32::try_from(tokens).unwrap_or(u32::MAX).min(self.burst)
    }

    pub(super) fn decision(&self, charged: Option<u64>, n: u32) -> Decision {
        let cost = self.scale.cost(n);
        let (tat, retry_after_ns) = match charged {
            Some(_) if n == 0 => (self.word.tat, 0),
            Some(tat) => (tat, 0),
            None if cost > self.scale.capacity => (self.word.tat, NEVER),
            None => (self.word.tat, self.scale.ns(gcra::book(self.word.tat, self.now, cost, self.scale.capacity).1)),
        };
        Decision {
            allowed: charged.is_some(),
            limit: self.burst,
            remaining: self.remaining(tat),
            retry_after_ns,
            reset_after_ns: self.scale.ns(gcra::deficit(tat, self.now)),
            delay_ns: 0,
        }
    }
}
