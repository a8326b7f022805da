//! The present, for who must know whether a reading is an old one.

use crate::Clock;

/// The clock is read again, and a thread of this clock that comes late finds what others put with it behind it.
#[derive(Clone, Debug)]
pub(super) struct Present {
    clock: Clock,
    epoch_ns: u64,
}

impl Present {
    pub(super) fn new(clock: Clock, epoch_ns: u64) -> Self {
        Self { clock, epoch_ns }
    }

    /// The clock's time, or a reading after it.
    #[cold]
    pub(super) fn ns(&self, reading: u64) -> u64 {
        self.clock.now().saturating_sub(self.epoch_ns).max(reading)
    }
}
