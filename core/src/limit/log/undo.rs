//! What is taken back, forgotten and forbidden.

use super::block::Block;
use super::insert::Found;
use super::penalty::Penalties;
use super::reset::Reset;
use super::stamp::{self, IN_HAND};
use super::take::Charge;
use super::{Log, OWN, SHARED, Spot};
use crate::memory::PATIENCE;
use crate::sync::{Ordering, fence};

impl Log {
    /// The key's own block, if it has one.
    fn own(&self, key: u64) -> Option<Spot> {
        let (line, tag) = self.place(key);
        match Self::insist(|| self.find(line, tag))? {
            Found::Own(spot) => Some(spot),
            Found::Absent(_) => None,
        }
    }

    /// Takes a stamp away, or puts `put` in its place; false if the block has another owner by now.
    fn take_away(&self, block: Block<'_>, spot: Option<Spot>, slot: usize, old: u64, put: u64) -> bool {
        if block.pick_up(slot, old) {
            // SeqCst: between taking it in hand and reading the owner: whoever gives the block away finds it, or this
            // is seen.
            fence(Ordering::SeqCst);
            let right = spot.is_none_or(|spot| self.is_still(spot));
            block.put_down(slot, 1, old | IN_HAND, if right { put } else { old });
            return right;
        }
        true
    }

    /// Gives `n` back, the newest first; what is after the reading stays. A penalty is not shortened.
    pub(crate) fn refund(&self, key: u64, ns: u64, n: u32) {
        let Some(spot) = self.own(key) else { return };
        let block = self.block(spot.line, spot.index);
        let now = ns.min(stamp::LAST_NS).max(block.floor().ns());
        // Acquire: as the stamps.
        let penalty = block.penalty.load(Ordering::Acquire);
        if self.penalties.left(penalty, spot.owner.tag(), now).is_some() {
            return;
        }
        let (horizon, present) = (self.horizon(now), stamp::at(now));
        for _ in 0..n.min(self.limit) {
            let live =
                block.all().filter(|&(_, stamp)| stamp::is_put_down(stamp) && (horizon + 1..=present).contains(&stamp));
            let Some((slot, newest)) = live.max_by_key(|&(_, stamp)| stamp) else { return };
            if !self.take_away(block, Some(spot), slot, newest, stamp::ghost(newest, self.period)) {
                return;
            }
        }
    }

    /// Takes a charge back, unless the key has been reset or evicted since.
    pub(crate) fn undo(&self, key: u64, charge: Charge, n: u32) {
        let Some(spot) = self.own(key).filter(|spot| spot.owner.0 == charge.owner) else { return };
        let block = self.block(spot.line, spot.index);
        let (stamp, mut left) = (stamp::at(charge.ns.min(stamp::LAST_NS)), n);
        for (slot, found) in block.all() {
            if left > 0 && found == stamp {
                if !self.take_away(block, Some(spot), slot, stamp, stamp::ghost(stamp, self.period)) {
                    return;
                }
                left -= 1;
            }
        }
    }

    /// Dates to `at`, the present, what a bad reading put far ahead of it.
    pub(super) fn date_to(&self, block: Block<'_>, spot: Option<Spot>, at: u64) {
        for (slot, found) in block.all().filter(|&(_, found)| found != 0 && self.is_far(at, stamp::ns(found))) {
            let dated = stamp::dated(found, at);
            if found & IN_HAND != 0 {
                block.take_over(slot, found, dated);
            } else if !self.take_away(block, spot, slot, found, dated) {
                return;
            }
        }
    }

    /// Nothing for the key before `end_ns`, nor before all that counts by then is dead; false if there is no room to
    /// note it.
    pub(crate) fn penalize(&self, key: u64, ns: u64, end_ns: u64) -> bool {
        let reading = ns.min(stamp::LAST_NS);
        let (line, tag) = self.place(key);
        let put = Self::insist(|| match self.find(line, tag)? {
            Found::Own(spot) => self.penalize_own(spot, reading, end_ns),
            Found::Absent(header) => {
                // Far ahead or not: that only says which blocks are dead.
                let moment = self.moment.advance(reading, &self.present).unwrap_or_else(|_| self.moment.get());
                if reading.max(self.moment.starting(moment, reading, &self.present)) >= end_ns {
                    return Some(true);
                }
                if self.insert(line, tag, header, moment) { None } else { Some(false) }
            }
        });
        put.unwrap_or(false)
    }

