//! The end of a penalty: `tag:24 | end:40`, in units of 2^shift nanoseconds; 0 is none.
//!
//! It says whose it is, so that one which is put down late, when the block has gone to another key, is not that key's.
//! (Of keys that share 24 bits of their tags, one in 16 million, the other may be denied early.)

use crate::limit::LONGEST_PENALTY_NS;

const END_BITS: u32 = 40;
const END: u64 = (1 << END_BITS) - 1;

/// Ends are about a millisecond apart, or more where what is counted lasts for years: 32 times the longest penalty can
/// be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Penalties {
    shift: u32,
}

impl Penalties {
    pub(super) fn new(period: u64) -> Self {
        let longest = period.max(LONGEST_PENALTY_NS);
        Self { shift: (20..30).find(|&shift| longest >> shift < 1 << (END_BITS - 5)).unwrap_or(30) }
    }

    /// The word of a penalty until `end_ns`, rounded up.
    pub(super) fn until(self, tag: u64, end_ns: u64) -> u64 {
        (tag & 0xFF_FFFF) << END_BITS | end_ns.div_ceil(1 << self.shift).min(END)
    }

    pub(super) fn is_of(word: u64, tag: u64) -> bool {
        word >> END_BITS == tag & 0xFF_FFFF
    }

    /// Nanoseconds from `now` until the end of `tag`'s penalty, if one is in force.
    pub(super) fn left(self, word: u64, tag: u64, now: u64) -> Option<u64> {
        let end = (word & END).saturating_mul(1 << self.shift);
        (Self::is_of(word, tag) && end > now).then(|| end - now)
    }
}
