//! The probe slots of the half-open state, two words each, and the verdict that they give.
//!
//! `generation:16 | status:4 | owner:16 | nonce:28` decides, high to low: the lease and its holder are one exchange. A
//! slot of another generation is free. Done and lost are final within a generation, and the verdict rests on them
//! alone: whoever looks comes to the same one, so anyone may finish for a reporter that was killed.
//!
//! `lease:36 | deadline:28` follows: the number of the slot's latest lease, whose low bits are the nonce, and its end.
//! Whoever leases writes it next; whoever finds it one lease behind (its writer was killed, or is about to write) does
//! so for it, with an end counted from its own look. So the second word is never more than one lease behind, and a
//! permit, which carries the number, means one lease of 2^35. The exchange of the first word is mistaken only if 2^28
//! leases come and go during one thread's step.
//!
//! A lease that is lost says nothing about the dependency: its slot is free again, once. Lost twice running, it stays
//! lost, so that half-open ends.
//!
//! A lease that lies impossibly far ahead of a reading is either a bad reading's, or a live probe's and the reader
//! late. No single reading frees it: each slot has a [`Watch`].

use super::control::PAYLOAD_BITS;
use super::memory::Words;
use super::owners::Owner;
use super::tally::{Tally, Thresholds};
use crate::ConfigError;
use crate::memory::{ObjectAllocator, SharedSlice, Watch};
use crate::sync::{AtomicU64, Ordering, fence};

#[derive(Debug)]
pub(super) struct Probes {
    words: Words,
    /// Of the end of each slot's lease.
    watches: SharedSlice<Watch>,
    slots: u32,
}

/// How a half-open cycle ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Close,
    Reopen,
}

/// A look at all slots of a cycle.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survey {
    pub(super) done: Tally,
    /// A slot that can be leased, and its word.
    pub(super) free: Option<(u32, u64)>,
    /// Leases in force.
    pub(super) leased: u32,
    /// How many probes the cycle takes.
    slots: u32,
}

impl Probes {
    /// The next parts of `room`.
    pub(super) fn in_room(room: &mut ObjectAllocator, slots: u32) -> Result<Self, ConfigError> {
        let words = Words::in_room(room, Self::words(slots))?;
        Ok(Self { words, watches: room.cells(slots as usize)?, slots })
    }

    /// How many words so many slots need.
    pub(super) fn words(slots: u32) -> usize {
        2 * slots as usize
    }

    /// In memory of its own: [`words`](Self::words), and a watch for each slot.
    pub(super) fn over(words: Words, watches: SharedSlice<Watch>) -> Self {
        let slots = watches.len() as u32;
        Self { words, watches, slots }
    }

    fn load(&self, slot: u32) -> Slot {
        // Acquire: pairs with the release of whoever changed the slot, so that the control word is read no older than
        // theirs.
        Slot(self.words.at(2 * slot as usize).load(Ordering::Acquire))
    }

