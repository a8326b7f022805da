//! Places that partitions lend one another, and call back.
//!
//! A permit's word names its partition, so that counting the words tells how many places each has, and taking one stays
//! one exchange. While no partition calls for places, whoever comes takes any. A partition that is refused within its
//! guarantee says in a demand word how many places it is in need of. While a demand holds, a call takes a place only if
//! that leaves its own partition within its guarantee, or leaves as many places free as are demanded and not had.
//!
//! Never a place that was demanded before to a borrower: it looks at the demands again after it has taken its place,
//! and leaves where they have changed. Never by a count that others have made untrue: who takes a place by count moves
//! the version on by an exchange, and begins anew where another has done so since it began to count. In between, places
//! only become free, which a count that comes too late takes for less than is free. One killed between its place and
//! the version holds a place, which is found as any that a dead process held.
//!
//! A demand fades: in a straight line to nothing within [`SPAN`], and not while somebody waits for a place in this
//! process. Whatever stands in these words, admitted is only who takes a place.

use super::ConcurrencyPermit;
use super::hint;
use super::partition::{MOST, NAME_WORDS, Partition, Partitions, RANKS, WORDS, guaranteed, rank_in, share_in};
use super::permit_slots::{Full, OwnerIn, PATIENCE, PermitSlots};
use crate::ConfigError;
use crate::counters::Striped;
use crate::memory::{ChangeLock, ObjectAllocator, One, SharedSlice};
use crate::sync::{AtomicU64, Ordering, in_order};

/// Calls by number of partition, 0 without one.
pub(super) type ByPartition<T> = [T; MOST + 1];

/// How long what was demanded is kept for who demanded it, less and less: 5 s, in units of 2^14 ns.
const SPAN: u64 = 5_000_000_000 >> UNIT;
const UNIT: u32 = 14;
/// A demand: `told:48 | places:16`; 0: none.
const PLACES: u64 = (1 << 16) - 1;
const TOLD: u64 = (1 << 48) - 1;
/// A demand that says the same is written anew after so long.
const AGAIN: u64 = SPAN / 64;
/// How often others may upset the note of a demand.
const TRIES: usize = 8;

/// Words of the head: the demands, a line that takings read; the version, written by takings while there are some; what
/// is declared.
const VERSION: usize = 16;
const DECLARED: usize = 32;
const HEAD: usize = 48;
const _: () = assert!(MOST <= VERSION && DECLARED + WORDS <= HEAD);

/// Counts of each partition.
pub(super) const ADMITTED: usize = 0;
pub(super) const DENIED: usize = 1;
pub(super) const WOULD_DENY: usize = 2;
const COUNTS: usize = 3;

#[derive(Debug)]
pub(super) struct Lending {
    head: One<[AtomicU64; HEAD]>,
    pub(super) partitions: Partitions,
    counts: Striped<{ COUNTS * MOST }>,
    /// Who declares shares while others may: two at once would leave some of each.
    pub(super) changes: ChangeLock,
}

/// How a call comes to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// One call, which is refused or not.
    Once,
    /// So many wait.
    Waiting(u32),
}

/// Places taken, by partition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    pub(super) all: u32,
    pub(super) of: ByPartition<u32>,
}

/// The terms of one moment.
#[derive(Clone, Copy, Debug)]
struct Terms {
    /// The demand words, those that have faded as 0.
    words: [u64; MOST],
    demands: ByPartition<u32>,
    guaranteed: ByPartition<u32>,
    ranks: ByPartition<u8>,
    limit: u32,
}

impl Terms {
    /// How many places partition `of` may demand of another with the rank `from`.
    fn may_demand(&self, of: usize, from: u8) -> u32 {
        if self.ranks[of] < from { self.limit } else { self.guaranteed[of] }
    }

    /// Whether one more place is within the partition's guarantee.
    fn is_owner(&self, partition: Partition, taken: &Taken) -> bool {
        let number = partition.index();
        taken.of[number] < self.guaranteed[number]
    }

    /// Places that others demand before this partition may have one that it is not guaranteed.
    fn kept_from(&self, partition: Partition, taken: &Taken) -> u32 {
        let number = partition.index();
        let kept = |of: usize| {
            let most = self.may_demand(of, self.ranks[number]);
            self.demands[of].min(most).saturating_sub(taken.of[of])
        };
        (1..=MOST).filter(|&of| of != number).map(kept).fold(0, u32::saturating_add)
    }
}

fn units(now: u64) -> u64 {
    now >> UNIT & TOLD
}

/// How many places a demand is for at `now`.
fn at(word: u64, now: u64, is_waited_for: bool) -> u32 {
    let (told, places) = (word >> 16, word & PLACES);
    // A little ahead, as another CPU's clock may be, is now; far ahead is a bad reading's and has faded.
    let age = (units(now).wrapping_sub(told) & TOLD).min(told.wrapping_sub(units(now)) & TOLD);
    if is_waited_for {
        return places as u32;
    }
    // Rounded up: the last place is kept to the end.
    if age >= SPAN { 0 } else { (places - places * age / SPAN) as u32 }
}

