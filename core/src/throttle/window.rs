//! Requests and accepts of the last span of time, in ten slices.
//!
//! A word a slice, `number:24 | requests:20 | accepts:20`, in a ring of sixteen: who comes to a slice that is not yet
//! there puts it in the place of one long past, in the same exchange that counts, so that no count is lost between two
//! who do. A full slice halves both counts and keeps their ratio.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use crate::ConfigError;
use crate::memory::{ObjectAllocator, One, PATIENCE, Zeroable};
use crate::sync::{AtomicU64, Ordering, load_for_cas};
use std::time::Duration;

const SLICES: u64 = 10;
const CELLS: usize = 16;
const COUNT_BITS: u32 = 20;
const FULL: u64 = (1 << COUNT_BITS) - 1;
const NUMBER_BITS: u32 = 24;
const NUMBERS: u64 = 1 << NUMBER_BITS;
/// A slice that is further ahead of a reading is a bad reading's, and gives way.
const BAD_READING_NS: u64 = 60_000_000_000;

#[repr(C, align(128))]
#[derive(Debug)]
struct Shared([AtomicU64; CELLS]);

// SAFETY: atomics only.
unsafe impl Zeroable for Shared {
    #[cfg(loom)]
    fn blank() -> Self {
        Self(Zeroable::blank())
    }
}

/// Counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) accepts: u64,
}

/// A slice as its word holds it.
#[derive(Clone, Copy)]
struct Slice {
    number: u64,
    tally: Tally,
}

impl Slice {
    fn unpack(word: u64) -> Self {
        let tally = Tally { requests: word >> COUNT_BITS & FULL, accepts: word & FULL };
        Self { number: word >> (2 * COUNT_BITS), tally }
    }

    fn pack(self) -> u64 {
        self.number << (2 * COUNT_BITS) | self.tally.requests << COUNT_BITS | self.tally.accepts
    }

    fn with(mut self, more: Tally) -> Self {
        let tally = &mut self.tally;
        if tally.requests == FULL {
            *tally = Tally { requests: tally.requests / 2, accepts: tally.accepts / 2 };
        }
        tally.requests += more.requests;
        // Foreign bytes may have it full alone.
        tally.accepts = (tally.accepts + more.accepts).min(FULL);
        self
    }
}

#[derive(Debug)]
pub(super) struct Window {
    shared: One<Shared>,
    epoch_ns: u64,
    slice_ns: u64,
    /// How many slices ahead of a reading one is still believed.
    believed: u64,
}

impl Window {
    /// The next part of `room`.
    pub(super) fn in_room(room: &mut ObjectAllocator, span: Duration, epoch_ns: u64) -> Result<Self, ConfigError> {
        let slice_ns = (span.as_nanos() as u64 / SLICES).max(1);
        // More than a round of the ring: a thread that is late by less than that is no bad reading.
        let believed = (CELLS as u64 + BAD_READING_NS / slice_ns).min(NUMBERS / 4);
        Ok(Self { shared: room.one()?, epoch_ns, slice_ns, believed })
    }