    fn swap(&self, slot: u32, old: Slot, new: Slot) -> bool {
        // AcqRel: the look at all slots that follows an outcome is ordered after it, and seen by who reads it.
        self.words.at(2 * slot as usize).compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn lease_word(&self, slot: u32) -> &AtomicU64 {
        self.words.at(2 * slot as usize + 1)
    }

    /// The latest lease of a slot as `word` has it, written for its holder where that is still to be done, with
    /// `deadline` then. `None`: the slot has gone on since `word` was read.
    fn latest(&self, slot: u32, word: Slot, deadline: impl FnOnce() -> Deadline) -> Option<Lease> {
        // Acquire: pairs with the release below. `word` was read before: this one is of the same lease, the one before
        // it, or a later.
        let found = Lease(self.lease_word(slot).load(Ordering::Acquire));
        match word.nonce().wrapping_sub(found.number()) & NONCE_MASK {
            0 => Some(found),
            1 => {
                let lease = Lease::new(found.number() + 1, deadline());
                // Release: who reads it has what led to it. A failure: somebody else has written it.
                let swapped =
                    self.lease_word(slot).compare_exchange(found.0, lease.0, Ordering::AcqRel, Ordering::Acquire);
                let now = swapped.map_or_else(Lease, |_| lease);
                (now.number() == lease.number()).then_some(now)
            }
            _ => None,
        }
    }

    /// How many slots there are.
    pub(super) fn room(&self) -> u32 {
        self.slots
    }

    /// Of a cycle that takes `slots` probes, at most as many as there is room for.
    pub(super) fn survey(&self, generation: u16, slots: u32) -> Survey {
        let mut survey = Survey { slots, ..Survey::default() };
        for slot in 0..slots.min(self.slots) {
            let word = self.load(slot);
            match word.status(generation) {
                Status::Free | Status::FreeAgain => survey.free = survey.free.or(Some((slot, word.0))),
                Status::Leased | Status::LeasedAgain => survey.leased += 1,
                Status::Done { failed, slow } => {
                    survey.done.add(Tally { calls: 1, failed: u32::from(failed), slow: u32::from(slow) });
                }
                Status::Lost => {}
            }
        }
        survey
    }

    /// The verdict as soon as it is certain.
    pub(super) fn verdict(survey: &Survey, thresholds: &Thresholds) -> Option<Verdict> {
        // Whatever the other slots bring, the final rates are no lower than these.
        if thresholds.reached(Tally { calls: survey.slots, ..survey.done }) {
            return Some(Verdict::Reopen);
        }
        if survey.leased > 0 || survey.free.is_some() {
            return None;
        }
        let reopen = survey.done.calls == 0 || thresholds.reached(survey.done);
        Some(if reopen { Verdict::Reopen } else { Verdict::Close })
    }

    /// Leases a slot that a survey found free; returns the permit's payload. `at_once`: how many leases may be in
    /// force; where that is not all slots, one is in force before it is known whether it may be, and is taken back
    /// where it may not.
    pub(super) fn lease(
        &self,
        (slot, word): (u32, u64),
        generation: u16,
        owner: Owner,
        deadline: Deadline,
        at_once: u32,
        slots: u32,
    ) -> Option<u64> {
        let found = Slot(word);
        // The lease before this one must be whole first, or a third would be two behind.
        self.latest(slot, found, || deadline)?;
        let (free, status) = match found.status(generation) {
            Status::FreeAgain => (Status::FreeAgain, Status::LeasedAgain),
            _ => (Status::Free, Status::Leased),
        };
        // Before the exchange: a note is of one lease.
        self.watches[slot as usize].clear();
        let leased = Slot::new(generation, status, owner, found.nonce() + 1);
        if !self.swap(slot, found, leased) {
            return None;
        }
        let lease = self.latest(slot, leased, || deadline)?;
        if lease.deadline().is_before(deadline) {
            // A late thread wrote the end for us, by which the lease may be over at once: nobody has the permit yet.
            self.swap(slot, leased, leased.ended(free));
            return None;
        }
        if at_once < slots {
            // SeqCst: between one's own lease and the survey that follows. Of leases that are in force together, the
            // last one's leaser finds all the others, so that no more than `at_once` of them give a permit.
            fence(Ordering::SeqCst);
            if self.survey(generation, slots).leased > at_once {
                self.swap(slot, leased, leased.ended(free));
                return None;
            }
        }
        Some(u64::from(slot) << NUMBER_BITS | lease.number())
    }

    /// Ends a lease with an outcome; false when it is not this permit's any more.
    pub(super) fn settle(
        &self,
        payload: u64,
        generation: u16,
        is_me: impl Fn(Owner) -> bool,
        failed: bool,
        slow: bool,
    ) -> bool {
        let settled = self.end_lease(payload, generation, is_me, Status::Done { failed, slow });
        // SeqCst: between one's own outcome and the survey that follows. Of the last two reporters each writes, passes
        // this and reads the other's slot, so that one of them sees both outcomes and concludes (S. Dekker's argument).
        fence(Ordering::SeqCst);
        settled
    }

    /// Gives a slot back without an outcome.
    pub(super) fn free(&self, payload: u64, generation: u16, is_me: impl Fn(Owner) -> bool) -> bool {
        self.end_lease(payload, generation, is_me, Status::Free)
    }

    fn end_lease(&self, payload: u64, generation: u16, is_me: impl Fn(Owner) -> bool, end: Status) -> bool {
        let (slot, number) = (slot_of(payload), payload & NUMBER_MASK);
        if slot >= self.slots {
            return false;
        }
        let word = self.load(slot);
        // Acquire: as in `latest`. No permit was given out before its number stood here.
        let is_its = || Lease(self.lease_word(slot).load(Ordering::Acquire)).number() == number;
        let leased = word.status(generation).is_leased() && word.nonce() == number & NONCE_MASK && is_its();
        let mine = leased && is_me(word.owner());
        // A lost race: the lease was reaped, or the same permit was reported twice at once.
        mine && self.swap(slot, word, word.ended(end))
    }

    /// Ends leases as of `now` that are over by `left`, or whose owner is gone; returns how many. `deadline`: of a
    /// lease that still has none.
    pub(super) fn reap(
        &self,
        (generation, slots): (u16, u32),
        now: u64,
        deadline: Deadline,
        left: impl Fn(Deadline) -> Option<u64>,
        is_gone: impl Fn(Owner) -> bool,
    ) -> usize {
        (0..slots.min(self.slots))
            .filter(|&slot| {
                let word = self.load(slot);
                let end = match word.status(generation) {
                    Status::Leased => Status::FreeAgain,
                    Status::LeasedAgain => Status::Lost,
                    _ => return false,
                };
                let Some(lease) = self.latest(slot, word, || deadline) else { return false };
                // Both are looked at: the reading counts for the watch.
                let (gone, over) = (is_gone(word.owner()), self.is_over(slot, left(lease.deadline()), now));
                (gone || over) && self.swap(slot, word, word.ended(end))
            })
            .count()
    }

    /// Whether a lease that `left` says so much of is over as of `now`. One impossibly far ahead is once no reading of
    /// a minute found it plausible.
    fn is_over(&self, slot: u32, left: Option<u64>, now: u64) -> bool {
        let bad = self.watches[slot as usize].judge(left.is_some(), now);
        left.map_or(bad, |left| left == 0)
    }

    /// Nanoseconds until the first of the leases in force ends, without a write. `None`: there is none, or one of them
    /// is over, half written or impossibly far ahead, and so for an acquisition to mend. `left` as for
    /// [`reap`](Self::reap).
    pub(super) fn shortest_lease(
        &self,
        (generation, slots): (u16, u32),
        left: impl Fn(Deadline) -> Option<u64>,
    ) -> Option<u64> {
        let mut shortest = None;
        for slot in 0..slots.min(self.slots) {
            let word = self.load(slot);
            if !word.status(generation).is_leased() {
                continue;
            }
            // Acquire: as in `latest`.
            let lease = Lease(self.lease_word(slot).load(Ordering::Acquire));
            if lease.number() & NONCE_MASK != word.nonce() {
                return None;
            }
            let left_ns = left(lease.deadline()).filter(|left_ns| *left_ns > 0)?;
            shortest = Some(shortest.map_or(left_ns, |before: u64| before.min(left_ns)));
        }
        shortest
    }

    /// Nanoseconds from `now` until each of the leases in force ends. `left` and `deadline` as for
    /// [`reap`](Self::reap).
    pub(super) fn waits(
        &self,
        (generation, slots): (u16, u32),
        now: u64,
        deadline: Deadline,
        left: impl Fn(Deadline) -> Option<u64>,
    ) -> impl Iterator<Item = u64> {
        (0..slots.min(self.slots)).filter_map(move |slot| {
            let word = self.load(slot);
            let lease = word.status(generation).is_leased().then(|| self.latest(slot, word, || deadline))??;
            Some(left(lease.deadline()).unwrap_or_else(|| self.watches[slot as usize].wait(now)))
        })
    }
}

/// The slot that a permit's payload names.
pub(super) fn slot_of(payload: u64) -> u32 {
    (payload >> NUMBER_BITS) as u32
}

/// Bits of a deadline.
pub(super) const DEADLINE_BITS: u32 = 28;
const DEADLINE_MASK: u64 = (1 << DEADLINE_BITS) - 1;
/// Bits of a slot's number in a permit: 1 024 slots.
const SLOT_BITS: u32 = 10;
/// Bits of a lease's number in a permit.
const NUMBER_BITS: u32 = PAYLOAD_BITS - SLOT_BITS;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;
const NONCE_BITS: u32 = 28;
const NONCE_MASK: u64 = (1 << NONCE_BITS) - 1;
const OWNER_SHIFT: u32 = NONCE_BITS;
const STATUS_SHIFT: u32 = 44;
const GENERATION_SHIFT: u32 = 48;

const _: () = assert!(NUMBER_BITS <= 64 - DEADLINE_BITS && NUMBER_BITS > 32 && NUMBER_BITS >= NONCE_BITS);

/// The end of a lease, in units that the rules choose, modulo 2^28.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline(pub(super) u32);

impl Deadline {
    /// Within half the range.
    fn is_before(self, other: Self) -> bool {
        let ahead = u64::from(other.0.wrapping_sub(self.0)) & DEADLINE_MASK;
        ahead != 0 && ahead <= DEADLINE_MASK / 2
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Free,
    Leased,
    /// Free after a lease was lost.
    FreeAgain,
    /// Leased after a lease was lost.
    LeasedAgain,
    /// Lost twice running.
    Lost,
    Done {
        failed: bool,
        slow: bool,
    },
}

impl Status {
    fn code(self) -> u64 {
        match self {
            Self::Free => 0,
            Self::Leased => 1,
            Self::FreeAgain => 2,
            Self::LeasedAgain => 3,
            Self::Lost => 4,
            Self::Done { failed, slow } => 8 | u64::from(failed) << 1 | u64::from(slow),
        }
    }

