//! A fixed table of cells, one cache line a lookup, and a sketch for keys that find no room.
//!
//! A key that is idle and one that was never seen are the same thing, so a cell that was claimed but not yet charged
//! has no window in which a crash could hurt. What must never happen:
//! - *One key in two cells.* Insertions into a line take turns by its header: a claim names the cell and the key, and
//!   anyone who meets it finishes it first, so a dead inserter stops nobody. A claim is an exchange of the header as it
//!   was before the line was searched, so the key cannot have come in since.
//! - *A live key loses its cell*, or *an evicted key comes back as fresh for a thread with an old clock reading*: see
//!   [`reclaim`](super::reclaim).
//! - *A key has charges in the sketch and a cell without them.* A line says when keys of it have spilled. Whoever
//!   charged the sketch searches the line again and charges the cell too if there is one; whoever inserts raises the
//!   cell to the sketch's level after it can be seen. Each writes, passes a SeqCst fence and reads, so one of them sees
//!   the other (S. Dekker's argument).
//!
//! A late helper cannot give away a cell twice: free states of one key only ever move forward in time (what is put is
//! never before the evicting moment, what is given away always), so an exchange from a stale one fails.

use super::cache_line::{CacheLine, Header};
use super::cell::{self, PENALTY};
use super::config::MAX_KEYS;
use super::hash::KeyHash;
use super::kind::Layout;
use super::reclaim::{Latest, Reclaim, dated, victim};
use super::time::{Epoch, Now, Present, later, latest};
use crate::ConfigError;
use crate::counters::Striped;
use crate::hash::place;
use crate::memory::{ObjectAllocator, PATIENCE, SharedSlice, TRIES};
use crate::sync::{AtomicU64, Ordering, fence};

/// Bytes of lines for each key: with 1.8 keys to a line of 7, fewer than 0.04 % find theirs full.
const LINE_BYTES_PER_KEY: usize = 36;
/// Keys to a word of the sketch.
const KEYS_PER_WORD: usize = 4;

pub(super) const EVICTIONS: usize = 0;
pub(super) const OVERFLOWED: usize = 1;

#[derive(Debug)]
pub(super) struct Table {
    lines: SharedSlice<CacheLine>,
    /// `used:1 | epoch:16 | state:40`, shared by all keys that come to a word.
    sketch: SharedSlice<AtomicU64>,
    reclaim: Reclaim,
    pub(super) counts: Striped<2>,
}

/// What one operation does to a key's state.
pub(super) trait Op {
    type Answer;

    /// Whether [`hold`](Self::hold) ever says anything.
    const HOLDS: bool = false;

    /// The answer when too many races are lost: that of a denial.
    fn give_up(&self) -> Self::Answer;

    /// Looks at a state. Must not change anything, but may count.
    fn judge(&self, spot: Spot, state: u64, now: Now) -> Step<Self::Answer>;

    /// The state of a word, from which a key goes on in a cell, if it must count longer for what the operation charges.
    fn hold(&self, _state: u64, _now: Now) -> Option<u64> {
        None
    }
}

/// Where a state was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// In the key's own cell.
    Own,
    /// Nowhere yet: it starts from what the sketch says.
    New,
    /// In the sketch, because there is no room.
    Shared,
}

pub(super) enum Step<T> {
    /// Nothing is to be stored.
    Keep(T),
    /// This state is.
    Put(u64, T),
}

impl<T> Step<T> {
    /// The answer, and nothing is stored.
    fn answer(self) -> T {
        let (Self::Keep(answer) | Self::Put(_, answer)) = self;
        answer
    }
}

impl Table {
    /// Three parts, and those of its counters.
    pub(super) fn in_room(room: &mut ObjectAllocator, max_keys: usize, present: Present) -> Result<Self, ConfigError> {
        let lines = (max_keys * LINE_BYTES_PER_KEY).div_ceil(size_of::<CacheLine>());
        Ok(Self {
            lines: room.sized_by(&MAX_KEYS, |room| room.cells(lines))?,
            sketch: room.sized_by(&MAX_KEYS, |room| room.cells(max_keys.div_ceil(KEYS_PER_WORD)))?,
            reclaim: Reclaim::in_room(room, present)?,
            counts: Striped::in_room(room)?,
        })
    }

