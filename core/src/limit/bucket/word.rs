//! The one word that is a bucket's level: `tat:61 | penalty:1 | slot:2`.

/// An unpacked state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// When the bucket is full again, in units since the epoch.
    pub(super) tat: u64,
    /// Whether `tat` was put there by a penalty: neither refund nor cancel may shorten it while it lasts.
    pub(super) penalty: bool,
    /// Which of the four quota slots is in force.
    pub(super) slot: usize,
}

impl Word {
    #[inline]
    pub(super) fn unpack(word: u64) -> Self {
        Self { tat: word >> 3, penalty: word & 4 != 0, slot: (word & 3) as usize }
    }

    #[inline]
    pub(super) fn pack(self) -> u64 {
        self.tat << 3 | u64::from(self.penalty) << 2 | self.slot as u64
    }
}
