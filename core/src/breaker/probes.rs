//! The probe slots of the half-open state, one word each, and the verdict that they give.
//!
//! `generation:16 | status:2 | failed:1 | slow:1 | nonce:4 | owner:16 | deadline:24`, high to low: the lease and its holder are
//! one exchange. A slot of another generation is free. Done and lost are final within a generation, and the verdict rests on
//! them alone: whoever looks comes to the same one, so anyone may finish for a reporter that was killed.

use super::memory::Words;
use super::owners::Owner;
use super::tally::{Tally, Thresholds};
use crate::ConfigError;
use crate::memory::Room;
use crate::sync::Ordering;

#[derive(Debug)]
pub(super) struct Probes {
    words: Words,
    slots: u32,
}

/// How a half-open cycle ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Close,
    Reopen,
}

/// A look at all slots.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survey {
    pub(super) done: Tally,
    /// A slot that can be leased, and its word.
    pub(super) free: Option<(u32, u64)>,
    pub(super) leased: bool,
}

impl Probes {
    /// The next part of `room`.
    pub(super) fn in_room(room: &mut Room, slots: u32) -> Result<Self, ConfigError> {
        Ok(Self { words: Words::in_room(room, slots as usize)?, slots })
    }

    fn load(&self, slot: u32) -> Slot {
        // Acquire: pairs with the release of whoever changed the slot, so that the control word is read no older than theirs.
        Slot(self.words.at(slot as usize).load(Ordering::Acquire))
    }

    fn swap(&self, slot: u32, old: Slot, new: Slot) -> bool {
        // AcqRel: the look at all slots that follows an outcome is ordered after it, and seen by who reads it.
        self.words.at(slot as usize).compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    pub(super) fn survey(&self, generation: u16) -> Survey {
        let mut survey = Survey::default();
        for slot in 0..self.slots {
            let word = self.load(slot);
            match word.status(generation) {
                Status::Free => survey.free = survey.free.or(Some((slot, word.0))),
                Status::Leased => survey.leased = true,
                Status::Done => survey.done.add(Tally {
                    calls: 1,
                    failed: u32::from(word.0 & FAILED != 0),
                    slow: u32::from(word.0 & SLOW != 0),
                }),
                Status::Lost => {}
            }
        }
        survey
    }

    /// The verdict as soon as it is certain.
    pub(super) fn verdict(&self, survey: &Survey, thresholds: &Thresholds) -> Option<Verdict> {
        // Whatever the other slots bring, the final rates are no lower than these.
        if thresholds.reached(Tally { calls: self.slots, ..survey.done }) {
            return Some(Verdict::Reopen);
        }
        if survey.leased || survey.free.is_some() {
            return None;
        }
        let reopen = survey.done.calls == 0 || thresholds.reached(survey.done);
        Some(if reopen { Verdict::Reopen } else { Verdict::Close })
    }

    /// Leases a slot that a survey found free; returns the permit's payload.
    pub(super) fn lease(
        &self,
        (slot, word): (u32, u64),
        generation: u16,
        owner: Owner,
        deadline: Deadline,
    ) -> Option<u64> {
        let found = Slot(word);
        let nonce = found.nonce().wrapping_add(1) & NONCE_MASK;
        let leased = Slot::new(generation, Status::Leased, nonce, owner, deadline);
        self.swap(slot, found, leased).then_some(u64::from(slot) << NONCE_BITS | nonce)
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
        self.end_lease(payload, generation, is_me, |leased| {
            let outcome = if failed { FAILED } else { 0 } | if slow { SLOW } else { 0 };
            Slot(leased.ended(Status::Done).0 | outcome)
        })
    }

    /// Gives a slot back without an outcome.
    pub(super) fn free(&self, payload: u64, generation: u16, is_me: impl Fn(Owner) -> bool) -> bool {
        self.end_lease(payload, generation, is_me, |leased| leased.ended(Status::Free))
    }

    fn end_lease(
        &self,
        payload: u64,
        generation: u16,
        is_me: impl Fn(Owner) -> bool,
        next: impl FnOnce(Slot) -> Slot,
    ) -> bool {
        let slot = payload >> NONCE_BITS;
        if slot >= u64::from(self.slots) {
            return false;
        }
        let word = self.load(slot as u32);
        let leased = word.status(generation) == Status::Leased && word.nonce() == payload & NONCE_MASK;
        let mine = leased && is_me(word.owner());
        // A lost race: the lease was reaped, or the same permit was reported twice at once.
        mine && self.swap(slot as u32, word, next(word))
    }

    /// Marks leases that `ended` says are over as lost; returns how many.
    pub(super) fn reap(&self, generation: u16, ended: impl Fn(Owner, Deadline) -> bool) -> usize {
        (0..self.slots)
            .filter(|&slot| {
                let word = self.load(slot);
                word.status(generation) == Status::Leased
                    && ended(word.owner(), word.deadline())
                    && self.swap(slot, word, word.ended(Status::Lost))
            })
            .count()
    }

    /// The deadlines of the leases in force.
    pub(super) fn deadlines(&self, generation: u16) -> impl Iterator<Item = Deadline> {
        (0..self.slots).filter_map(move |slot| {
            let word = self.load(slot);
            (word.status(generation) == Status::Leased).then(|| word.deadline())
        })
    }
}

const NONCE_BITS: u32 = 4;
const NONCE_MASK: u64 = (1 << NONCE_BITS) - 1;
/// Bits of a deadline.
pub(super) const DEADLINE_BITS: u32 = 24;
const DEADLINE_MASK: u64 = (1 << DEADLINE_BITS) - 1;
const OWNER_SHIFT: u32 = DEADLINE_BITS;
const NONCE_SHIFT: u32 = 40;
const SLOW: u64 = 1 << 44;
const FAILED: u64 = 1 << 45;
const STATUS_SHIFT: u32 = 46;
const GENERATION_SHIFT: u32 = 48;

/// The end of a lease, in units that the rules choose, modulo 2^24.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline(pub(super) u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Free = 0,
    Leased = 1,
    Done = 2,
    Lost = 3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot(u64);

impl Slot {
    fn new(generation: u16, status: Status, nonce: u64, owner: Owner, deadline: Deadline) -> Self {
        Self(
            u64::from(generation) << GENERATION_SHIFT
                | (status as u64) << STATUS_SHIFT
                | nonce << NONCE_SHIFT
                | u64::from(owner.0) << OWNER_SHIFT
                | u64::from(deadline.0) & DEADLINE_MASK,
        )
    }

    /// The same lease, over.
    fn ended(self, status: Status) -> Self {
        Self::new((self.0 >> GENERATION_SHIFT) as u16, status, self.nonce(), Owner(0), Deadline(0))
    }

    fn status(self, generation: u16) -> Status {
        if (self.0 >> GENERATION_SHIFT) as u16 != generation {
            return Status::Free;
        }
        match self.0 >> STATUS_SHIFT & 0b11 {
            0 => Status::Free,
            1 => Status::Leased,
            2 => Status::Done,
            _ => Status::Lost,
        }
    }

    /// Tells one lease of a slot from the next.
    fn nonce(self) -> u64 {
        self.0 >> NONCE_SHIFT & NONCE_MASK
    }

    fn owner(self) -> Owner {
        Owner((self.0 >> OWNER_SHIFT) as u16)
    }

    fn deadline(self) -> Deadline {
        Deadline((self.0 & DEADLINE_MASK) as u32)
    }
}
