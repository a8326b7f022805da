//! What signals were told, by all who share the shedder: the largest of an interval.
//!
//! Two words a signal, `interval:32 | value:32`, for the even and the odd intervals: a step looks at the present one
//! and the one before, so that processes need not tell at the same moments, and one that has died is soon forgotten.
//! Who tells a value takes back its own of the interval before: one burst must not move the threshold twice.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use crate::memory::{PATIENCE, Zeroable};
use crate::sync::{AtomicU64, Ordering, load_for_cas};

#[repr(C)]
#[derive(Debug)]
pub(super) struct Cell([AtomicU64; 2]);

// SAFETY: atomics only.
unsafe impl Zeroable for Cell {
    #[cfg(loom)]
    fn blank() -> Self {
        Self(Zeroable::blank())
    }
}

/// Zeroes are no value: intervals are told from 1 on.
fn number(interval: u64) -> u32 {
    (interval as u32).max(1)
}

fn pack(interval: u64, value: f64) -> u64 {
    u64::from(number(interval)) << 32 | u64::from((value as f32).to_bits())
}

fn unpack(word: u64) -> (u32, f64) {
    ((word >> 32) as u32, f64::from(f32::from_bits(word as u32)))
}

impl Cell {
    /// A value of one of those who tell it: the largest counts. It is a number. `told` is what the caller's process
    /// last put here.
    pub(super) fn tell(&self, interval: u64, value: f64, told: &AtomicU64) {
        let stored = self.raise(interval, value);
        // Relaxed, all: the values are all that the words say. Of two threads one may forget what the other has put;
        // that counts for an interval more.
        let before = told.load(Ordering::Relaxed);
        let is_older = unpack(before).0 != number(interval);
        if is_older && before != 0 {
            let cell = &self.0[(unpack(before).0 % 2) as usize];
            let _ = cell.compare_exchange(before, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        if is_older || stored.is_some() {
            told.store(stored.unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// The word that stands there now by the caller; `None` where another's counts.
    fn raise(&self, interval: u64, value: f64) -> Option<u64> {
        let (cell, new) = (&self.0[(number(interval) % 2) as usize], pack(interval, value));
        let mut word = load_for_cas(cell);
        for _ in 0..PATIENCE {
            let (found, present) = unpack(word);
            if found == number(interval) && present >= value {
                return None;
            }
            // Relaxed, both: the value is all that the word says.
            match cell.compare_exchange_weak(word, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(new),
                Err(current) => word = current,
            }
        }
        None
    }

    /// A value that only who has the turn tells: no other counts.
    pub(super) fn put(&self, interval: u64, value: f64) {
        // Relaxed: as above.
        let at = u64::from(number(interval) % 2);
        self.0[at as usize].store(pack(interval, value), Ordering::Relaxed);
        self.clear(1 - at);
    }

    /// There is none.
    pub(super) fn take_away(&self) {
        (0..2).for_each(|at| self.clear(at));
    }

    fn clear(&self, at: u64) {
        // Relaxed: as above.
        self.0[at as usize].store(0, Ordering::Relaxed);
    }

    /// The largest of this interval and the one before, less what was taken back. `None`: nobody has told one. A late
    /// thread may be one interval behind.
    pub(super) fn value(&self, interval: u64) -> Option<f64> {
        let own = number(interval);
        let one = |cell: &AtomicU64| {
            // Relaxed: as above.
            let (found, value) = unpack(cell.load(Ordering::Relaxed));
            let is_of_now = found != 0 && (own.wrapping_sub(found) <= 1 || found.wrapping_sub(own) <= 1);
            (is_of_now && !value.is_nan()).then_some(value)
        };
        self.0.iter().filter_map(one).reduce(f64::max)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::memory::ObjectAllocator;

    #[test]
    fn the_largest_of_two_processes_and_of_each_its_newest() {
        let cell = ObjectAllocator::of_process(false).one::<Cell>().expect("memory");
        let (one, other) = (AtomicU64::new(0), AtomicU64::new(0));
        assert_eq!(cell.value(7), None);
        cell.tell(7, 0.5, &one);
        cell.tell(7, 0.25, &one);
        assert_eq!([cell.value(7), cell.value(8), cell.value(9)], [Some(0.5), Some(0.5), None]);
        // Its burst is over: it counts once.
        cell.tell(8, 0.125, &one);
        assert_eq!([cell.value(8), cell.value(9), cell.value(10)], [Some(0.125), Some(0.125), None]);
        // Another that tells late in each interval counts until it tells anew.
        cell.tell(8, 0.75, &other);
        cell.tell(9, 0.25, &one);
        assert_eq!(cell.value(9), Some(0.75));
        cell.tell(9, 0.125, &other);
        assert_eq!(cell.value(9), Some(0.25));
        cell.put(9, 0.0);
        assert_eq!(cell.value(9), Some(0.0));
        // A clock that stepped back finds what is told now.
        cell.tell(2, 0.75, &one);
        assert_eq!(cell.value(2), Some(0.75));
        cell.take_away();
        assert_eq!(cell.value(2), None);
    }
}
