//! Which cells of a table may be used again, and since when: evictions and sweeps.
//!
//! Two facts make a cell free, and nothing else does:
//! - *Its state is over as of the evicting moment*, the latest that was ever used to evict. It only moves forward, and a key
//!   without a cell starts free from it on and empty before: so no thread, however old its reading of the clock, sees a key that
//!   was evicted as fresher than it was.
//! - *It was put so long ago that nothing of it can be left.* A cell does not say when it was put; the line's header says in which
//!   epoch the line was swept last, and who charges a cell as of a later epoch sweeps first. So a cell is as old as the header
//!   says only if the header still says so **after** the cell was read: another thread may have swept the line and charged the
//!   cell in between, and what it put would be taken for what was there before.

use super::cell::{self, PENALTY};
use super::kind::Layout;
use super::line::{Header, LIVE_EPOCHS, Line};
use super::time::{Now, later, latest};
use crate::ConfigError;
use crate::memory::{One, Room};
use crate::sync::{AtomicU64, Ordering};

/// Lost races after which a step is left to the next round of the operation.
const TRIES: usize = 16;
/// So many ticks at most is one reading of the clock older than another: half an hour of the finest.
const OLD_READING: u64 = 1 << 52;

#[derive(Debug)]
pub(super) struct Reclaim {
    /// The evicting moment: a tick.
    evict: One<AtomicU64>,
}

impl Reclaim {
    /// One part.
    pub(super) fn in_room(room: &mut Room) -> Result<Self, ConfigError> {
        Ok(Self { evict: room.one()? })
    }

    /// The evicting moment.
    pub(super) fn moment(&self) -> u64 {
        // Acquire: at least what whoever evicted what was read before raised it to.
        self.evict.load(Ordering::Acquire)
    }

    /// Moves the evicting moment to `now`, a grain at a time; the result is never after `now` unless somebody's was, and not by
    /// much: a moment that is further ahead than [`OLD_READING`] is so long ago that the ticks have come round (the finest in 52
    /// days).
    pub(super) fn advance<K: Layout>(&self, kind: &K, now: Now) -> u64 {
        let coarse = now.tick & !((1 << kind.grain()) - 1);
        let mut evict = self.moment();
        for _ in 0..TRIES {
            if evict.wrapping_sub(coarse) <= OLD_READING {
                break;
            }
            // AcqRel: raised before the claim that uses it. Acquire: as the load.
            match self.evict.compare_exchange(evict, coarse, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return coarse,
                Err(current) => evict = current,
            }
        }
        evict
    }

    /// Dates what is free in the line to the present, so that its time stays within reach of a cell's bits. `header`: as it was
    /// read by who found the line to be behind; whatever happens to the line meanwhile ends the sweep.
    #[cold]
    pub(super) fn sweep<K: Layout>(&self, kind: &K, line: &Line, header: Header, now: Now) {
        let evict = self.advance(kind, now);
        let present = epoch(kind, now);
        let long_ago = header.epochs_behind(present) > LIVE_EPOCHS;
        for word in &line.cells {
            // Acquire: see `Line::find`.
            let found = word.load(Ordering::Acquire);
            // Acquire: read after the cell, which so is one of before the line's next sweep: what was charged after it is
            // published with it.
            if line.header.load(Ordering::Acquire) != header.0 {
                return;
            }
            // Nothing that was put so long ago reaches into this epoch, but for penalties, whose time has a longer reach. What
            // is not so old can be read next to `now`.
            let state = cell::state(found);
            let surely = long_ago && state & PENALTY == 0;
            if found != 0 && (surely || later(evict, kind.free_at(state, now))) {
                let dated = cell::pack(cell::tag(found), kind.fresh(evict.wrapping_sub(1)));
                // AcqRel: as any exchange of a cell. Relaxed on failure: its key came back.
                let _ = word.compare_exchange(found, dated, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
        // AcqRel: whoever sees the line in this epoch sees it swept. Relaxed on failure: look again.
        let _ = line.header.compare_exchange(header.0, header.swept(present).0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// An eighth of what a state's time can tell apart. A state is free at most a quarter after it was put, so in the third epoch
/// after its own for sure, and until then what was free when its line was swept can still be read.
#[inline]
pub(super) fn epoch<K: Layout>(kind: &K, now: Now) -> u16 {
    (now.tick >> (kind.time_bits() - 3)) as u16
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
        let free_for = evict.wrapping_sub(free_at(kind, found, evict, now)) as i64;
        if free_for > best.map_or(0, |(longest, _)| longest) {
            best = Some((free_for, index));
        }
    }
    best.map(|(_, index)| index)
}

/// Whether the cell may go to another key.
pub(super) fn is_free<K: Layout>(kind: &K, found: u64, evict: u64, now: Now) -> bool {
    found == 0 || later(evict, free_at(kind, found, evict, now))
}

/// Read next to the later of `now` and the evicting moment, which no sweep of the line was after: next to an old reading, what
/// others have put since would seem to lie as far behind it as it is ahead.
fn free_at<K: Layout>(kind: &K, found: u64, evict: u64, now: Now) -> u64 {
    kind.free_at(cell::state(found), Now { tick: latest(now.tick, evict), ..now })
}