    #[inline]
    fn number(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.epoch_ns) / self.slice_ns % NUMBERS
    }

    /// Slices from `from` on to `to`, around the circle of numbers.
    #[inline]
    fn steps(from: u64, to: u64) -> u64 {
        to.wrapping_sub(from) % NUMBERS
    }

    /// Whether a reading at slice `now` counts what this one holds: of the last ten, or ahead of a clock that stepped
    /// back.
    #[inline]
    fn holds(&self, slice: Slice, now: u64) -> bool {
        Self::steps(slice.number, now) < SLICES || self.is_ahead(slice, now)
    }

    #[inline]
    fn is_ahead(&self, slice: Slice, now: u64) -> bool {
        (1..=self.believed).contains(&Self::steps(now, slice.number))
    }

    /// Counts. Who comes too late for its own slice counts in the one that is there.
    pub(super) fn add(&self, now_ns: u64, more: Tally) {
        let now = self.number(now_ns);
        let cell = &self.shared.0[now as usize % CELLS];
        let mut word = load_for_cas(cell);
        for _ in 0..PATIENCE {
            let found = Slice::unpack(word);
            // Zeroes are nobody's slice; with nothing in it, it makes no difference which one it is.
            let is_newer = self.is_ahead(found, now) && found.tally.requests > 0;
            let base = match found.number == now || is_newer {
                true => found,
                false => Slice { number: now, tally: Tally::default() },
            };
            // Relaxed, both: the counts are all that the word says.
            match cell.compare_exchange_weak(word, base.with(more).pack(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(current) => word = current,
            }
        }
    }

    /// What the window holds.
    #[inline]
    pub(super) fn sum(&self, now_ns: u64) -> Tally {
        let (now, mut sum) = (self.number(now_ns), Tally::default());
        for cell in &self.shared.0 {
            let slice = Slice::unpack(load_for_cas(cell));
            if self.holds(slice, now) {
                sum.requests += slice.tally.requests;
                sum.accepts += slice.tally.accepts;
            }
        }
        sum
    }

    /// Puts any bytes into a slice, as a hostile process could.
    #[cfg(all(test, not(loom)))]
    fn scribble(&self, cell: usize, word: u64) {
        // Relaxed: tests only.
        self.shared.0[cell].store(word, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const ONE: Tally = Tally { requests: 1, accepts: 1 };

    fn window(seconds: u64) -> Window {
        let room = &mut ObjectAllocator::of_process(false);
        Window::in_room(room, Duration::from_secs(seconds), 0).expect("memory")
    }

    fn requests(window: &Window, now: u64) -> u64 {
        window.sum(now).requests
    }

    #[test]
    fn forgets_a_tenth_at_a_time() {
        let window = window(30);
        (0..10).for_each(|i| window.add(i * 3 * S, ONE));
        assert_eq!(requests(&window, 30 * S - 1), 10);
        assert_eq!([30, 33, 56, 57].map(|s| requests(&window, s * S)), [9, 8, 1, 0]);
    }

    #[test]
    fn a_full_slice_keeps_its_ratio() {
        let window = window(1);
        (0..FULL + 3).for_each(|i| window.add(0, Tally { requests: 1, accepts: i % 4 / 3 }));
        let sum = window.sum(0);
        assert!(sum.requests > FULL / 2 && sum.requests <= FULL, "{sum:?}");
        assert!(sum.accepts.abs_diff(sum.requests / 4) < 3, "{sum:?}");
    }

    #[test]
    fn a_clock_that_steps_back_is_counted_on_and_a_bad_reading_gives_way() {
        let window = window(30);
        window.add(1_000 * S, ONE);
        assert_eq!(requests(&window, 950 * S), 1);
        window.add(950 * S, ONE);
        assert_eq!(requests(&window, 950 * S), 2);
        assert_eq!(requests(&window, 800 * S), 0);
        // The same cell, an hour later than now.
        window.add(950 * S + 16 * 3 * 75 * S, ONE);
        assert_eq!(requests(&window, 950 * S), 1);
        window.add(950 * S, ONE);
        assert_eq!(requests(&window, 950 * S), 2);
    }

    #[test]
    fn numbers_go_round() {
        let window = window(10);
        let end = (NUMBERS - 1) * S;
        window.add(end, ONE);
        window.add(end + S, ONE);
        assert_eq!((requests(&window, end), requests(&window, end + S)), (2, 2));
        assert_eq!(requests(&window, end + 10 * S), 1);
        window.add(u64::MAX, ONE);
        assert_eq!(requests(&window, u64::MAX), 1);
    }

    #[test]
    fn any_bytes_are_a_slice() {
        let window = window(10);
        for word in [u64::MAX, FULL, FULL << COUNT_BITS, 1 << 63] {
            (0..CELLS).for_each(|cell| window.scribble(cell, word));
            for now in [0, 5 * S, u64::MAX] {
                window.add(now, ONE);
                let sum = window.sum(now);
                assert!(sum.requests <= CELLS as u64 * FULL && sum.accepts <= CELLS as u64 * FULL);
            }
        }
    }
}
