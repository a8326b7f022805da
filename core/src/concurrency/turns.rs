//! Whose turn it is among the lines of a named scope: each process, and each limiter object in it, has a line of its
//! own.
//!
//! A line in which somebody waits says in a seat how long its first has waited, and when it last looked for a place. A
//! free place is for the line whose first has waited longest; the others leave it free as long as that line looks
//! often. Nobody wakes another line: it looks by itself. What a seat says lapses, so that a line whose process was
//! killed, stopped or is busy keeps one place free for at most [`LAPSE`], and then none until it looks again.
//!
//! Seats decide the order, and nothing else: whatever stands in them, admitted is only who takes a place. They are read
//! and written Relaxed, because an old value costs an early or a late turn.

use crate::ConfigError;
use crate::memory::{ObjectAllocator, SharedSlice};
use crate::sync::{AtomicU64, Ordering};
use std::time::Duration;

/// Lines that can wait at once in the common order. One beyond them takes what the others leave.
const SEATS: usize = 256;
/// Words of a seat: its claim, and how many wait.
const WORDS: usize = 2;
const CLAIM: usize = 0;
const WAITING: usize = 1;

/// A claim: `since:39 | looked:24 | 1`, high to low; 0: nobody's. Times of the arena's clock, in units of 2^14 and 2^20
/// ns.
const SINCE_UNIT: u32 = 14;
const SINCE_BITS: u32 = 39;
const SINCE_AT: u32 = 25;
const LOOKED_UNIT: u32 = 20;
const LOOKED: u64 = (1 << 24) - 1;

/// How long a claim to a turn holds after the line's last look, in units of 2^20 ns: 26 ms.
const LAPSE: u64 = 25;
/// After what time without a look a seat is another's to take: about a second.
const ABANDONED: u64 = 1_000;
/// So much earlier must another line's first have come to have the turn: 10 ms, in units of 2^14 ns. With calls shorter
/// than the pause between two looks, a line then serves some of its own in a row and no place lies idle for each.
const LEEWAY: u64 = 10_000_000 >> SINCE_UNIT;

/// The pause between two looks of the first in a line: an eighth of the time since the line last moved, within these
/// bounds.
const SHORTEST_PAUSE: u64 = 1_000_000;
const LONGEST_PAUSE: u64 = 10_000_000;
/// Those behind the first look seldom, for the case that those before them leave.
const LONGEST_BEHIND: u64 = 20_000_000;

#[derive(Debug)]
pub(super) struct Turns {
    /// When a line last looked; 0: not for a while.
    recent: SharedSlice<AtomicU64>,
    seats: SharedSlice<AtomicU64>,
}

/// A line's seat: which, and the claim that it wrote there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    number: usize,
    claim: u64,
}

/// What a line says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// When its first came.
    pub(super) since: u64,
    pub(super) count: u64,
}

impl Turns {
    pub(super) fn lay_out(room: &mut ObjectAllocator) -> Result<Self, ConfigError> {
        Ok(Self { recent: room.cells(1)?, seats: room.cells(SEATS * WORDS)? })
    }

    /// The claims, by seat.
    fn claims(&self) -> impl Iterator<Item = (usize, u64)> {
        // Relaxed: see the top.
        self.seats.iter().step_by(WORDS).map(|claim| claim.load(Ordering::Relaxed)).enumerate()
    }

    /// Says that the line looks now, in its seat or a new one; `None`: all are taken.
    pub(super) fn announce(&self, seat: Option<Seat>, waiting: Waiting, now: u64) -> Option<Seat> {
        let claim = claim(waiting.since, now);
        let number = seat.filter(|seat| self.exchange(seat.number, seat.claim, claim)).map(|seat| seat.number);
        // Lost to another, or the first: one that nobody has.
        let number = number.or_else(|| {
            let is_free = |found: u64| found & 1 == 0 || !is_recent(found, now, ABANDONED);
            self.claims()
                .find(|&(number, found)| is_free(found) && self.exchange(number, found, claim))
                .map(|free| free.0)
        })?;
        if let Some(count) = self.seats.get(number * WORDS + WAITING) {
            // Relaxed: see the top.
            count.store(waiting.count, Ordering::Relaxed);
        }
        if let Some(recent) = self.recent.first() {
            // Relaxed: as above.
            recent.store(claim, Ordering::Relaxed);
        }
        Some(Seat { number, claim })
    }

    /// Nobody waits in the line any more.
    pub(super) fn vacate(&self, seat: Seat) {
        self.exchange(seat.number, seat.claim, 0);
    }

    fn exchange(&self, number: usize, from: u64, to: u64) -> bool {
        // Relaxed, both: see the top.
        let exchange = |word: &AtomicU64| word.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        self.seats.get(number * WORDS + CLAIM).is_some_and(exchange)
    }

    /// How many other lines come before one whose first came at `since`.
    pub(super) fn ahead(&self, own: Option<Seat>, since: u64, now: u64) -> usize {
        let own = own.map(|seat| seat.number);
        let mine = since >> SINCE_UNIT;
        let is_ahead = |claim: u64| {
            let earlier = mine.wrapping_sub(claim >> SINCE_AT) & ((1 << SINCE_BITS) - 1);
            is_recent(claim, now, LAPSE) && earlier > LEEWAY && earlier < 1 << (SINCE_BITS - 1)
        };
        self.claims().filter(|&(number, claim)| Some(number) != own && is_ahead(claim)).count()
    }

