//! Which cells of a table may be used again, and since when: evictions and sweeps.
//!
//! A cell has room for the last bits of a time only. What they mean is known by the epoch that its line was swept for last, and
//! that by the *latest moment*, a reading of the clock in full width. The invariants:
//! - *The latest moment is no earlier than any line's epoch*: it is raised first. So the 16 bits that a header has for its epoch
//!   say which one it is: the last of that number up to the latest moment. (A line that was left alone for 65,536 epochs reads as
//!   one of later. All that it holds is over, and what is taken for live denies for no longer than a state lasts.)
//! - *What a line holds is within reach of its epoch*, or reads as later than it is: who comes in a later epoch sweeps first, and
//!   dates what is over to the earliest moment that can be read. Who comes in an earlier epoch reads next to the line's. So whatever
//!   a reading, the time of a state is known in full width, or taken for later: a late thread may be denied early and mints nothing.
//!   Still open: a sweep dates cells before the header says so. Between the two, a thread that is late by more than the reach (62
//!   epochs for buckets, 7 for windows) and comes in the very epoch of the line's last sweep reads what was dated as past.
//! - *A cell is as old as the header says only if the header still says so after the cell was read*: another thread may have swept
//!   the line and charged the cell in between.
//! - *A key that gives its cell away is over as of the evicting moment*: the latest one, or the end of the line's epoch if that is
//!   earlier. It only moves forward in a line, and a key without a cell starts free from it on and empty before: no thread, however
//!   late, sees a key that was evicted as fresher than it was.
//!
//! **A bad reading**, of a clock that goes back afterwards, leaves a latest moment that is too late. Then keys without a cell are
//! denied; lines that it did not touch go on as before, for their epoch says when they were swept (where it was further ahead than
//! 65,536 epochs, they are denied when an epoch ends). When readings that needed the latest moment have gone on for a minute, all of
//! them more than a minute behind it, it is set to the present ([`Watch`]). Lines that were swept for an epoch between the two are
//! swept back: what their cells held is lost, so they read as used up, for as long as the slowest quota takes to come back. (Beyond
//! 32,767 epochs they cannot be told from lines of long ago, and read as such: as new.) A reading of the same epoch is ahead by
//! less than that: its key waits until the clock is there again.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::cell::{self, PENALTY};
use super::kind::Layout;
use super::line::{Header, Line};
use super::time::{Epoch, Now, Present, later};
use crate::ConfigError;
use crate::memory::{ObjectAllocator, One, TRIES, Watch, Zeroable};
use crate::sync::{AtomicU64, Ordering};

/// So far behind the latest moment a reading speaks against it.
const BAD_READING_NS: u64 = 60_000_000_000;
/// An epoch that is ahead of the latest moment by less than this was put by a bad reading; else it is one of long ago.
const MOST_AHEAD: u64 = 0x7FFF;
/// Ticks that are told apart, half of what wraps.
const FAR: u64 = 1 << 62;

#[repr(C, align(64))]
#[derive(Debug)]
struct Moments {
    /// The latest moment that a line was swept or a cell given away as of, in nanoseconds.
    latest: AtomicU64,
    /// What it was at most before it was set back; 0 is never.
    ceiling: AtomicU64,
    watch: Watch,
}

// SAFETY: atomics only.
unsafe impl Zeroable for Moments {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { latest: Zeroable::blank(), ceiling: Zeroable::blank(), watch: Zeroable::blank() }
    }
}

#[derive(Debug)]
pub(super) struct Reclaim {
    moments: One<Moments>,
    present: Present,
}

/// The latest moment, as it was loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latest {
    ns: u64,
    pub(super) tick: u64,
    epoch: Epoch,
    /// So many epochs before the present latest moment it was set back from.
    set_back: u64,
}

impl Latest {
    /// Which epoch a word means that was put by who saw a latest moment no later than this; `None`: it was put by a bad reading.
    pub(super) fn epoch(&self, number: u16) -> Option<Epoch> {
        let ahead = u64::from(number.wrapping_sub(self.epoch.number()));
        let bad = ahead != 0 && ahead <= self.set_back.min(MOST_AHEAD);
        (!bad).then(|| self.epoch.back_to(number))
    }

    /// The evicting moment of a line in `epoch`.
    pub(super) fn evicting(&self, epoch: Epoch) -> u64 {
        if later(self.tick, epoch.end()) { epoch.end() } else { self.tick }
    }

    /// A reading as it compares with what was put as of this moment. One that is so far behind that ticks have come round is far
    /// behind.
    pub(super) fn reading<K: Layout>(&self, kind: &K, now: Now) -> Now {
        let far = self.ns.saturating_sub(now.ns) > kind.most_ns();
        let tick = if far { self.tick.wrapping_sub(FAR) } else { now.tick };
        Now { tick, latest_ns: self.ns, ..now }
    }
}

impl Reclaim {
    /// One part.
    pub(super) fn in_room(room: &mut ObjectAllocator, present: Present) -> Result<Self, ConfigError> {
        Ok(Self { moments: room.one()?, present })
    }

    /// The latest moment. To be loaded after the header or word whose epoch it is to tell.
    pub(super) fn latest<K: Layout>(&self, kind: &K) -> Latest {
        // Acquire: at least what whoever put what was read before raised it to.
        let ns = self.moments.latest.load(Ordering::Acquire);
        // Acquire: raised before the latest moment was set back.
        let ceiling = self.moments.ceiling.load(Ordering::Acquire);
        let tick = kind.now(ns).tick;
        let epoch = Epoch::of(tick, kind.epoch_bits());
        let set_back = if ceiling > ns { Epoch::of(kind.now(ceiling).tick, kind.epoch_bits()).since(epoch) } else { 0 };
        Latest { ns, tick, epoch, set_back }
    }

