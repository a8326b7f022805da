//! The numbers of bookings, so that a ticket gives back once.
//!
//! A booking that has to wait takes the next number. Of the latest [`KEPT`] it is known which were cancelled, in any
//! order; what is older is void.
//!
//! A ticket holds the low [`TICKET_BITS`] of its number: one that is kept for 2^26 later bookings which had to wait is
//! taken for another.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Bits of a number that a ticket has room for.
pub(super) const TICKET_BITS: u32 = 26;
const TICKET: u64 = (1 << TICKET_BITS) - 1;
/// How many bookings can be cancelled. loom's atomics are costly.
const KEPT: usize = if cfg!(loom) { 2 } else { 256 };
/// One that voided, in `eras`.
const VOIDED: u32 = 1 << 16;
/// A change of quota or reset is at it.
const CHANGING: u32 = 1 << 15;

#[repr(C)]
#[derive(Debug)]
pub(super) struct Bookings {
    /// How many there have been: the number of the last.
    last: AtomicU64,
    /// The last number before the last change of quota or reset: all up to it are void.
    before: AtomicU32,
    /// `voided:16 | changing:1 | voiding:15`: how often tickets were made void for what was [forgotten](Self::voiding)
    /// of them, and who is at it: a change, and so many that heal.
    ///
    /// Who dies there leaves a bucket whose bookings cannot be cancelled: after a change until the next, after healing
    /// (a few exchanges, once a minute behind a bad reading) for good, as who is dead cannot be told from who is slow.
    /// What wraps needs 32,768 such deaths, or 65,536 voidings while one cancel runs.
    eras: AtomicU32,
    /// Of the numbers with the same remainder, the last that was cancelled.
    cancelled: [AtomicU32; KEPT],
}

impl Bookings {
    #[cfg(any(loom, test))]
    pub(super) fn blank() -> Self {
        let zero = || AtomicU32::new(0);
        Self { last: AtomicU64::new(0), before: zero(), eras: zero(), cancelled: std::array::from_fn(|_| zero()) }
    }

