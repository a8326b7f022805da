//! Two words: what a chunk is for, and what it has counted.

use super::MAX_CALLS;
use crate::breaker::tally::Tally;

/// What a chunk is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct What(pub(super) u64);

impl What {
    pub(super) fn new(generation: u16, round: u32, slice: u32) -> Self {
        Self(u64::from(generation) << 48 | u64::from(round) << 32 | u64::from(slice))
    }

    pub(super) fn is_blank(self) -> bool {
        self.generation() == 0
    }

    pub(super) fn generation(self) -> u16 {
        (self.0 >> 48) as u16
    }

    pub(super) fn round(self) -> u32 {
        (self.0 >> 32) as u32 & 0xffff
    }

    pub(super) fn slice(self) -> u32 {
        self.0 as u32
    }

    /// How many slices later than `slice` this is. Half the range of slices (2 days of a window of 1 ms, 6 years of one
    /// of 1 s) tells later from earlier.
    pub(super) fn ahead_of(self, slice: u32) -> i32 {
        self.slice().wrapping_sub(slice).cast_signed()
    }

    /// Whether this slice is one of so many up to `newest`.
    pub(super) fn within(self, newest: u32, slices: u32) -> bool {
        newest.wrapping_sub(self.slice()) < slices
    }
}

const COUNT_BITS: u32 = 15;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const SEALED: u64 = 1 << 47;

/// What a chunk has counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts(pub(super) u64);

impl Counts {
    pub(super) fn start(round: u32) -> Self {
        Self(u64::from(round) << 48)
    }

    pub(super) fn round(self) -> u32 {
        (self.0 >> 48) as u32
    }

    pub(super) fn tally(self) -> Tally {
        let field = |at: u32| (self.0 >> (at * COUNT_BITS) & COUNT_MASK) as u32;
        Tally { calls: field(2), failed: field(1), slow: field(0) }
    }

    /// Nothing is counted here any more.
    pub(super) fn is_closed(self) -> bool {
        self.0 & SEALED != 0 || self.is_full()
    }

    pub(super) fn is_full(self) -> bool {
        self.tally().calls >= MAX_CALLS
    }

    pub(super) fn seal(self) -> Self {
        Self(self.0 | SEALED)
    }

    /// With one outcome more. Only for a chunk that is not closed.
    pub(super) fn push(self, failed: bool, slow: bool) -> Self {
        Self(self.0 + (1 << (2 * COUNT_BITS)) + (u64::from(failed) << COUNT_BITS) + u64::from(slow))
    }
}