    /// Whether a line may be waiting: a word to read where none has for a while.
    #[inline]
    pub(super) fn are_any(&self, now: impl FnOnce() -> u64) -> bool {
        let Some(recent) = self.recent.first() else { return false };
        // Relaxed: see the top.
        let claim = recent.load(Ordering::Relaxed);
        if claim == 0 || is_recent(claim, now(), LAPSE) {
            return claim != 0;
        }
        // Relaxed, both: see the top. Not over a newer one.
        let _ = recent.compare_exchange(claim, 0, Ordering::Relaxed, Ordering::Relaxed);
        false
    }

    /// How many wait now in all lines that have looked within a second, and how long the longest has.
    pub(super) fn waiting(&self, now: u64) -> (u64, Duration) {
        self.claims().filter(|&(_, claim)| is_recent(claim, now, ABANDONED)).fold((0, Duration::ZERO), |sum, line| {
            let (number, claim) = line;
            // Relaxed: see the top.
            let count = self.seats.get(number * WORDS + WAITING).map_or(0, |count| count.load(Ordering::Relaxed));
            let waited = ((now >> SINCE_UNIT).wrapping_sub(claim >> SINCE_AT) & ((1 << SINCE_BITS) - 1)) << SINCE_UNIT;
            let waited = if waited >> (SINCE_UNIT + SINCE_BITS - 1) == 0 { waited } else { 0 };
            (u64::saturating_add(sum.0, count), sum.1.max(Duration::from_nanos(waited)))
        })
    }
}

/// When the one at `position` of a line is to look again; `still`: for how long the line has not moved.
pub(super) fn pause(position: usize, still: u64) -> Duration {
    let first = (still / 8).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    Duration::from_nanos(if position == 0 { first } else { (first << position.min(5)).min(LONGEST_BEHIND) })
}

fn claim(since: u64, now: u64) -> u64 {
    (since >> SINCE_UNIT) << SINCE_AT | (now >> LOOKED_UNIT & LOOKED) << 1 | 1
}

/// Whether the line looked within so many units of 2^20 ns of `now`. A little ahead, as another CPU's clock may be, is
/// now.
fn is_recent(claim: u64, now: u64, within: u64) -> bool {
    let age = (now >> LOOKED_UNIT).wrapping_sub(claim >> 1) & LOOKED;
    claim & 1 == 1 && (age <= within || LOOKED - age < within)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn turns() -> Turns {
        Turns::lay_out(&mut ObjectAllocator::of_process(false)).unwrap()
    }

    fn one(since: u64) -> Waiting {
        Waiting { since, count: 1 }
    }

    #[test]
    fn the_longest_waiting_line_comes_first() {
        let turns = turns();
        let now = 5_000 * MS;
        let [old, young] = [now - 100 * MS, now - 20 * MS].map(|since| turns.announce(None, one(since), now));
        assert_eq!(turns.ahead(old, now - 100 * MS, now), 0);
        assert_eq!(turns.ahead(young, now - 20 * MS, now), 1);
        assert_eq!(turns.ahead(None, now, now), 2);
        // About as early is as early.
        assert_eq!(turns.ahead(None, now - 92 * MS, now), 0);
        assert_eq!(turns.waiting(now).0, 2);
        turns.vacate(old.unwrap());
        assert_eq!((turns.ahead(young, now - 20 * MS, now), turns.waiting(now).0), (0, 1));
    }

    #[test]
    fn a_claim_lapses_without_a_look() {
        let turns = turns();
        let came = 7_000 * MS;
        let mut seat = turns.announce(None, one(came), came);
        for (after, ahead) in [(0, 0), (9, 0), (11, 1), (25, 1), (28, 0), (100, 0), (499, 0)] {
            let now = came + after * MS;
            assert_eq!(turns.ahead(None, now, now), ahead, "after {after} ms");
        }
        let now = came + 500 * MS;
        assert!(!turns.are_any(|| now));
        seat = turns.announce(seat, one(came), now);
        assert_eq!((turns.ahead(None, now, now), seat.unwrap().number), (1, 0));
        assert!(turns.are_any(|| now));
        // Who looks again after its seat went to another takes a new one.
        let late = now + 2_000 * MS;
        let other = turns.announce(None, one(late), late);
        assert_eq!(other.unwrap().number, 0);
        assert_eq!(turns.announce(seat, one(came), late).unwrap().number, 1);
        assert_eq!(turns.ahead(other, late, late), 1);
    }

    #[test]
    fn lines_beyond_the_seats_have_none() {
        let turns = turns();
        assert!((0..SEATS).all(|_| turns.announce(None, one(MS), MS).is_some()));
        assert!(turns.announce(None, one(MS), MS).is_none());
        assert_eq!(turns.waiting(MS).0, SEATS as u64);
    }

    /// Hostile bytes give another order, and end nothing.
    #[test]
    fn whatever_stands_in_a_seat_is_an_order() {
        let turns = turns();
        for word in [u64::MAX, 1, 2, u64::MAX - 1, 1 << 63 | 1] {
            for cell in turns.seats.iter().chain(turns.recent.iter()) {
                // Relaxed: one thread.
                cell.store(word, Ordering::Relaxed);
            }
            for now in [0, MS, u64::MAX] {
                assert!(turns.ahead(None, now, now) <= SEATS);
                let seat = turns.announce(None, one(now), now);
                let _ = (turns.waiting(now), turns.are_any(|| now), seat.map(|seat| turns.vacate(seat)));
            }
        }
    }

    #[test]
    fn the_first_looks_often_and_all_look() {
        let pauses = |still| [0, 1, 2, 5, 100].map(|position| pause(position, still).as_millis());
        assert_eq!(pauses(0), [1, 2, 4, 20, 20]);
        assert_eq!(pauses(40 * MS), [5, 10, 20, 20, 20]);
        assert_eq!(pauses(u64::MAX), [10, 20, 20, 20, 20]);
    }
}
