//! One cache line: seven cells, and a header by which insertions take their turns.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::cell;
use super::kind::Layout;
use super::time::Epoch;
use crate::memory::Zeroable;
use crate::sync::{AtomicU64, Ordering};

/// Keys in a line.
pub(super) const CELLS: usize = 7;

#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct CacheLine {
    pub(super) header: AtomicU64,
    pub(super) cells: [AtomicU64; CELLS],
}

// SAFETY: atomics only.
unsafe impl Zeroable for CacheLine {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { header: Zeroable::blank(), cells: Zeroable::blank() }
    }
}

impl CacheLine {
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

/// `busy:1 | index:3 | tag:24 | epoch:16 | spill:2 | mark:1 | seq:17`. While busy, the cell `index` is being given to
/// `tag`. `spill` is 3 where a key of this line had to go to the sketch, 2 a [life](Layout::life_bits) of a state
/// later, then 1: else the sketch knows nothing of its keys.
///
/// While marked, the line is being swept, and `seq` is `back:1 | target:16`: the epoch for which, and whether that is
/// one before its own. It goes on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header(pub(super) u64);

const SEQ: u64 = (1 << 17) - 1;
const BACK: u64 = 1 << 16;
const MARK: u64 = 1 << 17;
const SPILL_AT: u32 = 18;
const SPILL: u64 = 3 << SPILL_AT;
const EPOCH_AT: u32 = 20;
/// Bits of an epoch's number, in a header and in a word of the sketch.
pub(super) const EPOCH_NUMBER_BITS: u32 = 16;
const EPOCH: u64 = ((1 << EPOCH_NUMBER_BITS) - 1) << EPOCH_AT;
/// What an insertion leaves as it is.
const KEPT: u64 = EPOCH | SPILL;
const BUSY: u64 = 1 << 63;

/// What is to be done to a line before its cells mean what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sweep {
    /// The number of the epoch that it is swept for.
    pub(super) target: u16,
    /// That is one before its own, which was a bad reading's.
    pub(super) back: bool,
}

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

    /// The number of the epoch that the line was swept for last.
    #[inline]
    pub(super) fn epoch(self) -> u16 {
        (self.0 >> EPOCH_AT) as u16
    }

    /// Whether the line was swept for the epoch of this number, and nothing is being done to it.
    #[inline]
    pub(super) fn rests_in(self, epoch: u16) -> bool {
        self.0 & (BUSY | MARK | EPOCH) == u64::from(epoch) << EPOCH_AT
    }

    /// While it is being swept.
    pub(super) fn sweeping(self) -> Option<Sweep> {
        (self.0 & MARK != 0).then_some(Sweep { target: self.0 as u16, back: self.0 & BACK != 0 })
    }

    /// To be swept.
    pub(super) fn marked(self, sweep: Sweep) -> Self {
        Self(self.0 & !SEQ | MARK | if sweep.back { BACK } else { 0 } | u64::from(sweep.target))
    }

    pub(super) fn claimed(self, index: usize, tag: u64) -> Self {
        Self(BUSY | (index as u64) << 60 | tag << 36 | self.0 & KEPT | self.next_seq())
    }

    pub(super) fn settled(self) -> Self {
        Self(self.0 & KEPT | self.next_seq())
    }

    /// Swept from one epoch to another.
    pub(super) fn swept<K: Layout>(self, kind: &K, from: Epoch, target: Epoch) -> Self {
        let lives = (target.start >> kind.life_bits()).wrapping_sub(from.start >> kind.life_bits());
        let spill = (self.0 >> SPILL_AT & 3).saturating_sub(lives);
        Self(self.0 & !(MARK | KEPT) | u64::from(target.number()) << EPOCH_AT | spill << SPILL_AT)
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
