//! A fixed table of cells, one cache line a lookup, and a sketch for keys that find no room.
//!
//! A key that is idle and one that was never seen are the same thing, so a cell that was claimed but not yet charged has no
//! window in which a crash could hurt. What must never happen:
//! - *One key in two cells.* Insertions into a line take turns by its header: a claim names the cell and the key, and anyone
//!   who meets it finishes it first, so a dead inserter stops nobody. A claim is an exchange of the header as it was before the
//!   line was searched, so the key cannot have come in since.
//! - *A live key loses its cell*, or *an evicted key comes back as fresh for a thread with an old clock reading*: see
//!   [`reclaim`](super::reclaim).
//! - *A key has charges in the sketch and a cell without them.* A line says when keys of it have spilled. Whoever charged the sketch searches the line again and charges
//!   the cell too if there is one; whoever inserts raises the cell to the sketch's level after it can be seen. Each writes,
//!   passes a SeqCst fence and reads, so one of them sees the other (S. Dekker's argument).
//!
//! A late helper cannot give away a cell twice: free states of one key only ever move forward in time (what is put is never
//! before the evicting moment, what is given away always), so an exchange from a stale one fails.

use super::cell::{self, PENALTY};
use super::hash::KeyHash;
use super::kind::{Layout, Place};
use super::line::{CELLS, Header, LIVE_EPOCHS, Line, epochs_since};
use super::reclaim::{Reclaim, epoch, is_free, victim};
use super::time::{Now, later, latest};
use crate::ConfigError;
use crate::counters::Striped;
use crate::memory::{Cells, PATIENCE, Room};
use crate::sync::{AtomicU64, Ordering, fence};

/// Bytes of lines for each key: with 1.8 keys to a line of 7, fewer than 0.04 % find theirs full.
const LINE_BYTES_PER_KEY: usize = 36;
/// Keys to a word of the sketch.
const KEYS_PER_WORD: usize = 4;

pub(super) const EVICTIONS: usize = 0;
pub(super) const OVERFLOWED: usize = 1;

#[derive(Debug)]
pub(super) struct Table {
    lines: Cells<Line>,
    /// `used:1 | epoch:16 | state:40`, shared by all keys that come to a word.
    sketch: Cells<AtomicU64>,
    reclaim: Reclaim,
    pub(super) counts: Striped<2>,
}

/// What one operation does to a key's state.
pub(super) trait Op {
    type Answer;

    /// The answer when too many races are lost: that of a denial.
    fn give_up(&self) -> Self::Answer;

    /// Looks at a state. Must not change anything.
    fn judge(&self, spot: Spot, state: u64, now: Now) -> Step<Self::Answer>;

    /// Before the exchange: records elsewhere; false to judge again.
    fn claim(&self, _place: Place, _now: Now) -> bool {
        true
    }

    /// The exchange was lost after [`claim`](Self::claim).
    fn unclaim(&self, _place: Place, _now: Now) {}
}

/// Where a state was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// In the key's own cell.
    Own(Place),
    /// Nowhere yet: it starts from what the sketch says at this place.
    New(Place),
    /// In the sketch, because there is no room.
    Shared(Place),
}

impl Spot {
    pub(super) fn place(self) -> Place {
        match self {
            Self::Own(place) | Self::New(place) | Self::Shared(place) => place,
        }
    }
}

pub(super) enum Step<T> {
    /// Nothing is to be stored.
    Keep(T),
    /// This state is.
    Put(u64, T),
}

impl Table {
    /// Three parts, and those of its counters.
    pub(super) fn in_room(room: &mut Room, max_keys: usize) -> Result<Self, ConfigError> {
        let lines = (max_keys * LINE_BYTES_PER_KEY).div_ceil(size_of::<Line>());
        Ok(Self {
            lines: room.cells(lines)?,
            sketch: room.cells(max_keys.div_ceil(KEYS_PER_WORD))?,
            reclaim: Reclaim::in_room(room)?,
            counts: Striped::in_room(room)?,
        })
    }