    /// Raises the latest moment to `now`, a grain at a time, or lets a reading that is far behind it speak against it.
    #[cold]
    pub(super) fn witness<K: Layout>(&self, kind: &K, now: Now) -> Latest {
        let coarse = kind.coarse(now);
        // Acquire: see `latest`.
        let mut latest = self.moments.latest.load(Ordering::Acquire);
        for _ in 0..TRIES {
            if coarse <= latest {
                break;
            }
            // AcqRel: raised before what is put as of it. Acquire: as the load.
            match self.moments.latest.compare_exchange(latest, coarse, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => latest = coarse,
                Err(current) => latest = current,
            }
        }
        if latest.saturating_sub(now.ns) > BAD_READING_NS {
            self.doubt(now, latest);
        } else {
            self.moments.watch.clear();
        }
        self.latest(kind)
    }

    /// A reading is far behind the latest moment, which so is a bad one, or the reading an old one: see [`Watch`].
    #[cold]
    fn doubt(&self, now: Now, latest: u64) {
        let ns = self.present.ns(now.ns);
        if self.moments.watch.judge(latest.saturating_sub(ns) <= BAD_READING_NS, ns) {
            // AcqRel: before the latest moment is set back, so that who sees that sees how far.
            self.moments.ceiling.fetch_max(latest, Ordering::AcqRel);
            // AcqRel: as above. Relaxed on failure: somebody else was faster.
            let _ = self.moments.latest.compare_exchange(latest, ns, Ordering::AcqRel, Ordering::Relaxed);
            self.moments.watch.clear();
        }
    }

    /// Brings a line from `epoch` to that of `now`, which is later. `header`: as it was read by who found the line to be behind;
    /// whatever happens to the line meanwhile ends the sweep.
    #[cold]
    pub(super) fn sweep<K: Layout>(&self, kind: &K, line: &Line, header: Header, epoch: Epoch, now: Now) {
        let present = Epoch::of(now.tick, kind.epoch_bits());
        // Not raised as far, for races lost: look again.
        if later(present.start, self.latest(kind).epoch.start) {
            return;
        }
        let (floor, then) = (present.back(kind.back()).start, Now { near: epoch.start, ..now });
        for word in &line.cells {
            // Acquire: see `Line::find`.
            let found = word.load(Ordering::Acquire);
            // Acquire: read after the cell, which so is one of before the line's next sweep: what was charged after it is
            // published with it.
            if line.header.load(Ordering::Acquire) != header.0 {
                return;
            }
            let state = cell::state(found);
            // A penalty's end has a longer reach, but not for ever.
            if found != 0 && later(floor, kind.free_at(state, then)) {
                let dated = cell::pack(cell::tag(found), kind.raise(state, floor));
                // AcqRel: as any exchange of a cell. Relaxed on failure: its key came back.
                let _ = word.compare_exchange(found, dated, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
        let lives = (present.start >> kind.life_bits()).wrapping_sub(epoch.start >> kind.life_bits());
        let swept = header.swept(present.number(), lives).0;
        // AcqRel: whoever sees the line in this epoch sees it swept. Relaxed on failure: look again.
        let _ = line.header.compare_exchange(header.0, swept, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Brings a line that a bad reading swept back to the latest moment. What its cells held is lost: they are used up.
    #[cold]
    pub(super) fn sweep_back<K: Layout>(&self, kind: &K, line: &Line, header: Header) {
        let latest = self.latest(kind);
        for word in &line.cells {
            // Acquire: see `Line::find`.
            let found = word.load(Ordering::Acquire);
            // Acquire: read after the cell.
            if line.header.load(Ordering::Acquire) != header.0 {
                return;
            }
            if found != 0 && cell::state(found) & PENALTY == 0 {
                let dated = cell::pack(cell::tag(found), kind.used_up(latest.tick));
                // AcqRel: as any exchange of a cell. Relaxed on failure: what was put is of the bad epoch too; look again.
                if word.compare_exchange(found, dated, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                    return;
                }
            }
        }
        // Which keys of the line went to the sketch, a bad epoch's sweep has forgotten.
        let swept = header.swept(latest.epoch.number(), 0);
        let swept = swept.spilled().unwrap_or(swept).0;
        // AcqRel and Relaxed: as in `sweep`.
        let _ = line.header.compare_exchange(header.0, swept, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// A state that is used up as of the latest moment, in the sketch or a cell: what a bad reading left there is lost.
    pub(super) fn used_up<K: Layout>(&self, kind: &K) -> (Epoch, u64) {
        let latest = self.latest(kind);
        (latest.epoch, kind.used_up(latest.tick))
    }
}

/// The cell to give away: an empty one, else the one that has been free for longest.
pub(super) fn victim<K: Layout>(kind: &K, line: &Line, evict: u64, now: Now) -> Option<usize> {
    let mut best = None;
    for (index, word) in line.cells.iter().enumerate() {
        // Acquire: see `Line::find`.
        let found = word.load(Ordering::Acquire);
        if found == 0 {
            return Some(index);
        }
        let free_for = evict.wrapping_sub(kind.free_at(cell::state(found), now)) as i64;
        if free_for > best.map_or(0, |(longest, _)| longest) {
            best = Some((free_for, index));
        }
    }
    best.map(|(_, index)| index)
}

/// Whether the cell may go to another key.
pub(super) fn is_free<K: Layout>(kind: &K, found: u64, evict: u64, now: Now) -> bool {
    found == 0 || later(evict, kind.free_at(cell::state(found), now))
}