    fn is_leased(self) -> bool {
        matches!(self, Self::Leased | Self::LeasedAgain)
    }
}

/// The first word of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot(u64);

impl Slot {
    fn new(generation: u16, status: Status, owner: Owner, nonce: u64) -> Self {
        Self(
            u64::from(generation) << GENERATION_SHIFT
                | status.code() << STATUS_SHIFT
                | u64::from(owner.0) << OWNER_SHIFT
                | nonce & NONCE_MASK,
        )
    }

    /// The same lease, over.
    fn ended(self, status: Status) -> Self {
        Self::new((self.0 >> GENERATION_SHIFT) as u16, status, Owner(0), self.nonce())
    }

    fn status(self, generation: u16) -> Status {
        if (self.0 >> GENERATION_SHIFT) as u16 != generation {
            return Status::Free;
        }
        match self.0 >> STATUS_SHIFT & 0xf {
            0 => Status::Free,
            1 => Status::Leased,
            2 => Status::FreeAgain,
            3 => Status::LeasedAgain,
            // Foreign bytes read as lost.
            4..=7 => Status::Lost,
            done => Status::Done { failed: done & 2 != 0, slow: done & 1 != 0 },
        }
    }

    /// Tells one lease of a slot from the next.
    fn nonce(self) -> u64 {
        self.0 & NONCE_MASK
    }

