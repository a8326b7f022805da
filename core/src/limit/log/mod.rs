//! Sliding log: the moments of a key's admissions, at most `burst` in any span of a period, exactly.
//!
//! A line holds seven blocks that belong to a key each, and one that is shared by keys which find no room (they may be
//! denied early). A block has a slot for each admission of the largest limit. What must never happen, and why it does
//! not:
//!
//! - *More than the limit in a period.* An admission owns a slot for each unit from its claim until it is dead as of
//!   some thread's reading, and no thread writes over a slot that is live as of the reading that it writes. So those of
//!   one period stand in different slots, and a reading that is late finds newer stamps in the others, which count for
//!   it as well. Where fewer than all slots may be used, the thread looks again after its claim: each claims, passes a
//!   SeqCst fence and looks, so of two that race one at least sees the other (S. Dekker's argument) and takes its claim
//!   back.
//! - *Somebody else's stamps are touched.* A claim counts once the block's owner is found to be the same after it; a
//!   stamp that is taken away is taken in hand first, and put back if the owner is another. Whoever is killed in
//!   between leaves stamps in hand, which count until they are dead.
//! - *A live key loses its block*, or *one key has two*: see [`insert`].
//! - *An evicted key comes back as fresh for an old reading*: a key without a block is judged no earlier than what was
//!   [given away](moment) counted, and one with a block no earlier than its floor, which is that moment when the block
//!   became its own: as of then, if the clock has come there and the thread is late; else it is denied.
//! - *A key's charges in the shared block are forgotten when it finds room*: whoever charges the shared block passes a
//!   SeqCst fence and looks for the key; whoever inserts announces it, passes one and looks whether the shared block
//!   holds anything live. Then the key counts the shared block's stamps besides its own, until what was there is dead
//!   for sure.
//!
//! A bad reading puts stamps far ahead. They count until readings that were more than [`moment::AHEAD_NS`] behind have
//! gone on for a minute without one that was not; then they are dated to the present (`memory/watch.rs`), also those
//! that a thread left in hand when it was killed. A late thread's is none of these: who finds something far ahead reads
//! the clock again.
//! A key that was evicted as of a bad reading has lost its log: so keys without a block are denied until that is dead
//! (see [`moment`]). A penalty that a bad reading put lasts until its end, or a reset.

mod block;
mod insert;
mod line;
mod moment;
mod penalty;
mod reset;
mod stamp;
mod take;
mod undo;

pub(crate) use take::{Charge, Taken};

use super::keyed::MAX_KEYS;
use super::present::Present;
use crate::ConfigError;
use crate::counters::Striped;
use crate::hash::place;
use crate::memory::{ObjectAllocator, PATIENCE, SharedSlice};
use crate::sync::{AtomicU64, Ordering};
use block::{Block, Floor, HEAD};
use line::{BLOCKS, Line, OWN, Owner, SHARED};
use moment::Moment;
use penalty::Penalties;

/// The largest limit: a decision looks at every stamp.
pub(crate) const MAX_LOG: u32 = 4_096;
/// With two keys to a line of seven blocks, fewer than one in a thousand finds its line full.
const KEYS_PER_LINE: usize = 2;

const EVICTIONS: usize = 0;
const OVERFLOWED: usize = 1;

/// The logs of all keys of one limiter.
#[derive(Debug)]
pub(crate) struct Log {
    lines: SharedSlice<Line>,
    words: SharedSlice<AtomicU64>,
    moment: Moment,
    present: Present,
    counts: Striped<2>,
    penalties: Penalties,
    period: u64,
    limit: u32,
}

/// A key's own block, as it was found.
#[derive(Clone, Copy, Debug)]
struct Spot {
    line: usize,
    index: usize,
    owner: Owner,
}

impl Log {
    /// Five parts, and those of its counters.
    pub(crate) fn in_room(
        room: &mut ObjectAllocator,
        limit: u32,
        period_ns: u64,
        max_keys: usize,
        present: Present,
    ) -> Result<Self, ConfigError> {
        let lines = max_keys.div_ceil(KEYS_PER_LINE);
        let (limit, period) = (limit.clamp(1, MAX_LOG), period_ns.max(1));
        Ok(Self {
            lines: room.sized_by(&MAX_KEYS, |room| room.cells(lines))?,
            words: room
                .sized_by(&MAX_KEYS, |room| room.cells(lines.saturating_mul(BLOCKS * (HEAD + limit as usize))))?,
            moment: Moment::in_room(room, period)?,
            present,
            counts: Striped::in_room(room)?,
            penalties: Penalties::new(period),
            period,
            limit,
        })
    }

