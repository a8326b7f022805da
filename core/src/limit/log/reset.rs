//! What a reset may take away: what was live in the block when it began.
//!
//! Others admit while it runs, into slots that it has not come to. To take those as well would give back more than the
//! limit: a reset gives back no more admissions than it found, however often it must look again.

use super::MAX_LOG;
use super::block::Block;
use super::stamp;

#[derive(Debug)]
pub(super) struct Reset {
    /// The block that it began with.
    index: Option<usize>,
    slots: [u64; MAX_LOG as usize / 64],
    /// Admissions that it may still take away.
    stamps: u32,
    /// Once it may have taken something away, it looks for nothing new.
    pub(super) begun: bool,
}

impl Default for Reset {
    fn default() -> Self {
        Self { index: None, slots: [0; MAX_LOG as usize / 64], stamps: 0, begun: false }
    }
}

impl Reset {
    /// Before the block's owner is exchanged, so that nothing counts that is claimed after it. False if it began with
    /// another block.
    pub(super) fn begins(&mut self, index: usize, block: Block<'_>, horizon: u64) -> bool {
        if self.begun {
            return self.index == Some(index);
        }
        *self = Self { index: Some(index), ..Self::default() };
        for (slot, found) in block.all() {
            if found > horizon {
                self.slots[slot / 64] |= 1 << (slot % 64);
                self.stamps += u32::from(stamp::is_put_down(found));
            }
        }
        true
    }

    /// Whether it may take away what is found in a slot: once.
    pub(super) fn takes(&mut self, slot: usize, found: u64) -> bool {
        let (bits, bit) = (&mut self.slots[slot / 64], 1 << (slot % 64));
        let admission = stamp::is_put_down(found);
        let may = *bits & bit != 0 && (!admission || self.stamps > 0);
        if may {
            *bits &= !bit;
            self.stamps -= u32::from(admission);
        }
        may
    }
}
