//! What an acquisition gives out.

use super::{ConcurrencyLimiter, Outcome};

/// The part of a cell word that says which cell; the rest is when an adaptive limit was asked, 0 in any other permit.
const PLACE_BITS: u32 = 16;

/// The right to run one call, by value: two words, so that it crosses a C boundary. An all-zero permit is nobody's, and
/// giving it back does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[must_use = "a permit that is not given back is lost"]
pub struct ConcurrencyPermit {
    /// Opaque: process slot, incarnation, nonce.
    pub word: u64,
    /// Opaque: its cell; of an adaptive limit also when it was asked for.
    pub cell: u64,
}

impl ConcurrencyPermit {
    /// Its cell: a permit given out takes the place of the one before with the same.
    #[inline(always)]
    pub fn place(self) -> usize {
        (self.cell & ((1 << PLACE_BITS) - 1)) as usize
    }

    #[inline(always)]
    pub(super) fn stamp(self) -> u64 {
        self.cell >> PLACE_BITS
    }

    /// Its word and its place, before it is stamped.
    pub(super) fn apart(self) -> (u64, u32) {
        (self.word, self.place() as u32)
    }

    pub(super) fn together((word, place): (u64, u32)) -> Self {
        Self { word, cell: u64::from(place) }
    }

    pub(super) fn stamped(self, stamp: u64) -> Self {
        Self { cell: self.cell | stamp << PLACE_BITS, ..self }
    }
}

/// A permit that gives itself back. Of an adaptive limit, say what became of the call: one that is only dropped says
/// nothing, as [`ignore`](Self::ignore).
#[derive(Debug)]
#[must_use = "the permit is given back when the guard is dropped"]
pub struct ConcurrencyGuard<'a> {
    pub(super) limiter: &'a ConcurrencyLimiter,
    pub(super) permit: ConcurrencyPermit,
}

impl ConcurrencyGuard<'_> {
    /// The call was done: its latency counts. As [`report`](ConcurrencyLimiter::report).
    pub fn success(self) -> bool {
        self.report(Outcome::Success)
    }

    /// The call says nothing of the latency.
    pub fn ignore(self) -> bool {
        self.report(Outcome::Ignore)
    }

    /// The call timed out, or was refused downstream.
    pub fn dropped(self) -> bool {
        self.report(Outcome::Dropped)
    }

    fn report(self, outcome: Outcome) -> bool {
        // It is given back here; its drop finds it nobody's.
        self.limiter.report(self.permit, outcome)
    }
}

impl Drop for ConcurrencyGuard<'_> {
    fn drop(&mut self) {
        self.limiter.release(self.permit);
    }
}
