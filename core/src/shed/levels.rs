//! Which levels are asked for: a count for each place, of the recent intervals the more.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::priority::PLACES;
use crate::memory::Zeroable;
use crate::sync::{AtomicU64, Ordering};

/// A call counts so much, so that halving still knows one.
pub(super) const CALL: u64 = 16;
/// More than any count of an interval; foreign bytes are not believed beyond.
const MOST: u64 = 1 << 40;

#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct Levels {
    cells: [AtomicU64; PLACES],
    /// Calls since the last step.
    asked: AtomicU64,
}

// SAFETY: atomics only.
unsafe impl Zeroable for Levels {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { cells: std::array::from_fn(|_| Zeroable::blank()), asked: Zeroable::blank() }
    }
}

/// As a step finds them.
pub(super) type Seen = [u64; PLACES];

impl Levels {
    /// `weight` calls of a place.
    #[inline]
    pub(super) fn count(&self, place: usize, weight: u64) {
        // Relaxed, both: counts order nothing.
        self.cells[place % PLACES].fetch_add(weight * CALL, Ordering::Relaxed);
        self.asked.fetch_add(weight, Ordering::Relaxed);
    }

    /// What was seen, and how many calls came since the last time; half of each count goes.
    pub(super) fn take(&self) -> (Seen, u64) {
        let seen = std::array::from_fn(|place| {
            let cell = &self.cells[place];
            // Relaxed: as above. What is added meanwhile stays: only what was seen is taken from.
            let count = cell.load(Ordering::Relaxed);
            if count > MOST {
                cell.store(0, Ordering::Relaxed);
                return 0;
            }
            if count > 0 {
                cell.fetch_sub(count - count / 2, Ordering::Relaxed);
            }
            count
        });
        (seen, self.asked.swap(0, Ordering::Relaxed).min(MOST))
    }
}
