//! What an admitted call holds, and its end.

use super::Gate;
use crate::concurrency::{self, ConcurrencyPermit};
use crate::limit::SetKeys;
use crate::sys::generation;

/// What became of a call that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// It was done: for an adaptive concurrency limit its latency counts.
    Success = 0,
    /// It failed, which says nothing of the latency.
    Failure = 1,
    /// It timed out, or was refused by what it called.
    Dropped = 2,
    /// It was given up before its end, or nobody said.
    Cancelled = 3,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Success, Self::Failure, Self::Dropped, Self::Cancelled];

    /// Its name in every language.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Dropped => "dropped",
            Self::Cancelled => "cancelled",
        }
    }

    /// That of an HTTP answer: 503 and 504 are drops, 429 and other 5xx failures, all else is done.
    pub const fn of_status(status: u16) -> Self {
        match status {
            503 | 504 => Self::Dropped,
            429 | 500..=599 => Self::Failure,
            _ => Self::Success,
        }
    }

    fn of_concurrency(self) -> concurrency::Outcome {
        match self {
            Self::Success => concurrency::Outcome::Success,
            Self::Dropped => concurrency::Outcome::Dropped,
            Self::Failure | Self::Cancelled => concurrency::Outcome::Ignore,
        }
    }
}

/// Some of the outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes(u8);

impl Outcomes {
    /// None.
    pub const NONE: Self = Self(0);

    /// These, and that one.
    #[must_use]
    pub const fn with(self, outcome: Outcome) -> Self {
        Self(self.0 | 1 << outcome as u8)
    }

    /// Whether that one is among them.
    pub const fn has(self, outcome: Outcome) -> bool {
        self.0 & 1 << outcome as u8 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Outcome> for Outcomes {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        outcomes.into_iter().fold(Self::NONE, Self::with)
    }
}

/// What an admitted call holds, by value: for who keeps it himself, as bindings do. A blank one holds nothing.
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "what a ticket holds comes back with `Gate::finish`"]
pub struct Ticket {
    permit: ConcurrencyPermit,
    /// What was charged, where it may have to be given back.
    keys: SetKeys,
    cost: u32,
    /// Which process of a line of forks it belongs to; 0: nobody's, or finished.
    generation: u32,
}

impl Ticket {
    /// How many words it is.
    pub const WORDS: usize = 3 + SetKeys::WORDS;

    #[inline]
    pub(super) fn new(permit: ConcurrencyPermit, charged: Option<(&SetKeys, u32)>) -> Self {
        let (keys, cost) = charged.map_or((SetKeys::default(), 0), |(keys, cost)| (*keys, cost));
        Self { permit, keys, cost, generation: generation() }
    }

    /// As words that another language keeps.
    pub fn to_words(&self) -> [u64; Self::WORDS] {
        let mut words = [0; Self::WORDS];
        words[..3].copy_from_slice(&[
            self.permit.word,
            self.permit.cell,
            u64::from(self.generation) << 32 | u64::from(self.cost),
        ]);
        words[3..].copy_from_slice(&self.keys.to_words());
        words
    }

    /// From [`to_words`](Self::to_words); other words give back what is not theirs at worst.
    pub fn of_words(words: &[u64; Self::WORDS]) -> Self {
        let mut keys = [0; SetKeys::WORDS];
        keys.copy_from_slice(&words[3..]);
        Self {
            permit: ConcurrencyPermit { word: words[0], cell: words[1] },
            keys: SetKeys::of_words(keys),
            cost: words[2] as u32,
            generation: (words[2] >> 32) as u32,
        }
    }

    /// Whether it holds a permit of the concurrency limit.
    pub fn holds_permit(&self) -> bool {
        self.permit.word != 0
    }

    /// Whether it is finished, or never held anything.
    pub fn is_blank(&self) -> bool {
        self.generation == 0
    }
}

impl Gate {
    /// The call has ended: its permit goes back, with what became of it; its cost too, if
    /// [`refund_on`](super::GateConfig::refund_on) says so. False, and nothing happens: it was finished before, was
    /// refused, or belongs to the parent of this process. The ticket is blank afterwards.
    ///
    /// A permit goes back once, even of a ticket that was copied; without a concurrency limit a copy counts as another
    /// call.
    pub fn finish(&self, ticket: &mut Ticket, outcome: Outcome) -> bool {
        self.finish_when(ticket, outcome, |it| it.clock().now())
    }

    /// [`finish`](Self::finish) at `now` of the limits' clock.
    pub fn finish_at(&self, now: u64, ticket: &mut Ticket, outcome: Outcome) -> bool {
        self.finish_when(ticket, outcome, |_| now)
    }

    #[inline]
    fn finish_when(&self, ticket: &mut Ticket, outcome: Outcome, now: impl FnOnce(&crate::LimitSet) -> u64) -> bool {
        if std::mem::take(&mut ticket.generation) != generation() {
            return false;
        }
        if let Some((concurrency, _)) = &self.concurrency
            && ticket.permit.word != 0
            && !concurrency.part.report(ticket.permit, outcome.of_concurrency())
        {
            return false;
        }
        if let Some(limits) = &self.limits
            && ticket.cost != 0
            && self.refund_on.has(outcome)
        {
            limits.refund_hashed_at(now(limits), &ticket.keys, ticket.cost);
        }
        true
    }
}
