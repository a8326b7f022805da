//! The numbers of bookings, so that a ticket gives back once.
//!
//! Nothing is kept of a single booking. What is void is one span of numbers, from the least to the greatest that were cancelled:
//! a ticket in between was cancelled, or is void because others around it were. Newer ones stay good, and so do older ones, so
//! that bookings can be cancelled from the last one back.
//!
//! A ticket holds the low [`TICKET_BITS`] of its number: one that is kept for 2^26 later bookings which had to wait is taken for
//! another.

use crate::memory::PATIENCE;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Bits of a number that a ticket has room for.
pub(super) const TICKET_BITS: u32 = 26;
const TICKET: u64 = (1 << TICKET_BITS) - 1;

#[repr(C)]
#[derive(Debug)]
pub(super) struct Bookings {
    /// How many there have been: the number of the last.
    last: AtomicU64,
    /// `least:32 | greatest:32` of the numbers that were cancelled since the last change of quota or reset; 0 is none.
    void: AtomicU64,
    /// The last number before the last change of quota or reset: all up to it are void.
    before: AtomicU32,
    _reserved: AtomicU32,
}

impl Bookings {
    #[cfg(loom)]
    pub(super) fn blank() -> Self {
        Self {
            last: AtomicU64::new(0),
            void: AtomicU64::new(0),
            before: AtomicU32::new(0),
            _reserved: AtomicU32::new(0),
        }
    }

    /// A number for a new booking, as its ticket holds it. Between the load of a word and the exchange that books.
    pub(super) fn number(&self) -> u64 {
        // Relaxed: the exchange that follows publishes it, and the load of the word before it ordered it after a change.
        self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1) & TICKET
    }

    /// Before the exchange of a change of quota or reset. A booking of the old quota that takes its number later has the old
    /// slot in its ticket.
    pub(super) fn void_all(&self) {
        // Relaxed: whatever was booked by the present word is at least as old as that word, which was acquired.
        let last = self.last.load(Ordering::Relaxed);
        // Relaxed: published by the release that follows.
        self.before.store(last as u32, Ordering::Relaxed);
        // Release: whoever finds nothing cancelled finds all of before void.
        self.void.store(0, Ordering::Release);
    }

    /// Whether nothing can be given back by this ticket any more.
    pub(super) fn is_void(&self, ticket: u64) -> bool {
        self.with(ticket).is_none()
    }

    /// Voids the ticket, before what it booked is given back: of all who try, one succeeds.
    pub(super) fn claim(&self, ticket: u64) -> bool {
        for _ in 0..PATIENCE {
            let Some((void, with)) = self.with(ticket) else { break };
            // AcqRel: after what is read of it, before the exchange that gives back. Relaxed on failure: look again.
            if self.void.compare_exchange(void, with, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return true;
            }
        }
        false
    }

    /// What is void now and with this ticket, if it is not void yet.
    fn with(&self, ticket: u64) -> Option<(u64, u64)> {
        // Acquire: pairs with the release of `void_all`, so that `before` is no older.
        let void = self.void.load(Ordering::Acquire);
        // Relaxed, both: ordered by the load above and that of the word.
        let (last, before) = (self.last.load(Ordering::Relaxed), self.before.load(Ordering::Relaxed));
        // How long ago each was: the smaller the newer.
        let age = |number: u32| (last as u32).wrapping_sub(number);
        let number = last.wrapping_sub(last.wrapping_sub(ticket) & TICKET) as u32;
        // A zero is a ticket of nothing, and once in 2^26 bookings one that had to wait: that cannot be cancelled.
        if ticket == 0 || age(number) >= age(before) {
            return None;
        }
        let (least, greatest) = ((void >> 32) as u32, void as u32);
        let pack = |least: u32, greatest: u32| u64::from(least) << 32 | u64::from(greatest);
        if void == 0 {
            return Some((void, pack(number, number)));
        }
        if age(number) < age(greatest) {
            return Some((void, pack(least, number)));
        }
        (age(number) > age(least)).then(|| (void, pack(number, greatest)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn bookings(last: u64) -> Bookings {
        let zero = || AtomicU32::new(0);
        Bookings { last: AtomicU64::new(last), void: AtomicU64::new(0), before: zero(), _reserved: zero() }
    }

    #[test]
    fn each_ticket_counts_once_in_whatever_order() {
        for start in [0, 5, (1 << 26) - 1, (1 << 26) - 2, (1 << 32) - 2] {
            let bookings = bookings(start);
            bookings.void_all();
            let tickets: Vec<_> = (0..8).map(|_| bookings.number()).collect();
            let cancelled: Vec<_> = [6, 5, 6, 7, 5, 3, 4, 2, 7, 3].map(|at| bookings.claim(tickets[at])).into();
            assert_eq!(cancelled, [true, true, false, true, false, true, false, true, false, false], "{start}");
            let next = bookings.number();
            assert!(bookings.claim(next) && !bookings.claim(next) && bookings.is_void(tickets[3]));
        }
    }

    #[test]
    fn a_change_voids_what_was_booked_before_it() {
        let bookings = bookings(7);
        let old = bookings.number();
        bookings.void_all();
        let new = bookings.number();
        assert!(bookings.is_void(old) && !bookings.is_void(new) && bookings.claim(new) && !bookings.claim(old));
    }
}