    fn owner(self) -> Owner {
        Owner((self.0 >> OWNER_SHIFT) as u16)
    }
}

/// The second word of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lease(u64);

impl Lease {
    fn new(number: u64, deadline: Deadline) -> Self {
        Self((number & NUMBER_MASK) << DEADLINE_BITS | u64::from(deadline.0) & DEADLINE_MASK)
    }

    /// Which lease of the slot it is, modulo 2^35.
    fn number(self) -> u64 {
        self.0 >> DEADLINE_BITS & NUMBER_MASK
    }

    fn deadline(self) -> Deadline {
        Deadline((self.0 & DEADLINE_MASK) as u32)
    }
}

#[cfg(all(test, loom))]
#[path = "probes_loom_tests.rs"]
mod loom_tests;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const GENERATION: u16 = 7;
    const END: Deadline = Deadline(9);

    fn one() -> Probes {
        Probes::in_room(&mut ObjectAllocator::of_process(false), 1).expect("memory")
    }

    fn lease(probes: &Probes) -> u64 {
        let free = probes.survey(GENERATION, 1).free.expect("a free slot");
        probes.lease(free, GENERATION, Owner(3), END, 1, 1).expect("nobody else leases")
    }

    fn free(probes: &Probes, permit: u64) -> bool {
        probes.free(permit, GENERATION, |owner| owner == Owner(3))
    }