impl Lending {
    /// The next parts of `room`.
    pub(super) fn lay_out(room: &mut ObjectAllocator, partitions: Partitions) -> Result<Self, ConfigError> {
        let head: One<[AtomicU64; HEAD]> = room.one()?;
        let names: SharedSlice<AtomicU64> = room.cells(NAME_WORDS)?;
        let counts = Striped::in_room(room)?;
        if room.is_fresh() {
            // Relaxed: published with the object.
            let store = |(word, value): (&AtomicU64, u64)| word.store(value, Ordering::Relaxed);
            names.iter().zip(partitions.name_words()).for_each(store);
        }
        let mut read = [0; NAME_WORDS];
        // Relaxed: as above.
        read.iter_mut().zip(names.iter()).for_each(|(word, name)| *word = name.load(Ordering::Relaxed));
        let changes = ChangeLock::of(room);
        let lending = Self { head, partitions: partitions.named(read), counts, changes };
        if room.is_fresh() {
            lending.declare(&partitions);
        }
        Ok(lending)
    }

    /// Puts shares and ranks in force.
    pub(super) fn declare(&self, partitions: &Partitions) {
        for (index, value) in partitions.to_words().into_iter().enumerate() {
            // Relaxed: whoever decides meanwhile does by some old ones and some new.
            self.head[DECLARED + index].store(value, Ordering::Relaxed);
        }
    }

    /// What is in force.
    pub(super) fn declared(&self) -> Partitions {
        // Relaxed: as above.
        let words = std::array::from_fn(|word| self.head[DECLARED + word].load(Ordering::Relaxed));
        Partitions::of_words(self.partitions.len() as u64, words).named(self.partitions.name_words())
    }

    /// The demand words in use.
    fn demands(&self) -> impl Iterator<Item = &AtomicU64> {
        self.head.iter().take(self.partitions.len())
    }