    /// A number for a new booking, as its ticket holds it. Between the load of a word and the exchange that books.
    pub(super) fn number(&self) -> u64 {
        // Relaxed: the exchange that follows publishes it, and the load of the word before it ordered it after a
        // change.
        self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1) & TICKET
    }

    /// All that are known to whoever calls are void.
    fn void_all(&self) {
        // Relaxed: whatever was booked by the present word is at least as old as that word, which was acquired. AcqRel:
        // after whoever voided more, so that a thread that was held up in here makes nothing valid again.
        let last = |_| Some(self.last.load(Ordering::Relaxed) as u32);
        let _ = self.before.fetch_update(Ordering::AcqRel, Ordering::Acquire, last);
    }

    /// Does `forget`, which erases what is noted of bookings, and voids all that were made before it is through.
    pub(super) fn voiding(&self, forget: impl FnOnce()) {
        // AcqRel: before what `forget` erases.
        self.eras.fetch_add(1, Ordering::AcqRel);
        forget();
        self.void_all();
        // AcqRel: after the tickets were made void.
        self.eras.fetch_add(VOIDED - 1, Ordering::AcqRel);
    }

    /// The same for a change of quota or reset, of which there is one at a time, before the exchange that publishes it:
    /// who has read a later word knows of it. A booking of the old quota that takes its number later has the old slot
    /// in its ticket.
    pub(super) fn changing(&self, forget: impl FnOnce()) {
        // AcqRel, both: as above.
        self.eras.fetch_or(CHANGING, Ordering::AcqRel);
        forget();
        self.void_all();
        self.eras.fetch_add(VOIDED - CHANGING, Ordering::AcqRel);
    }

    /// To be read after what is noted of bookings, and before [`claim`](Self::claim): as long as it is this, what was
    /// noted of a ticket that is not void has not been erased. `None`: it may have been.
    pub(super) fn era(&self) -> Option<u32> {
        // Acquire: whoever read what was left by an erasure sees that it began, and if it is over, what it voided.
        let eras = self.eras.load(Ordering::Acquire);
        eras.is_multiple_of(VOIDED).then_some(eras)
    }

    /// Whether nothing can be given back by this ticket any more.
    pub(super) fn is_void(&self, ticket: u64) -> bool {
        self.open(ticket).is_none()
    }

    /// Voids the ticket, before what it booked is given back: of all who try, one succeeds.
    pub(super) fn claim(&self, ticket: u64) -> bool {
        self.open(ticket).is_some_and(|(place, found, number)| {
            // AcqRel: after what is read of it, before the exchange that gives back. A failure: somebody else has
            // claimed it, or a number so much later that this one is void.
            place.compare_exchange(found, number, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    /// Where the number of a ticket is noted, what stands there, and the number; `None` when it is void.
    fn open(&self, ticket: u64) -> Option<(&AtomicU32, u32, u32)> {
        // Acquire: if a later number was noted here, the last number that is read next is no older than that.
        let place = &self.cancelled[ticket as usize % KEPT];
        let found = place.load(Ordering::Acquire);
        // Relaxed, both: ordered by the load above and that of the word.
        let (last, before) = (self.last.load(Ordering::Relaxed), self.before.load(Ordering::Relaxed));
        // How long ago each was: the smaller the newer.
        let age = |number: u32| (last as u32).wrapping_sub(number);
        let number = last.wrapping_sub(last.wrapping_sub(ticket) & TICKET) as u32;
        // A zero is a ticket of nothing, and once in 2^26 bookings one that had to wait: that cannot be cancelled.
        let void = ticket == 0 || age(number) >= age(before) || age(number) >= KEPT as u32;
        (!void && found != number).then_some((place, found, number))
    }
}

const _: () = assert!(KEPT.is_power_of_two() && KEPT as u64 <= TICKET);

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn bookings(last: u64) -> Bookings {
        Bookings { last: AtomicU64::new(last), ..Bookings::blank() }
    }

    #[test]
    fn each_ticket_counts_once_in_whatever_order() {
        for start in [0, 5, (1 << 26) - 1, (1 << 26) - 2, (1 << 32) - 2] {
            let bookings = bookings(start);
            bookings.void_all();
            let tickets: Vec<_> = (0..8).map(|_| bookings.number()).filter(|&ticket| ticket != 0).collect();
            for &at in &[4, 2, 5, 0, 3, 1, 6] {
                assert!(bookings.claim(tickets[at]) && !bookings.claim(tickets[at]) && bookings.is_void(tickets[at]));
            }
            let next = bookings.number();
            assert!(bookings.claim(next) && !bookings.claim(next) && bookings.is_void(tickets[3]));
        }
    }

    #[test]
    fn an_old_ticket_is_void_and_stays_so() {
        let bookings = bookings(0);
        let old = bookings.number();
        for later in 1..3 * KEPT {
            let ticket = bookings.number();
            assert_eq!(bookings.is_void(old), later >= KEPT, "{later} later");
            assert!(later % 3 > 0 || bookings.claim(ticket) && !bookings.claim(ticket));
        }
        assert!(!bookings.claim(old));
    }

    #[test]
    fn a_change_voids_what_was_booked_before_it() {
        let bookings = bookings(7);
        let old = bookings.number();
        bookings.void_all();
        let new = bookings.number();
        assert!(bookings.is_void(old) && !bookings.is_void(new) && bookings.claim(new) && !bookings.claim(old));
    }

    /// Also where one before it died in the middle.
    #[test]
    fn an_era_ends_with_a_change() {
        let bookings = bookings(7);
        let before = bookings.era();
        // Relaxed: tests only.
        bookings.eras.fetch_or(CHANGING, Ordering::Relaxed);
        assert_eq!(bookings.era(), None);
        bookings.changing(|| assert_eq!(bookings.era(), None));
        assert!(before.is_some() && bookings.era().is_some() && bookings.era() != before);
        bookings.voiding(|| assert_eq!(bookings.era(), None));
        assert!(bookings.era().is_some());
    }
}