    pub(crate) fn period(&self) -> u64 {
        self.period
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    pub(crate) fn memory(&self) -> usize {
        size_of_val(&*self.lines) + size_of_val(&*self.words)
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.counts.sum(EVICTIONS)
    }

    pub(crate) fn overflowed(&self) -> u64 {
        self.counts.sum(OVERFLOWED)
    }

    /// Keys with a block of their own in which something is live.
    pub(crate) fn len(&self, ns: u64) -> usize {
        let now = ns.min(stamp::LAST_NS);
        self.blocks().filter(|&spot| spot.owner.tag() != 0 && !self.is_dead(spot, now)).count()
    }

    fn is_dead(&self, spot: Spot, now: u64) -> bool {
        let block = self.block(spot.line, spot.index);
        // Acquire: as the stamps.
        let penalty = block.penalty.load(Ordering::Acquire);
        self.penalties.left(penalty, spot.owner.tag(), now).is_none() && block.is_dead(self.horizon(now))
    }

    fn blocks(&self) -> impl Iterator<Item = Spot> {
        (0..self.lines.len()).flat_map(|line| (0..OWN).map(move |index| (line, index))).map(|(line, index)| Spot {
            line,
            index,
            owner: self.owner(line, index),
        })
    }

    /// The line of a key, by the high bits of its hash under a secret, and what tells it apart there, by the low ones.
    fn place(&self, key: u64) -> (usize, u64) {
        (place(key, self.lines.len()), line::tag(key))
    }

    fn owner(&self, line: usize, index: usize) -> Owner {
        // Acquire: pairs with the release of whoever made it so, so that what it refers to is at least as new.
        Owner(self.lines[line].owners[index].load(Ordering::Acquire))
    }

    fn is_still(&self, spot: Spot) -> bool {
        self.owner(spot.line, spot.index) == spot.owner
    }

    fn exchange_owner(&self, spot: Spot, new: Owner) -> bool {
        // AcqRel: releases what this thread did to the block, and its predecessors'. Relaxed on failure: look again.
        let word = &self.lines[spot.line].owners[spot.index];
        word.compare_exchange(spot.owner.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The block at `index` of a line; [`SHARED`] is the shared one.
    fn block(&self, line: usize, index: usize) -> Block<'_> {
        let size = HEAD + self.limit as usize;
        Block::new(&self.words[(line * BLOCKS + index) * size..][..size])
    }

    fn shared(&self, line: usize) -> Block<'_> {
        self.block(line, SHARED)
    }

    /// The shared block, while it may hold live charges of the key whose own block has this floor: the key was charged
    /// there before the floor, give or take a step of it.
    fn shared_by(&self, line: usize, floor: Floor, now: u64) -> Option<Block<'_>> {
        let shares = floor.shares() && now < floor.ns().saturating_add(self.period.saturating_mul(2));
        shares.then(|| self.shared(line))
    }

    fn horizon(&self, now: u64) -> u64 {
        stamp::horizon(now, self.period)
    }

    /// Whether `ns` is a bad reading's, as far as can be seen at `reading` and at the clock's time, which is read only
    /// where the reading alone does not tell.
    fn is_far(&self, reading: u64, ns: u64) -> bool {
        moment::is_far(reading, ns) && moment::is_far(self.present.ns(reading), ns)
    }

    /// Nanoseconds from `reading` until `since`, if the clock has not come there either, which is read only where the
    /// reading alone does not tell.
    fn before(&self, reading: u64, since: u64) -> Option<u64> {
        (reading < since && self.present.ns(reading) < since).then(|| since - reading)
    }

    /// `attempt` until it has an answer. After too many lost races there is none: a hostile process must not keep
    /// anybody.
    #[inline]
    fn insist<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        (0..PATIENCE).find_map(|_| attempt())
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_tests;
