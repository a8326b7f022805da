//! One cache line: whose each block is, and a header by which insertions take their turns.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use crate::memory::Zeroable;
use crate::sync::AtomicU64;

/// Blocks of a line that belong to one key each. Models have small lines.
pub(super) const OWN: usize = if cfg!(loom) { 2 } else { 7 };
/// The block for keys of the line that find no room.
pub(super) const SHARED: usize = OWN;
/// Blocks of a line.
pub(super) const BLOCKS: usize = OWN + 1;

const TAG_BITS: u32 = 31;
const TAG: u64 = (1 << TAG_BITS) - 1;

#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Line {
    pub(super) header: AtomicU64,
    pub(super) owners: [AtomicU64; OWN],
}

// SAFETY: atomics only.
unsafe impl Zeroable for Line {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { header: Zeroable::blank(), owners: Zeroable::blank() }
    }
}

/// What tells the keys of a line apart: never 0, which is nobody's.
pub(super) fn tag(bits: u64) -> u64 {
    (bits & TAG).max(1)
}

/// `tag:31 | closing:1 | generation:32`. A block that is closing is about to go to another key, and is nobody's to use.
///
/// Each exchange makes another generation, so that a word which is still the same was so all the time: a thread would
/// have to be held up for 2^32 of them to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(pub(super) u64);

impl Owner {
    pub(super) fn tag(self) -> u64 {
        self.0 >> 33
    }

    pub(super) fn is_closing(self) -> bool {
        self.0 >> 32 & 1 == 1
    }

    pub(super) fn closing(self) -> Self {
        Self(self.0 >> 33 << 33 | 1 << 32 | self.generation())
    }

    /// The block as `tag`'s, or as its own key's again.
    pub(super) fn open(self, tag: u64) -> Self {
        Self(tag << 33 | self.generation())
    }

    /// The next one.
    fn generation(self) -> u64 {
        u64::from((self.0 as u32).wrapping_add(1))
    }
}

/// `busy:1 | index:3 | tag:31 | seq:29`. While busy, the block `index` is being given to `tag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header(pub(super) u64);

const BUSY: u64 = 1 << 63;
const SEQ_BITS: u32 = 29;
const SEQ: u64 = (1 << SEQ_BITS) - 1;

impl Header {
    pub(super) fn is_busy(self) -> bool {
        self.0 & BUSY != 0
    }

    pub(super) fn tag(self) -> u64 {
        self.0 >> SEQ_BITS & TAG
    }

    /// A block's, whatever the bits say.
    pub(super) fn index(self) -> usize {
        (self.0 >> 60 & 7).min(OWN as u64 - 1) as usize
    }

    pub(super) fn busy(self, index: usize, tag: u64) -> Self {
        Self(BUSY | (index as u64) << 60 | tag << SEQ_BITS | self.next_seq())
    }

    pub(super) fn at_rest(self) -> Self {
        Self(self.next_seq())
    }

    /// Counts what has happened to the line.
    pub(super) fn seq(self) -> usize {
        (self.0 & SEQ) as usize
    }

    fn next_seq(self) -> u64 {
        self.0.wrapping_add(1) & SEQ
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_was_put_into_them() {
        for bits in [0, 1, TAG, u64::MAX] {
            let owner = Owner(u64::MAX).open(tag(bits));
            assert_eq!((owner.tag(), owner.is_closing(), owner.0 as u32), (tag(bits), false, 0));
            let closing = owner.closing();
            assert_eq!((closing.tag(), closing.is_closing(), closing.0 as u32), (tag(bits), true, 1));
            let header = Header(SEQ).busy(5, tag(bits));
            assert_eq!((header.is_busy(), header.index(), header.tag(), header.0 & SEQ), (true, 5, tag(bits), 0));
            assert_eq!(header.at_rest(), Header(1));
        }
        assert_eq!(Header(u64::MAX).index(), 6);
    }
}