    /// Whether nobody demands anything.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.demands().all(|word| in_order(word) == 0)
    }

    /// What holds now. `is_waited_for`: whether somebody of that partition waits in this process.
    fn terms(&self, limit: u32, now: u64, is_waited_for: impl Fn(usize) -> bool) -> Terms {
        // Relaxed: see `declare`.
        let declared = std::array::from_fn(|word| self.head[DECLARED + word].load(Ordering::Relaxed));
        let mut terms = Terms {
            words: [0; MOST],
            demands: [0; MOST + 1],
            guaranteed: [0; MOST + 1],
            ranks: [rank_in(declared[RANKS], MOST); MOST + 1],
            limit,
        };
        for (index, word) in self.demands().enumerate() {
            terms.guaranteed[index + 1] = guaranteed(share_in(&declared, index), limit);
            terms.ranks[index + 1] = rank_in(declared[RANKS], index);
            let demand = in_order(word);
            if demand == 0 {
                continue;
            }
            let places = at(demand, now, is_waited_for(index + 1));
            if places > 0 {
                terms.words[index] = demand;
                terms.demands[index + 1] = places;
            } else {
                // SeqCst: before any taking that finds it gone. Relaxed on failure: it has been renewed, and is seen
                // at the second look.
                let _ = word.compare_exchange(demand, 0, Ordering::SeqCst, Ordering::Relaxed);
            }
        }
        terms
    }

    /// Whether the demands are those of the terms.
    fn still(&self, terms: &Terms) -> bool {
        self.demands().zip(terms.words).all(|(word, demand)| in_order(word) == demand)
    }

    /// Says that `partition` was refused, if it was within what it may demand of others.
    pub(super) fn demand(
        &self,
        places: &PermitSlots,
        partition: Partition,
        asked: Asked,
        now: u64,
        is_waited_for: impl Fn(usize) -> bool,
    ) {
        let number = partition.index();
        let Some(word) = number.checked_sub(1).and_then(|index| self.head.get(index)) else { return };
        let rule = places.rule();
        let terms = self.terms(places.limit_by(rule), now, &is_waited_for);
        let (most, has) = (terms.may_demand(number, terms.ranks[0]), places.taken(rule).of[number]);
        if has >= most {
            return;
        }
        for _ in 0..TRIES {
            let before = in_order(word);
            let kept = at(before, now, is_waited_for(number));
            let wanted = match asked {
                Asked::Once => kept.max(has).saturating_add(1),
                Asked::Waiting(waiting) => kept.max(has.saturating_add(waiting)),
            };
            let wanted = wanted.min(most);
            let is_fresh = units(now).wrapping_sub(before >> 16) & TOLD < AGAIN;
            if wanted == kept && wanted == (before & PLACES) as u32 && is_fresh {
                return;
            }
            let next = units(now) << 16 | u64::from(wanted).min(PLACES);
            // SeqCst: a borrower that takes a place after this finds it at its second look. Relaxed on failure: one
            // more look.
            if word.compare_exchange(before, next, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Says that a partition that waited has been served: what it demanded begins to fade now.
    pub(super) fn renew(&self, partition: Partition, now: u64) {
        let Some(word) = partition.index().checked_sub(1).and_then(|index| self.head.get(index)) else { return };
        let before = in_order(word);
        if before != 0 && units(now).wrapping_sub(before >> 16) & TOLD >= AGAIN {
            let next = units(now) << 16 | before & PLACES;
            // SeqCst: as a demand. Relaxed on failure: it is another's, and as new.
            let _ = word.compare_exchange(before, next, Ordering::SeqCst, Ordering::Relaxed);
        }
    }

    /// Takes a free place for a call of `partition`, or only within its guarantee; and whether it stood for a moment in
    /// a place that it did not keep: others, who wait for one, may have found it taken.
    pub(super) fn take(
        &self,
        places: &PermitSlots,
        owner: OwnerIn,
        is_guaranteed: bool,
        now: impl Fn() -> u64,
        is_waited_for: impl Fn(usize) -> bool,
    ) -> (Option<ConcurrencyPermit>, bool) {
        let mut disturbed = false;
        if !is_guaranteed && self.is_quiet() {
            let permit = match places.take(owner) {
                Ok(permit) => permit,
                Err(full) => return (None, full == Full::Disturbed),
            };
            if self.is_quiet() {
                return (Some(permit), false);
            }
            places.give_back(permit);
            disturbed = true;
        }
        self.take_by_count(places, owner, is_guaranteed, now(), disturbed, is_waited_for)
    }

    #[inline(never)]
    fn take_by_count(
        &self,
        places: &PermitSlots,
        owner: OwnerIn,
        is_guaranteed: bool,
        now: u64,
        mut disturbed: bool,
        is_waited_for: impl Fn(usize) -> bool,
    ) -> (Option<ConcurrencyPermit>, bool) {
        let version = &self.head[VERSION];
        for _ in 0..PATIENCE {
            let before = in_order(version);
            let rule = places.rule();
            let limit = places.limit_by(rule);
            let terms = self.terms(limit, now, &is_waited_for);
            let taken = places.taken(rule);
            let Some(free) = limit.checked_sub(taken.all).filter(|&free| free > 0) else { break };
            let is_owner = terms.is_owner(owner.partition, &taken);
            if !is_owner && (is_guaranteed || terms.kept_from(owner.partition, &taken) >= free) {
                // By a count that holds.
                if in_order(version) == before {
                    break;
                }
                continue;
            }
            let Some(permit) = places.search(limit, owner) else { break };
            // SeqCst: after the place was taken, before others count it. Relaxed on failure: one more look.
            let move_on =
                || version.compare_exchange(before, before.wrapping_add(1), Ordering::SeqCst, Ordering::Relaxed);
            if self.still(&terms) && places.admits(rule) && move_on().is_ok() {
                hint::found(permit.place() as u32);
                return (Some(permit), disturbed);
            }
            places.give_back(permit);
            disturbed = true;
        }
        (None, disturbed)
    }

    /// Whether [`take`](Self::take) would find a place, by a look.
    pub(super) fn has_room_for(
        &self,
        places: &PermitSlots,
        partition: Partition,
        now: u64,
        is_waited_for: impl Fn(usize) -> bool,
    ) -> bool {
        let rule = places.rule();
        let (limit, taken) = (places.limit_by(rule), places.taken(rule));
        let terms = self.terms(limit, now, is_waited_for);
        let free = limit.saturating_sub(taken.all);
        free > 0 && (terms.is_owner(partition, &taken) || terms.kept_from(partition, &taken) < free)
    }

    /// Counts something of a partition.
    pub(super) fn count(&self, what: usize, partition: Partition) {
        if let Some(index) = partition.index().checked_sub(1) {
            self.counts.add(index * COUNTS + what, 1);
        }
    }

    /// How often that was.
    pub(super) fn counted(&self, what: usize, partition: Partition) -> u64 {
        partition.index().checked_sub(1).map_or(0, |index| self.counts.sum(index * COUNTS + what))
    }

    /// Places that a partition is guaranteed of `limit`, and those that are kept free for it at `now` beside what it
    /// has.
    pub(super) fn told(
        &self,
        limit: u32,
        partition: Partition,
        has: u32,
        now: u64,
        is_waited_for: impl Fn(usize) -> bool,
    ) -> (u32, u32) {
        let number = partition.index();
        let terms = self.terms(limit, now, is_waited_for);
        let most = terms.may_demand(number, terms.ranks[0]);
        (terms.guaranteed[number], terms.demands[number].min(most).saturating_sub(has))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_demand_fades() {
        let word = |told: u64, places: u64| units(told) << 16 | places;
        let start = 77_000 * MS;
        let kept = [0, 500, 999, 2_500, 4_900, 5_001, 60_000].map(|ms| at(word(start, 10), start + ms * MS, false));
        assert_eq!(kept, [10, 10, 9, 6, 1, 0, 0]);
        assert_eq!(at(word(start, 1), start + 4_999 * MS, false), 1);
        // Not while somebody waits; and a reading far ahead is none.
        assert_eq!(at(word(start, 10), start + 60_000 * MS, true), 10);
        assert_eq!(at(word(start + 6_000 * MS, 10), start, false), 0);
        for now in [0, start, u64::MAX] {
            assert!(at(u64::MAX, now, false) <= 65_535);
        }
    }
}