    /// How many [`Place`]s a table for so many keys has.
    pub(super) fn places(max_keys: usize) -> usize {
        (max_keys * LINE_BYTES_PER_KEY).div_ceil(size_of::<Line>()) * CELLS + max_keys.div_ceil(KEYS_PER_WORD)
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.lines) + size_of_val(&*self.sketch)
    }

    /// Applies `op` to the key's state: one exchange, or nothing.
    #[inline]
    pub(super) fn apply<K: Layout, O: Op>(&self, kind: &K, key: KeyHash, now: Now, op: &O) -> O::Answer {
        // Straight on: a loop here would cost every decision the compiler's preparations for its second round.
        self.attempt(kind, key, now, op).unwrap_or_else(|| self.persist(kind, key, now, op))
    }

    #[cold]
    #[inline(never)]
    fn persist<K: Layout, O: Op>(&self, kind: &K, key: KeyHash, now: Now, op: &O) -> O::Answer {
        (0..PATIENCE).find_map(|_| self.attempt(kind, key, now, op)).unwrap_or_else(|| op.give_up())
    }

    /// `None`: somebody else was faster, or had to be helped; look again.
    #[inline(always)]
    fn attempt<K: Layout, O: Op>(&self, kind: &K, key: KeyHash, now: Now, op: &O) -> Option<O::Answer> {
        let tag = key.tag();
        let at = key.line(self.lines.len());
        let line = &self.lines[at];
        // Acquire: the search below sees every insertion that this header has seen.
        let header = Header(line.header.load(Ordering::Acquire));
        if header.epochs_behind(epoch(kind, now)) > 0 {
            self.reclaim.sweep(kind, line, header, now);
            return None;
        }
        let Some((index, found)) = line.find(tag) else { return self.absent(kind, at, tag, header, now, op) };
        // Acquire: read after the cell, so that an insertion which is not finished is seen here.
        let header = Header(line.header.load(Ordering::Acquire));
        if header.is_busy() && header.tag() == tag {
            self.help(kind, at, header, now);
            return None;
        }
        let place = Place(at * CELLS + index);
        let now = if K::ELSEWHERE { self.no_earlier(kind, now) } else { now };
        match op.judge(Spot::Own(place), cell::state(found), now) {
            Step::Keep(answer) => {
                // What is elsewhere belonged to the key only if the cell still does. Acquire: read after it.
                let same = !K::ELSEWHERE || line.cells[index].load(Ordering::Acquire) == found;
                same.then_some(answer)
            }
            Step::Put(state, answer) => {
                if K::ELSEWHERE && !op.claim(place, now) {
                    return None;
                }
                // AcqRel: releases what this operation did to whoever reads the cell next, and its predecessor's to this one.
                // Relaxed on failure: the cell is searched for again.
                let new = cell::pack(tag, state);
                if line.cells[index].compare_exchange(found, new, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    return Some(answer);
                }
                if K::ELSEWHERE {
                    op.unclaim(place, now);
                }
                None
            }
        }
    }

    /// The key has no cell. `None`: look again.
    #[cold]
    #[inline(never)]
    fn absent<K: Layout, O: Op>(
        &self,
        kind: &K,
        at: usize,
        tag: u64,
        header: Header,
        now: Now,
        op: &O,
    ) -> Option<O::Answer> {
        let line = &self.lines[at];
        if header.is_busy() {
            self.help(kind, at, header, now);
            return None;
        }
        let evict = self.reclaim.advance(kind, now);
        let now = if K::ELSEWHERE { self.no_earlier(kind, now) } else { now };
        let shared = self.shared_place(at, tag);
        let start = self.start(kind, header, shared, now, evict);
        // What stores nothing needs no cell.
        if let Step::Keep(answer) = op.judge(Spot::New(self.sketch_place(shared)), start, now) {
            if start != kind.fresh(evict) {
                self.counts.add(OVERFLOWED, 1);
            }
            return Some(answer);
        }
        let victim = victim(kind, line, evict, now);
        let Some(index) = victim else {
            let Some(spilled) = header.spilled() else { return self.overflow(kind, at, tag, now, op) };
            // AcqRel: before anything is charged to the sketch, so that insertions know. Either way, look again.
            let _ = line.header.compare_exchange(header.0, spilled.0, Ordering::AcqRel, Ordering::Relaxed);
            return None;
        };
        let claimed = header.claimed(index, tag);
        // AcqRel: the claim is of the line as it was searched. Relaxed on failure: look again.
        let claim = line.header.compare_exchange(header.0, claimed.0, Ordering::AcqRel, Ordering::Relaxed);
        if claim.is_ok() {
            self.help(kind, at, claimed, now);
        }
        None
    }

    /// Finishes the insertion that `header` announces, whoever began it.
    #[cold]
    fn help<K: Layout>(&self, kind: &K, at: usize, header: Header, now: Now) {
        let line = &self.lines[at];
        let (index, tag) = (header.index(), header.tag());
        let (word, place) = (&line.cells[index], Place(at * CELLS + index));
        let shared = self.shared_place(at, tag);
        for attempt in 0.. {
            // Acquire: see `Line::find`.
            let found = word.load(Ordering::Acquire);
            if cell::tag(found) == tag {
                break;
            }
            if attempt == TRIES {
                return;
            }
            // Acquire: read after the cell, so that `found` was there while this insertion was pending.
            if line.header.load(Ordering::Acquire) != header.0 {
                return;
            }
            // At least what the claimer raised it to.
            let evict = self.reclaim.moment();
            if !is_free(kind, found, evict, now) {
                // The cell's own key came back first. AcqRel: as the claim. Relaxed on failure: somebody else settled it.
                let settled = header.settled().0;
                let _ = line.header.compare_exchange(header.0, settled, Ordering::AcqRel, Ordering::Relaxed);
                return;
            }
            let state = self.start(kind, header, shared, now, evict);
            if header.has_spilled() {
                kind.carry(self.sketch_place(shared), place, now);
            }
            // AcqRel: publishes the cell with the claim before it. Relaxed on failure: look again.
            let put = word.compare_exchange(found, cell::pack(tag, state), Ordering::AcqRel, Ordering::Relaxed);
            if put.is_ok() && found != 0 {
                self.counts.add(EVICTIONS, 1);
            }
        }
        if header.has_spilled() && !self.raise(kind, at, tag, index, now) {
            return;
        }
        // AcqRel: whoever sees the line at rest sees the raised cell. Relaxed on failure: somebody else settled it.
        let settled = header.settled().0;
        let _ = line.header.compare_exchange(header.0, settled, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Raises a cell that can be seen by now to what the sketch knows of its key; false if that has still to be done.
    fn raise<K: Layout>(&self, kind: &K, at: usize, tag: u64, index: usize, now: Now) -> bool {
        let (word, place) = (&self.lines[at].cells[index], Place(at * CELLS + index));
        let shared = self.shared_place(at, tag);
        // SeqCst: between making the cell visible and reading the sketch again, see the module's fourth point.
        fence(Ordering::SeqCst);
        let evict = self.reclaim.moment();
        let state = self.shared_state(kind, shared, now, evict);
        kind.carry(self.sketch_place(shared), place, now);
        for _ in 0..TRIES {
            // Acquire: see `Line::find`.
            let found = word.load(Ordering::Acquire);
            let raised = cell::pack(tag, kind.merge(cell::state(found), state, now));
            if cell::tag(found) != tag || raised == found {
                return true;
            }
            // AcqRel: as any exchange of a cell. Relaxed on failure: look again.
            if word.compare_exchange(found, raised, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return true;
            }
        }
        false
    }

    /// No room in the line: the key is decided by a word that it shares.
    #[cold]
    fn overflow<K: Layout, O: Op>(&self, kind: &K, at: usize, tag: u64, now: Now, op: &O) -> Option<O::Answer> {
        let index = self.shared_place(at, tag);
        let (word, place) = (&self.sketch[index], self.sketch_place(index));
        for _ in 0..PATIENCE {
            // Acquire: as any state.
            let (found, evict) = (word.load(Ordering::Acquire), self.reclaim.moment());
            let state = unpack_shared(kind, found, now, evict);
            match op.judge(Spot::Shared(place), state, now) {
                Step::Keep(answer) => {
                    self.counts.add(OVERFLOWED, 1);
                    return Some(answer);
                }
                Step::Put(state, answer) => {
                    if K::ELSEWHERE && !op.claim(place, now) {
                        continue;
                    }
                    let new = SHARED_USED | u64::from(epoch(kind, now)) << cell::STATE_BITS | state;
                    // AcqRel: as any exchange of a cell. Relaxed on failure: look again.
                    if word.compare_exchange(found, new, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                        // SeqCst: between the charge and the second search, see the module's fourth point.
                        fence(Ordering::SeqCst);
                        let line = &self.lines[at];
                        // Acquire: after the fence. An epoch has passed where the line no longer says that it has spilled.
                        let known = Header(line.header.load(Ordering::Acquire)).has_spilled();
                        if !known || line.find(tag).is_some() {
                            // Charged here and, in the caller's next round, once more: it may deny early.
                            return None;
                        }
                        self.counts.add(OVERFLOWED, 1);
                        return Some(answer);
                    }
                    if K::ELSEWHERE {
                        op.unclaim(place, now);
                    }
                }
            }
        }
        Some(op.give_up())
    }

    /// Every key as new.
    pub(super) fn clear<K: Layout>(&self, kind: &K, now: Now) {
        let evict = self.reclaim.advance(kind, now);
        let at = latest(now.tick, evict);
        for (place, word) in self.lines.iter().flat_map(|line| &line.cells).enumerate() {
            // Acquire: see `Line::find`.
            let mut found = word.load(Ordering::Acquire);
            for _ in 0..PATIENCE {
                if found == 0 {
                    break;
                }
                kind.wipe(Place(place));
                let new = cell::pack(cell::tag(found), kind.renew(cell::state(found), at));
                // AcqRel and Acquire: as any exchange of a cell.
                match word.compare_exchange(found, new, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => break,
                    Err(current) => found = current,
                }
            }
        }
        for (index, word) in self.sketch.iter().enumerate() {
            kind.wipe(self.sketch_place(index));
            // Release: after the stamps.
            word.store(0, Ordering::Release);
        }
    }

    /// Keys with a cell of their own that are not free.
    pub(super) fn len<K: Layout>(&self, kind: &K, now: Now) -> usize {
        let live = |line: &Line| {
            // Acquire: as in `apply`.
            let behind = Header(line.header.load(Ordering::Acquire)).epochs_behind(epoch(kind, now));
            let live = |word: &&AtomicU64| {
                // Acquire: see `Line::find`.
                let found = word.load(Ordering::Acquire);
                let state = cell::state(found);
                // What a sweep would find to be long free cannot be read any more.
                let readable = behind <= LIVE_EPOCHS || state & PENALTY != 0;
                found != 0 && readable && later(kind.free_at(state, now), now.tick)
            };
            line.cells.iter().filter(live).count()
        };
        self.lines.iter().map(live).sum()
    }

    /// No moment before the latest eviction: what is elsewhere may already be another key's as of then.
    fn no_earlier<K: Layout>(&self, kind: &K, now: Now) -> Now {
        // Read after the cell, so at least as late as the eviction that gave it to its key.
        let evict = self.reclaim.moment();
        if later(evict, now.tick) { kind.begin(evict, now) } else { now }
    }

    /// The word of the sketch for keys of this line and tag: known to whoever helps.
    fn shared_place(&self, at: usize, tag: u64) -> usize {
        // Fibonacci hashing (Knuth, 6.4) of what is already keyed by the secret.
        let mixed = ((at as u64) << 24 | tag).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((u128::from(mixed) * self.sketch.len() as u128) >> 64) as usize
    }

    fn sketch_place(&self, index: usize) -> Place {
        Place(self.lines.len() * CELLS + index)
    }

    /// What a key without a cell starts from.
    fn start<K: Layout>(&self, kind: &K, header: Header, index: usize, now: Now, evict: u64) -> u64 {
        if header.has_spilled() { self.shared_state(kind, index, now, evict) } else { kind.fresh(evict) }
    }

    fn shared_state<K: Layout>(&self, kind: &K, index: usize, now: Now, evict: u64) -> u64 {
        // Acquire: as any state.
        unpack_shared(kind, self.sketch[index].load(Ordering::Acquire), now, evict)
    }
}

const SHARED_USED: u64 = 1 << 63;
/// Lost races after which a step is left to the next round of the operation, of which there are [`PATIENCE`].
const TRIES: usize = 16;
/// The state in a word of the sketch; free from `evict` on where nobody used it lately.
fn unpack_shared<K: Layout>(kind: &K, word: u64, now: Now, evict: u64) -> u64 {
    let fresh = kind.fresh(evict);
    let epochs = epochs_since((word >> cell::STATE_BITS) as u16, epoch(kind, now));
    if word & SHARED_USED == 0 || epochs > LIVE_EPOCHS {
        return fresh;
    }
    let state = cell::state(word);
    // Free before `evict`: as good as never used, and `fresh` says since when.
    if later(evict, kind.free_at(state, now)) { fresh } else { kind.merge(state, fresh, now) }
}
