//! One cache line: seven cells, and a header by which insertions take their turns.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::cell;
use crate::memory::Zeroable;
use crate::sync::{AtomicU64, Ordering};

/// Keys in a line.
pub(super) const CELLS: usize = 7;

#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Line {
    pub(super) header: AtomicU64,
    pub(super) cells: [AtomicU64; CELLS],
}

// SAFETY: atomics only.
unsafe impl Zeroable for Line {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { header: Zeroable::blank(), cells: Zeroable::blank() }
    }
}

impl Line {
    /// The cell of `tag`, and what it holds.
    #[inline]
    pub(super) fn find(&self, tag: u64) -> Option<(usize, u64)> {
        for (index, word) in self.cells.iter().enumerate() {
            // Acquire: pairs with the release of whoever put it, so that what it refers to is at least as new.
            let cell = word.load(Ordering::Acquire);
            if cell::tag(cell) == tag {
                return Some((index, cell));
            }
        }
        None
    }
}

/// `busy:1 | index:3 | tag:24 | epoch:16 | spill:2 | seq:18`. While busy, the cell `index` is being given to `tag`. `spill` is 3 where
/// a key of this line had to go to the sketch, 2 a [life](super::kind::Layout::life_bits) of a state later, then 1: else the sketch
/// knows nothing of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header(pub(super) u64);

const SEQ: u64 = (1 << 18) - 1;
const SPILL_AT: u32 = 18;
const SPILL: u64 = 3 << SPILL_AT;
/// What an insertion leaves as it is.
const KEPT: u64 = 0xFFFF << 20 | SPILL;
const BUSY: u64 = 1 << 63;

impl Header {
    #[inline]
    pub(super) fn is_busy(self) -> bool {
        self.0 & BUSY != 0
    }

    #[inline]
    pub(super) fn tag(self) -> u64 {
        self.0 >> 36 & 0xFF_FFFF
    }

    /// At most 6, whatever the bits say.
    #[inline]
    pub(super) fn index(self) -> usize {
        (self.0 >> 60 & 7).min(CELLS as u64 - 1) as usize
    }

    /// The number of the epoch that the line was swept for.
    #[inline]
    pub(super) fn epoch(self) -> u16 {
        (self.0 >> 20) as u16
    }

    pub(super) fn claimed(self, index: usize, tag: u64) -> Self {
        Self(BUSY | (index as u64) << 60 | tag << 36 | self.0 & KEPT | self.next_seq())
    }

    pub(super) fn settled(self) -> Self {
        Self(self.0 & KEPT | self.next_seq())
    }

    /// Swept for an epoch that is so many lives of a state after the one before.
    pub(super) fn swept(self, epoch: u16, lives: u64) -> Self {
        let spill = (self.0 >> SPILL_AT & 3).saturating_sub(lives);
        Self(self.0 & !KEPT | u64::from(epoch) << 20 | spill << SPILL_AT)
    }

    /// Whether the sketch may know of keys of this line.
    #[inline]
    pub(super) fn has_spilled(self) -> bool {
        self.0 & SPILL != 0
    }

    /// `None`: it says so already.
    pub(super) fn spilled(self) -> Option<Self> {
        let new = self.0 | SPILL;
        (new != self.0).then_some(Self(new))
    }

    fn next_seq(self) -> u64 {
        ((self.0 & SEQ) + 1) & SEQ
    }
}