    fn penalize_own(&self, spot: Spot, reading: u64, end_ns: u64) -> Option<bool> {
        let block = self.block(spot.line, spot.index);
        let (tag, floor) = (spot.owner.tag(), block.floor());
        let now = reading.max(floor.ns());
        // Acquire: as the stamps.
        let old = block.penalty.load(Ordering::Acquire);
        let left = self.penalties.left(old, tag, now);
        if now.saturating_add(left.unwrap_or(0)) >= end_ns {
            return self.is_still(spot).then_some(true);
        }
        let horizon = self.horizon(now);
        // What the key was charged in the shared block counts as well, and is no later than a period after the floor:
        // what others put there since does not keep the key for longer.
        let last = stamp::at(floor.ns().saturating_add(self.period).min(stamp::LAST_NS));
        let shared = self.shared_by(spot.line, floor, now).map_or(0, |shared| shared.look(horizon).newest.min(last));
        let newest = block.look(horizon).newest.max(shared);
        let live = left.is_none() && newest > horizon;
        let counted = if live { stamp::ns(newest).saturating_add(self.period) } else { 0 };
        let new = self.penalties.until(tag, end_ns.max(counted));
        // What is there is the key's, or is left of an earlier owner and over.
        if !self.is_still(spot) {
            return None;
        }
        // AcqRel: as the claim of a slot. Relaxed on failure: look again.
        if block.penalty.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return None;
        }
        // SeqCst: as between a claim and what is read after it. A penalty that comes too late says whose it is.
        fence(Ordering::SeqCst);
        self.is_still(spot).then_some(true)
    }

    pub(crate) fn is_penalised(&self, key: u64, ns: u64) -> bool {
        self.own(key).is_some_and(|spot| {
            let block = self.block(spot.line, spot.index);
            // Acquire: as the stamps.
            let penalty = block.penalty.load(Ordering::Acquire);
            self.penalties.left(penalty, spot.owner.tag(), ns.max(block.floor().ns())).is_some()
        })
    }

    /// The key as new. One that shares a block cannot be told from the others there.
    pub(crate) fn reset(&self, key: u64, ns: u64) {
        let (line, tag) = self.place(key);
        let mut reset = Reset::default();
        let _ = Self::insist(|| match self.find(line, tag)? {
            Found::Own(spot) => self.reset_own(spot, ns.min(stamp::LAST_NS), &mut reset).then_some(()),
            Found::Absent(_) => Some(()),
        });
    }

    /// False if somebody else changed the owner meanwhile.
    fn reset_own(&self, spot: Spot, reading: u64, reset: &mut Reset) -> bool {
        let block = self.block(spot.line, spot.index);
        if !reset.begins(spot.index, block, self.horizon(reading)) {
            // The block that it began with was dead, and the key new since.
            return true;
        }
        // Another generation: who has claimed and not looked again takes the claim back.
        let owner = spot.owner.open(spot.owner.tag());
        if !self.exchange_owner(spot, owner) {
            return false;
        }
        reset.begun = true;
        let spot = Spot { owner, ..spot };
        // Acquire: as the stamps.
        let penalty = block.penalty.load(Ordering::Acquire);
        if penalty != 0 && Penalties::is_of(penalty, owner.tag()) {
            // AcqRel: as any. Relaxed on failure: another was put at the same time.
            let _ = block.penalty.compare_exchange(penalty, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        let floor = block.floor();
        if self.is_far(reading, floor.ns()) {
            block.heal_floor(floor, self.present.ns(reading));
        }
        block.watch.clear();
        self.clear_stamps(block, Some(spot), reading, reset)
    }

    /// What was live as of the reading when the reset began, and is in nobody's hand.
    pub(super) fn clear_stamps(&self, block: Block<'_>, spot: Option<Spot>, reading: u64, reset: &mut Reset) -> bool {
        // Ghosts as well: what was live before them is over.
        let (horizon, put) = (self.horizon(reading), stamp::ghost(stamp::at(reading), self.period));
        for (slot, found) in block.all() {
            if found > horizon && reset.takes(slot, found) && !self.take_away(block, spot, slot, found, put) {
                return false;
            }
        }
        true
    }

    /// Every key as new.
    pub(crate) fn clear(&self, ns: u64) {
        let reading = ns.min(stamp::LAST_NS);
        self.moment.forget(self.present.ns(reading));
        for line in 0..self.lines.len() {
            for index in 0..OWN {
                let mut reset = Reset::default();
                for _ in 0..PATIENCE {
                    let spot = Spot { line, index, owner: self.owner(line, index) };
                    if spot.owner.tag() == 0 || self.reset_own(spot, reading, &mut reset) {
                        break;
                    }
                }
            }
            let (shared, mut reset) = (self.shared(line), Reset::default());
            shared.watch.clear();
            reset.begins(SHARED, shared, self.horizon(reading));
            self.clear_stamps(shared, None, reading, &mut reset);
        }
    }
}