    /// See [`Reclaim::resets`].
    pub(super) fn resets(&self) -> u64 {
        self.reclaim.resets()
    }

    /// See [`Reclaim::note_reset`].
    pub(super) fn note_reset(&self) {
        self.reclaim.note_reset();
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.lines) + size_of_val(&*self.sketch)
    }

    /// Applies `op` to the key's state at `ns` nanoseconds since the epoch: one exchange, or nothing.
    ///
    /// What is cold is given `ns`, and makes its own [`Now`] of it: one that is handed to a function that is not
    /// inlined lies in memory, for every decision.
    #[inline]
    pub(super) fn apply<K: Layout, O: Op>(&self, kind: &K, key: KeyHash, ns: u64, op: &O) -> O::Answer {
        // Straight on: a loop here would cost every decision the compiler's preparations for its second round.
        self.attempt(kind, key, ns, op).unwrap_or_else(|| self.persist(kind, key, ns, op))
    }

    #[cold]
    #[inline(never)]
    fn persist<K: Layout, O: Op>(&self, kind: &K, key: KeyHash, ns: u64, op: &O) -> O::Answer {
        (0..PATIENCE).find_map(|_| self.attempt(kind, key, ns, op)).unwrap_or_else(|| op.give_up())
    }

    /// `None`: somebody else was faster, or had to be helped; look again.
    #[inline(always)]
    fn attempt<K: Layout, O: Op>(&self, kind: &K, key: KeyHash, ns: u64, op: &O) -> Option<O::Answer> {
        let tag = key.tag();
        let at = key.line(self.lines.len());
        let line = &self.lines[at];
        // Acquire: the search sees every insertion that this header has seen.
        let before = Header(line.header.load(Ordering::Acquire));
        let Some((index, found)) = line.find(tag) else { return self.absent(kind, (at, tag, before), ns, op) };
        let now = kind.now(ns);
        // Acquire: read after the cell, so that an insertion or sweep which is not finished is seen here, and a sweep
        // before it was charged.
        let header = Header(line.header.load(Ordering::Acquire));
        if !header.rests_in(Epoch::number_at(now.tick, kind.epoch_bits())) {
            return self.aside(kind, Seen { at, tag, index, found, header }, ns, op);
        }
        match op.judge(Spot::Own, cell::state(found), now) {
            Step::Keep(answer) => Some(answer),
            Step::Put(state, answer) => {
                // AcqRel: releases what this operation did to whoever reads the cell next, and its predecessor's to
                // this one. Relaxed on failure: the cell is searched for again.
                let new = cell::pack(tag, state);
                let put = line.cells[index].compare_exchange(found, new, Ordering::AcqRel, Ordering::Relaxed);
                put.is_ok().then_some(answer)
            }
        }
    }

    /// The key's line is in another epoch than the reading, or something is being done to it. `None`: look again.
    #[cold]
    #[inline(never)]
    fn aside<K: Layout, O: Op>(&self, kind: &K, seen: Seen, ns: u64, op: &O) -> Option<O::Answer> {
        let (Seen { at, tag, index, found, header }, now) = (seen, kind.now(ns));
        let (epoch, latest) = self.settle(kind, at, header, now)?;
        // A late reading: what is put must be within reach of the line's epoch.
        let now = Now { near: epoch.start, ..latest.reading(kind, now) };
        let floor = epoch.back(kind.back()).start;
        let word = &self.lines[at].cells[index];
        match op.judge(Spot::Own, cell::state(found), now) {
            Step::Keep(answer) => Some(answer),
            Step::Put(state, answer) => {
                let within = state & PENALTY != 0 || !later(floor, kind.free_at(state, now));
                let new = cell::pack(tag, if within { state } else { kind.raise(state, floor) });
                // AcqRel and Relaxed: as in `attempt`.
                word.compare_exchange(found, new, Ordering::AcqRel, Ordering::Relaxed).is_ok().then_some(answer)
            }
        }
    }

    /// The epoch of a line at rest, which is the reading's or a later one. `None`: something had to be done; look
    /// again.
    #[inline(always)]
    fn settle<K: Layout>(&self, kind: &K, at: usize, header: Header, now: Now) -> Option<(Epoch, Latest)> {
        let (epoch, latest) = self.reclaim.settle(kind, &self.lines[at], header, now)?;
        if header.is_busy() {
            self.help(kind, at, header, epoch, now);
            return None;
        }
        Some((epoch, latest))
    }

    /// What `op`, which only looks, says to the key's state at `ns`. Nothing is stored but what others have begun.
    #[inline]
    pub(super) fn look<K: Layout, O: Op>(&self, kind: &K, key: KeyHash, ns: u64, op: &O) -> O::Answer {
        let tag = key.tag();
        let at = key.line(self.lines.len());
        let line = &self.lines[at];
        if let Some((_, found)) = line.find(tag) {
            let now = kind.now(ns);
            // Acquire: as in `attempt`.
            let header = Header(line.header.load(Ordering::Acquire));
            if header.rests_in(Epoch::number_at(now.tick, kind.epoch_bits())) {
                return op.judge(Spot::Own, cell::state(found), now).answer();
            }
        }
        (0..PATIENCE).find_map(|_| self.look_aside(kind, at, tag, ns, op)).unwrap_or_else(|| op.give_up())
    }

    /// The key has no cell, or its line is in another epoch than the reading. `None`: look again.
    #[cold]
    #[inline(never)]
    fn look_aside<K: Layout, O: Op>(&self, kind: &K, at: usize, tag: u64, ns: u64, op: &O) -> Option<O::Answer> {
        let (line, now) = (&self.lines[at], kind.now(ns));
        // Acquire: the search sees every insertion that this header has seen.
        let header = Header(line.header.load(Ordering::Acquire));
        let found = line.find(tag);
        // Acquire: read after the cell, as in `attempt`.
        if line.header.load(Ordering::Acquire) != header.0 {
            return None;
        }
        self.reclaim.put_in_order(kind, line, header, self.reclaim.latest(kind))?;
        let latest = self.reclaim.seen_from(kind, now);
        let (from, reading) = (latest.back_to(header.epoch()), latest.reading(kind, now));
        let epoch = if later(reading.tick, from.end()) { Epoch::of(now.tick, kind.epoch_bits()) } else { from };
        let header = header.swept(kind, from, epoch);
        let (since, _) = self.reclaim.starting(kind, &latest, epoch);
        let now = Now { near: epoch.start, ..reading };
        let shared = || self.start(kind, (at, tag), header, (epoch, since), now);
        let (spot, state) = match found.map(|(_, found)| cell::state(found)) {
            None if is_long_before(kind, now, since) => {
                let word = header.has_spilled().then(|| self.shared(at, tag));
                // Acquire: as any state. Before the latest moment, which says of which epoch it is.
                let charged = word.map(|word| (word, word.load(Ordering::Acquire)));
                let soon = charged.map(|charged| self.too_soon(kind, charged, self.reclaim.latest(kind), since));
                (Spot::New, soon.unwrap_or(Some(kind.fresh(since)))?)
            }
            None => (Spot::New, shared()?),
            Some(state) => {
                let state = if epoch == from { None } else { dated(kind, state, (from, epoch), now) }.unwrap_or(state);
                // Of an insertion that is not finished.
                let raised = header.is_busy() && header.tag() == tag && header.has_spilled();
                (Spot::Own, if raised { kind.merge(state, shared()?, now) } else { state })
            }
        };
        if spot == Spot::New && state != kind.fresh(since) {
            self.counts.add(OVERFLOWED, 1);
        }
        Some(op.judge(spot, state, now).answer())
    }

    /// The key has no cell. `header`: as it was before it was searched for. `None`: look again.
    ///
    /// Not marked as cold, which would be smaller and slower: in a flood of new keys this is most of a decision.
    #[inline(never)]
    fn absent<K: Layout, O: Op>(
        &self,
        kind: &K,
        (at, tag, header): (usize, u64, Header),
        ns: u64,
        op: &O,
    ) -> Option<O::Answer> {
        let now = kind.now(ns);
        // Acquire: as any state. Before the latest moment, which says of which epoch it is.
        let charged = header.has_spilled().then(|| self.shared(at, tag).load(Ordering::Acquire));
        let (epoch, latest) = self.settle(kind, at, header, now)?;
        let (since, evict) = self.reclaim.starting(kind, &latest, epoch);
        let now = Now { near: epoch.start, ..latest.reading(kind, now) };
        let start = match charged {
            Some(found) if !is_long_before(kind, now, since) => {
                self.state_in(kind, (self.shared(at, tag), found), latest, (epoch, since), now)?
            }
            Some(found) => self.too_soon(kind, (self.shared(at, tag), found), latest, since)?,
            None => kind.fresh(since),
        };
        // What stores nothing needs no cell.
        if let Step::Keep(answer) = op.judge(Spot::New, start, now) {
            if start != kind.fresh(since) {
                self.counts.add(OVERFLOWED, 1);
            }
            return Some(answer);
        }
        self.find_room(kind, (at, tag, header), (epoch, evict, since), now, op)
    }

    /// Makes room for a key that has no cell, or decides it by the sketch. `None`: look again.
    #[cold]
    #[inline(never)]
    fn find_room<K: Layout, O: Op>(
        &self,
        kind: &K,
        (at, tag, header): (usize, u64, Header),
        (epoch, evict, since): (Epoch, u64, u64),
        now: Now,
        op: &O,
    ) -> Option<O::Answer> {
        let line = &self.lines[at];
        let victim = victim(kind, line, evict, now);
        let Some(index) = victim else {
            let Some(spilled) = header.spilled() else { return self.overflow(kind, at, tag, (epoch, since), now, op) };
            // AcqRel: before anything is charged to the sketch, so that insertions know. Either way, look again.
            let _ = line.header.compare_exchange(header.0, spilled.0, Ordering::AcqRel, Ordering::Relaxed);
            return None;
        };
        if O::HOLDS && header.has_spilled() && !self.hold(kind, (at, tag), (epoch, since), now, op) {
            return None;
        }
        let claimed = header.claimed(index, tag);
        // AcqRel: the claim is of the line as it was searched. Relaxed on failure: look again.
        let claim = line.header.compare_exchange(header.0, claimed.0, Ordering::AcqRel, Ordering::Relaxed);
        if claim.is_ok() {
            self.help(kind, at, claimed, epoch, now);
        }
        None
    }

    /// Before a key takes its share of a word to a cell: what is charged to the cell from now on must count as long as
    /// if it were charged to the word. In the word, so that whoever finishes the insertion takes it over. False if that
    /// has still to be done.
    fn hold<K: Layout, O: Op>(
        &self,
        kind: &K,
        (at, tag): (usize, u64),
        moments: (Epoch, u64),
        now: Now,
        op: &O,
    ) -> bool {
        let hold = |state, now| op.hold(state, now).map_or(Step::Keep(()), |held| Step::Put(held, ()));
        self.in_word(kind, self.shared(at, tag), moments, now, hold).is_some()
    }

    /// Finishes the insertion that `header` announces, whoever began it.
    #[cold]
    fn help<K: Layout>(&self, kind: &K, at: usize, header: Header, epoch: Epoch, now: Now) {
        let (line, now) = (&self.lines[at], Now { near: epoch.start, ..now });
        let (index, tag) = (header.index(), header.tag());
        let word = &line.cells[index];
        for attempt in 0.. {
            // Acquire: see `CacheLine::find`.
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
            let latest = self.reclaim.latest(kind);
            let (since, evict) = self.reclaim.starting(kind, &latest, epoch);
            let free = if found == 0 { None } else { Some(kind.free_at(cell::state(found), now)) };
            if free.is_some_and(|free| !later(evict, free)) {
                // The cell's own key came back first. AcqRel: as the claim. Relaxed on failure: somebody else settled
                // it.
                let settled = header.settled().0;
                let _ = line.header.compare_exchange(header.0, settled, Ordering::AcqRel, Ordering::Relaxed);
                return;
            }
            let Some(state) = self.start(kind, (at, tag), header, (epoch, since), now) else { return };
            if free.is_some_and(|free| !self.reclaim.give(kind, free, &latest)) {
                return;
            }
            // AcqRel: publishes the cell with the claim before it. Relaxed on failure: look again.
            let put = word.compare_exchange(found, cell::pack(tag, state), Ordering::AcqRel, Ordering::Relaxed);
            if put.is_ok() && found != 0 {
                self.counts.add(EVICTIONS, 1);
            }
        }
        if header.has_spilled() && !self.raise(kind, at, header, epoch, now) {
            return;
        }
        // AcqRel: whoever sees the line at rest sees the raised cell. Relaxed on failure: somebody else settled it.
        let settled = header.settled().0;
        let _ = line.header.compare_exchange(header.0, settled, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Raises a cell that can be seen by now to what the sketch knows of its key; false if that has still to be done.
    fn raise<K: Layout>(&self, kind: &K, at: usize, header: Header, epoch: Epoch, now: Now) -> bool {
        let (line, index, tag) = (&self.lines[at], header.index(), header.tag());
        // SeqCst: between making the cell visible and reading the sketch again, see the module's fourth point.
        fence(Ordering::SeqCst);
        let (since, _) = self.reclaim.starting(kind, &self.reclaim.latest(kind), epoch);
        let Some(state) = self.shared_state(kind, (at, tag), (epoch, since), now) else { return false };
        for _ in 0..TRIES {
            // Acquire: see `CacheLine::find`.
            let found = line.cells[index].load(Ordering::Acquire);
            // Acquire: read after the cell, which so is within reach of this epoch.
            if line.header.load(Ordering::Acquire) != header.0 {
                return false;
            }
            let raised = cell::pack(tag, kind.merge(cell::state(found), state, now));
            if cell::tag(found) != tag || raised == found {
                return true;
            }
            // AcqRel: as any exchange of a cell. Relaxed on failure: look again.
            if line.cells[index].compare_exchange(found, raised, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return true;
            }
        }
        false
    }

    /// No room in the line: the key is decided by a word that it shares.
    #[cold]
    fn overflow<K: Layout, O: Op>(
        &self,
        kind: &K,
        at: usize,
        tag: u64,
        moments: (Epoch, u64),
        now: Now,
        op: &O,
    ) -> Option<O::Answer> {
        let judge = |state, now| op.judge(Spot::Shared, state, now);
        let Some((answer, put)) = self.in_word(kind, self.shared(at, tag), moments, now, judge) else {
            return Some(op.give_up());
        };
        if put {
            // SeqCst: between the charge and the second search, see the module's fourth point.
            fence(Ordering::SeqCst);
            let line = &self.lines[at];
            // Acquire: after the fence. An epoch has passed where the line no longer says that it has spilled.
            let known = Header(line.header.load(Ordering::Acquire)).has_spilled();
            if !known || line.find(tag).is_some() {
                // Charged here and, in the caller's next round, once more: it may deny early.
                return None;
            }
        }
        self.counts.add(OVERFLOWED, 1);
        Some(answer)
    }

    /// What `judge` says to a word of the sketch, and whether that stored something. `None`: too many races were lost.
    fn in_word<K: Layout, T>(
        &self,
        kind: &K,
        word: &AtomicU64,
        (epoch, since): (Epoch, u64),
        now: Now,
        judge: impl Fn(u64, Now) -> Step<T>,
    ) -> Option<(T, bool)> {
        for _ in 0..PATIENCE {
            // Acquire: as any state.
            let found = word.load(Ordering::Acquire);
            let (epoch, state) = match put_in(self.reclaim.latest(kind), found) {
                None => (epoch, kind.fresh(since)),
                Some(None) => {
                    self.use_up(kind, word, found);
                    continue;
                }
                // The word is of all keys that come to it: of the later epoch of the two.
                Some(Some(put)) => {
                    let epoch = if later(put.start, epoch.start) { put } else { epoch };
                    let least = latest(since, epoch.back(kind.back()).start);
                    let free = kind.free_at(cell::state(found), Now { near: put.start, ..now });
                    let now = Now { near: epoch.start, ..now };
                    let over = later(since, free);
                    (
                        epoch,
                        if over { kind.fresh(least) } else { kind.merge(cell::state(found), kind.fresh(least), now) },
                    )
                }
            };
            match judge(state, Now { near: epoch.start, ..now }) {
                Step::Keep(answer) => return Some((answer, false)),
                Step::Put(state, answer) => {
                    let new = shared(epoch, state);
                    // AcqRel: as any exchange of a cell. Relaxed on failure: look again.
                    if word.compare_exchange(found, new, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                        return Some((answer, true));
                    }
                }
            }
        }
        None
    }

    /// Every key as new.
    pub(super) fn clear<K: Layout>(&self, kind: &K, ns: u64) {
        let now = kind.now(ns);
        self.reclaim.witness(kind, now);
        self.reclaim.forget();
        for line in self.lines.iter() {
            // What is put is within reach of the line's epoch, whatever that means now.
            let header = self.unmarked(kind, line);
            let latest = self.reclaim.latest(kind);
            let epoch = latest.epoch(header.epoch());
            let tick = latest.reading(kind, now).tick;
            let at = epoch.map_or(tick, |epoch| {
                let last = if later(tick, epoch.end()) { epoch.end() } else { tick };
                super::time::latest(last, epoch.back(kind.back()).start)
            });
            for word in &line.cells {
                // Acquire: see `CacheLine::find`.
                let mut found = word.load(Ordering::Acquire);
                for _ in 0..PATIENCE {
                    if found == 0 {
                        break;
                    }
                    let new = cell::pack(cell::tag(found), kind.fresh(at));
                    self.note_reset();
                    // AcqRel and Acquire: as any exchange of a cell.
                    match word.compare_exchange(found, new, Ordering::AcqRel, Ordering::Acquire) {
                        Ok(_) => break,
                        Err(current) => found = current,
                    }
                }
            }
        }
        for word in self.sketch.iter() {
            // Relaxed: zero says nothing that rests on what was written before it.
            word.store(0, Ordering::Relaxed);
        }
    }

    /// The header of a line that nobody is sweeping, as far as patience goes.
    fn unmarked<K: Layout>(&self, kind: &K, line: &CacheLine) -> Header {
        // Acquire: as in `attempt`.
        let load = || Header(line.header.load(Ordering::Acquire));
        let mut header = load();
        for _ in 0..TRIES {
            if header.sweeping().is_none() {
                break;
            }
            self.reclaim.finish(kind, line, header);
            header = load();
        }
        header
    }

    /// Keys with a cell of their own that are not free.
    pub(super) fn len<K: Layout>(&self, kind: &K, ns: u64) -> usize {
        let now = kind.now(ns);
        let live = |line: &CacheLine| {
            // Acquire: a word that is swept or charged meanwhile may be counted or not.
            let header = Header(line.header.load(Ordering::Acquire));
            let latest = self.reclaim.latest(kind);
            let Some(epoch) = latest.epoch(header.epoch()) else { return 0 };
            let now = Now { near: epoch.start, ..latest.reading(kind, now) };
            let live = |word: &&AtomicU64| {
                // Acquire: see `CacheLine::find`.
                let found = word.load(Ordering::Acquire);
                found != 0 && later(kind.free_at(cell::state(found), now), now.tick)
            };
            line.cells.iter().filter(live).count()
        };
        self.lines.iter().map(live).sum()
    }

    /// The word of the sketch for keys of this line and tag: known to whoever helps.
    fn shared(&self, at: usize, tag: u64) -> &AtomicU64 {
        // Fibonacci hashing (Knuth, 6.4) of what is already keyed by the secret.
        let mixed = ((at as u64) << 24 | tag).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.sketch[place(mixed, self.sketch.len())]
    }

    /// What a key without a cell starts from. `None`: the sketch had to be put in order; look again.
    fn start<K: Layout>(
        &self,
        kind: &K,
        (at, tag): (usize, u64),
        header: Header,
        (epoch, since): (Epoch, u64),
        now: Now,
    ) -> Option<u64> {
        if !header.has_spilled() {
            return Some(kind.fresh(since));
        }
        self.shared_state(kind, (at, tag), (epoch, since), now)
    }

    /// What the sketch says of a key whose line is in `epoch`, for a cell of that line.
    fn shared_state<K: Layout>(
        &self,
        kind: &K,
        (at, tag): (usize, u64),
        moments: (Epoch, u64),
        now: Now,
    ) -> Option<u64> {
        let word = self.shared(at, tag);
        // Acquire: as any state.
        let found = word.load(Ordering::Acquire);
        self.state_in(kind, (word, found), self.reclaim.latest(kind), moments, now)
    }

    /// The same, of a word as it was loaded before the latest moment.
    #[inline(always)]
    fn state_in<K: Layout>(
        &self,
        kind: &K,
        (word, found): (&AtomicU64, u64),
        latest: Latest,
        (epoch, since): (Epoch, u64),
        now: Now,
    ) -> Option<u64> {
        let fresh = kind.fresh(since);
        let Some(put) = put_in(latest, found) else { return Some(fresh) };
        let Some(put) = put else {
            self.use_up(kind, word, found);
            return None;
        };
        let (state, most) = (cell::state(found), epoch.end().wrapping_add(kind.refill()));
        let free = kind.free_at(state, Now { near: put.start, ..now });
        Some(if later(since, free) {
            // As good as never used, and `fresh` says since when.
            fresh
        } else if later(free, most) {
            // Beyond what a key of this line can have been charged there: that was another's.
            kind.fresh(most)
        } else {
            kind.merge(state, fresh, Now { near: epoch.start, ..now })
        })
    }

    /// What a key without a cell starts from where a reading [is long before](is_long_before) that. `None`: look again.
    ///
    /// A word that a bad reading put is put in order all the same: now, and not when what denies until then is over,
    /// for it would be used up as of then, and deny once more for as long. Nothing comes back sooner than it may: all
    /// that the word holds was charged before the exchange that drops it, and takes no longer to come back than
    /// [`refill`](Layout::refill), which it is used up for from the latest moment on.
    #[cold]
    #[inline(never)]
    fn too_soon<K: Layout>(
        &self,
        kind: &K,
        (word, found): (&AtomicU64, u64),
        latest: Latest,
        since: u64,
    ) -> Option<u64> {
        if put_in(latest, found) == Some(None) {
            self.use_up(kind, word, found);
            return None;
        }
        Some(kind.fresh(since))
    }

    /// What a bad reading left in a word of the sketch is lost: it is used up.
    #[cold]
    fn use_up<K: Layout>(&self, kind: &K, word: &AtomicU64, found: u64) {
        let (epoch, state) = self.reclaim.used_up(kind);
        // AcqRel: as any exchange of a cell. Relaxed on failure: somebody else was faster.
        let _ = word.compare_exchange(found, shared(epoch, state), Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// Whether a key that is as new from `since` on may have used up everything as of the reading. Then that alone decides:
/// a word of the sketch may be of a window so much later that it no longer says so.
fn is_long_before<K: Layout>(kind: &K, now: Now, since: u64) -> bool {
    since.wrapping_sub(now.tick) as i64 >= kind.refill() as i64
}

const SHARED_USED: u64 = 1 << 63;

/// The epoch as of which a word of the sketch was put: the first `None` is one that never was, the second a bad
/// reading's. `latest`: as it was loaded after the word.
#[inline]
fn put_in(latest: Latest, word: u64) -> Option<Option<Epoch>> {
    let used = word & SHARED_USED != 0;
    used.then(|| latest.epoch((word >> cell::STATE_BITS) as u16))
}

/// A word of the sketch.
fn shared(epoch: Epoch, state: u64) -> u64 {
    SHARED_USED | u64::from(epoch.number()) << cell::STATE_BITS | cell::state(state)
}

/// Where `attempt` found a key's cell.
struct Seen {
    at: usize,
    tag: u64,
    index: usize,
    found: u64,
    /// As it was after that.
    header: Header,
}
