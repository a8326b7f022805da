//! A clock that processes share: one for all of them, whoever calibrated it.
//!
//! The CPU's counter by the creator's numbers, as long as it keeps the system's pace. Each process compares the two now
//! and then, on the way of a reading; whoever finds them apart moves all to `CLOCK_MONOTONIC` plus an offset, once and
//! for ever.

use super::os;
use super::tsc::{Pair, Tsc, ticks};
use crate::memory::One;
use crate::sync::{AtomicU64, Ordering};
use crate::sys::ForkLock;

/// See the module.
#[derive(Debug)]
pub(crate) struct SharedClock {
    tsc: Tsc,
    /// Not 0: every process reads the system's clock plus this (wrapping), less 1. Read by every reading, written once.
    moved: One<AtomicU64>,
    /// A little before the counter at the last check, so that a core whose counter lags does not seem to be far ahead.
    checked: AtomicU64,
    /// Ticks from `checked` to the next check.
    every: u64,
    last: ForkLock<Option<Pair>>,
}

/// How far apart counter and system may go: 200 parts in a million.
pub(crate) const TOLERANCE: u64 = 5_000;
/// What two readings of a steady clock may differ by for other reasons than the width of the pairs.
const NOISE_NS: u64 = 1_000;

impl SharedClock {
    /// `now`: a first pair; `every_ns`: how often a process checks.
    pub(crate) fn new(tsc: Tsc, moved: One<AtomicU64>, now: Pair, every_ns: u64) -> Self {
        let every = tsc.ticks_in(every_ns);
        let checked = AtomicU64::new(now.ticks.wrapping_sub(every / 16));
        Self { tsc, moved, checked, every: every + every / 16, last: ForkLock::new(Some(now)) }
    }

    /// Nanoseconds of the arena's clock.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self.ticks() {
            Some(ticks) => self.tsc.ns_of(ticks),
            None => self.by_os(),
        }
    }

    /// The counter, for who converts it by the clock's numbers; `None`: the clock goes by it no more.
    #[inline]
    pub(crate) fn ticks(&self) -> Option<u64> {
        // Relaxed: a reading orders nothing. Who does not see a move yet reads a clock that the new one continues.
        if self.moved.load(Ordering::Relaxed) != 0 {
            return None;
        }
        let ticks = ticks();
        // Relaxed: only when to check. A counter that was set back is far ahead by wrapping.
        if ticks.wrapping_sub(self.checked.load(Ordering::Relaxed)) >= self.every {
            return self.checked_ticks(ticks);
        }
        Some(ticks)
    }

    /// The counter's numbers.
    pub(crate) fn tsc(&self) -> Option<&Tsc> {
        // Relaxed: as `ticks`.
        (self.moved.load(Ordering::Relaxed) == 0).then_some(&self.tsc)
    }

    /// Whether the two read one time: the creator's counter reading is like no other arena's.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.tsc.parts() == other.tsc.parts()
    }

    #[cold]
    fn by_os(&self) -> u64 {
        // Relaxed: as `ticks`.
        match self.moved.load(Ordering::Relaxed) {
            // Somebody wrote to it who should not.
            0 => self.tsc.now(),
            moved => os::monotonic().wrapping_add(moved.wrapping_sub(1)),
        }
    }

    /// Checks, unless another thread does.
    #[cold]
    fn checked_ticks(&self, ticks: u64) -> Option<u64> {
        if let Some(mut last) = self.last.try_lock() {
            let now = Pair::read();
            match last.map(|last| pace(&self.tsc, &last, &now)) {
                Some(Pace::Apart { offset }) => self.move_all(offset),
                Some(Pace::Steady) | None => *last = Some(now),
            }
            // Relaxed: only when to check.
            self.checked.store(now.ticks.wrapping_sub(self.every / 17), Ordering::Relaxed);
        }
        // Relaxed: as `ticks`; after the exchange in program order.
        (self.moved.load(Ordering::Relaxed) == 0).then_some(ticks)
    }

    fn move_all(&self, offset: u64) {
        // 0 means "not moved", so an offset of -1 becomes one of 0: a nanosecond later.
        let moved = offset.wrapping_add(1).max(1);
        // Relaxed: the offset is all there is to say. Only the first of several finders moves the clock.
        let _ = self.moved.compare_exchange(0, moved, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Whether a counter keeps the system's pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Steady,
    /// It does not. `CLOCK_MONOTONIC` plus this (wrapping) continues from the highest reading.
    Apart {
        offset: u64,
    },
}

/// From what was read at two moments.
fn pace(tsc: &Tsc, before: &Pair, now: &Pair) -> Pace {
    let passed = now.os_ns.saturating_sub(before.os_ns);
    let (expected, read) = (tsc.ns_of(before.ticks).wrapping_add(passed), tsc.ns_of(now.ticks));
    // A thread that was preempted within a pair does not know what belongs together.
    let noise = NOISE_NS.saturating_add(tsc.ns_in(before.width)).saturating_add(tsc.ns_in(now.width));
    if read.abs_diff(expected) <= noise.saturating_add(passed / TOLERANCE) {
        Pace::Steady
    } else {
        Pace::Apart { offset: read.max(expected).wrapping_sub(now.os_ns) }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
#[path = "shared_tests.rs"]
mod tests;