    fn reap_all(probes: &Probes) -> usize {
        probes.reap((GENERATION, 1), 0, END, |_| Some(0), |_| false)
    }

    #[test]
    fn a_permit_of_many_leases_ago_is_nobodys() {
        let probes = one();
        let mut kept = vec![lease(&probes)];
        for _ in 0..200 {
            assert!(free(&probes, kept[kept.len() - 1]));
            kept.push(lease(&probes));
            for &old in &kept[..kept.len() - 1] {
                assert!(!free(&probes, old) && !probes.settle(old, GENERATION, |_| true, true, false));
            }
        }
        // And where the nonce of the first word, and then the number of the second, come round.
        for start in [NONCE_MASK - 1, NUMBER_MASK - 1] {
            let probes = one();
            probes.words.at(0).store(start & NONCE_MASK, Ordering::Relaxed);
            probes.words.at(1).store(Lease::new(start, END).0, Ordering::Relaxed);
            let mut seen = std::collections::HashSet::new();
            for _ in 0..5 {
                let permit = lease(&probes);
                assert!(seen.insert(permit) && free(&probes, permit) && !free(&probes, permit));
            }
        }
        // The nonce alone repeats; the number does not.
        let (probes, early) = (one(), one());
        let old = lease(&early);
        probes.words.at(1).store(Lease::new(1 << NONCE_BITS, END).0, Ordering::Relaxed);
        let permit = lease(&probes);
        assert_ne!(permit, old);
        assert!(!free(&probes, old) && free(&probes, permit));
    }

    #[test]
    fn a_lease_whose_holder_was_killed_before_it_wrote_the_end_gets_one() {
        let probes = one();
        let (slot, word) = probes.survey(GENERATION, 1).free.expect("a free slot");
        let leased = Slot::new(GENERATION, Status::Leased, Owner(3), Slot(word).nonce() + 1);
        assert!(probes.swap(slot, Slot(word), leased));
        let waits = |deadline| probes.waits((GENERATION, 1), 0, deadline, |end| Some(end.0.into())).collect::<Vec<_>>();
        assert_eq!(waits(Deadline(40)), [40]);
        assert_eq!(waits(Deadline(50)), [40], "once");
        let left = |end: Deadline| Some(u64::from(end.0) - 40);
        assert_eq!(probes.reap((GENERATION, 1), 0, Deadline(60), left, |_| false), 1);
        let permit = lease(&probes);
        assert_eq!(permit & NUMBER_MASK, 2);
        assert!(free(&probes, permit));
    }

    #[test]
    fn a_slot_is_lost_only_twice_running() {
        let probes = one();
        for releases in [true, false] {
            lease(&probes);
            assert_eq!(reap_all(&probes), 1);
            let again = lease(&probes);
            if releases {
                assert!(free(&probes, again));
            }
        }
        assert_eq!(reap_all(&probes), 1);
        let survey = probes.survey(GENERATION, 1);
        assert!(survey.free.is_none() && survey.leased == 0 && survey.done.calls == 0);
        assert!(probes.survey(GENERATION + 1, 1).free.is_some(), "the next cycle begins afresh");
    }
}
