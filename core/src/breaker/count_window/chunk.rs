//! One word: the outcomes of a few calls in order, and the chunk's place.

use super::{CHUNK, ROUND_BITS};
use crate::breaker::tally::Tally;

const OUTCOMES: u32 = (1 << CHUNK) - 1;
const FAILED_SHIFT: u32 = 16;
const LEN_SHIFT: u32 = 32;
const ROUND_SHIFT: u32 = 37;
const GENERATION_SHIFT: u32 = 48;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk(pub(super) u64);

impl Chunk {
    pub(super) fn start(generation: u16, round: u32) -> Self {
        Self(u64::from(generation) << GENERATION_SHIFT | u64::from(round) << ROUND_SHIFT)
    }

    pub(super) fn is_blank(self) -> bool {
        self.generation() == 0
    }

    pub(super) fn generation(self) -> u16 {
        (self.0 >> GENERATION_SHIFT) as u16
    }

    pub(super) fn round(self) -> u32 {
        (self.0 >> ROUND_SHIFT) as u32 & ((1 << ROUND_BITS) - 1)
    }

    /// At most `CHUNK`, whatever the memory says.
    pub(super) fn len(self) -> u32 {
        ((self.0 >> LEN_SHIFT) as u32 & 0b1_1111).min(CHUNK)
    }

    /// Everything but the outcomes: `generation | round | len`.
    pub(super) fn place(self) -> u64 {
        self.0 >> LEN_SHIFT
    }

    /// Outcomes that failed or were slow.
    pub(super) fn troubled(self) -> u32 {
        self.failed() | self.slow()
    }

    /// With one outcome more. Only for a chunk that is not full.
    pub(super) fn push(self, failed: bool, slow: bool) -> Self {
        let at = self.len();
        Self((self.0 + (1 << LEN_SHIFT)) | u64::from(failed) << (FAILED_SHIFT + at) | u64::from(slow) << at)
    }

    /// Outcomes that failed, the oldest in bit 0.
    pub(super) fn failed(self) -> u32 {
        (self.0 >> FAILED_SHIFT) as u32 & OUTCOMES
    }

    pub(super) fn slow(self) -> u32 {
        self.0 as u32 & OUTCOMES
    }

    /// The newest `most` of the first `len` outcomes.
    pub(super) fn newest(self, len: u32, most: u32) -> Tally {
        let calls = len.min(most);
        let mask = ((1_u32 << calls) - 1) << (len - calls);
        Tally { calls, failed: (self.failed() & mask).count_ones(), slow: (self.slow() & mask).count_ones() }
    }
}
