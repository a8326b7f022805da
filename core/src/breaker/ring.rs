//! Positions in a ring of chunks: a slot, and the round in which the slot is used.

/// A power of two of slots. Rounds wrap at `round_bits`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    slot_mask: usize,
    round_mask: u32,
}

/// One chunk's place in the endless log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) slot: usize,
    pub(super) round: u32,
}

impl Ring {
    pub(super) const fn new(slots: usize, round_bits: u32) -> Self {
        assert!(slots.is_power_of_two());
        Self { slot_mask: slots - 1, round_mask: (1 << round_bits) - 1 }
    }

    pub(super) fn slots(self) -> usize {
        self.slot_mask + 1
    }

    /// A slot that exists, whatever the memory says.
    #[inline]
    pub(super) fn slot(self, hint: u64) -> usize {
        hint as usize & self.slot_mask
    }

    pub(super) fn after(self, place: Place) -> Place {
        let slot = (place.slot + 1) & self.slot_mask;
        let lap = u32::from(slot == 0);
        Place { slot, round: place.round.wrapping_add(lap) & self.round_mask }
    }

    pub(super) fn before(self, place: Place) -> Place {
        self.back(place, 1)
    }

    /// `chunks` places before, fewer than there are slots.
    pub(super) fn back(self, place: Place, chunks: usize) -> Place {
        let lap = u32::from(place.slot < chunks);
        Place {
            slot: place.slot.wrapping_sub(chunks) & self.slot_mask,
            round: place.round.wrapping_sub(lap) & self.round_mask,
        }
    }

    /// The round before `round`, in the same slot.
    pub(super) fn lap_before(self, round: u32) -> u32 {
        round.wrapping_sub(1) & self.round_mask
    }
}
