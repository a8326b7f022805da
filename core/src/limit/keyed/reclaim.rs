//! Which cells of a table may be used again, and since when: evictions and sweeps.
//!
//! A cell has room for the last bits of a time only. What they mean is known by the epoch that its line was swept for
//! last, and that by the *latest moment*, a reading of the clock in full width. The invariants:
//! - *The latest moment is no earlier than any line's epoch*: it is raised first. So the 16 bits that a header has for
//!   its epoch say which one it is: the last of that number up to the latest moment. (A line that was left alone for
//!   65,536 epochs reads as one of later, and what it holds as well: *a state is read by no more bits than come round
//!   in so many epochs*. So all of it is over, but for what reads as put in the present epoch, and that denies for no
//!   longer than a state lasts.)
//! - *What a line holds is within reach of its epoch*, or reads as later than it is: who comes in a later epoch sweeps
//!   first, and dates what is over to the earliest moment that can be read. Who comes in an earlier epoch reads next to
//!   the line's. So whatever a reading, the time of a state is known in full width, or taken for later: a late thread
//!   may be denied early and mints nothing.
//! - *Nobody judges a line that is being swept*: its cells are of two epochs. So a sweep marks the header first, with
//!   the epoch that it is for; dates the cells; then one exchange says the new epoch and takes the mark away. Whoever
//!   meets the mark, however late its own reading, finishes the sweep for that epoch, so that a sweeper that was killed
//!   stops nobody. All date to one moment: what is dated reads, next to the epoch before, as that moment or as past,
//!   and is left or dated again as it is. What is exchanged meanwhile was judged while the line was at rest in the
//!   epoch before, by a cell that was not dated yet (one that was is another); it is over in the new epoch, or within
//!   its reach, and reads as that or as later.
//!   (Left: a thread that is stopped between reading a cell and dating it, to the tick for as long as ticks take to
//!   come round, may take a new charge of the same bits for the old one.)
//! - *A cell is as old as the header says only if the header still says so after the cell was read*: another thread may
//!   have swept the line and charged the cell in between.
//! - *Who only looks stores nothing*: a look with a reading that is ahead takes the line as swept for it, and the
//!   latest moment as raised. It finishes what others have begun, and tells against a latest moment that is too late:
//!   what is only ever looked at (a member of a set, as long as it denies) would not heal otherwise.
//! - *A key that gives its cell away is over as of the evicting moment*: the latest one, or the end of the line's epoch
//!   if that is earlier. It only moves forward in a line, and a key without a cell starts free from it on and empty
//!   before: no thread, however late, sees a key that was evicted as fresher than it was.
//! - *What was given away is remembered*: the moment until which any of it counted, in full width, raised before the
//!   cell changes hands. It is no later than the latest moment, until that is set back.
//!
//! **A bad reading**, of a clock that goes back afterwards, leaves a latest moment that is too late. Then keys without
//! a cell are denied; lines that it did not touch go on as before, for their epoch says when they were swept (where it
//! was further ahead than 65,536 epochs, they are denied when an epoch ends). When readings that needed the latest
//! moment have gone on for a minute, all of them more than a minute behind it, it is set to the present ([`Watch`]).
//! Lines that were swept for an epoch between the two are swept back, marked likewise: what their cells held is lost,
//! so they are used up, for as long as the slowest quota takes, or an epoch longer where that is what they held: the
//! clock may have come there and stepped back again ([`Lost`]). (What was charged there is lost only where the clock
//! stepped back by more than an epoch from it, the second time before the limit healed. Beyond 32,767 epochs they
//! cannot be told from lines of long ago, and read as such: as new.) A reading of the same epoch is ahead by less than
//! that: its key waits until the clock is there again. Where a cell was given away as of the bad reading that counted
//! for longer than the moment which the latest one was set back to, any key without a cell may be the one that lost it:
//! it starts as free from when that is over, and as used up before, for as long as the slowest quota takes (and an
//! epoch) at most.
//!
//! (Not: to give no cell away as of a reading that leaps ahead until others confirm it. The first reading after a quiet
//! night leaps as well, and would find no room; and what is confirmed may still go back.)
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::cache_line::{CacheLine, Header, Sweep};
use super::cell::{self, PENALTY};
use super::kind::Layout;
use super::time::{Epoch, Now, Present, later, latest};
use crate::ConfigError;
use crate::memory::{ObjectAllocator, One, TRIES, Watch, Zeroable};
use crate::sync::{AtomicU64, Ordering};

/// So far behind the latest moment a reading speaks against it.
const BAD_READING_NS: u64 = 60_000_000_000;
/// An epoch that is ahead of the latest moment by less than this was put by a bad reading; else it is one of long ago.
const MOST_AHEAD: u64 = 0x7FFF;
/// A line that is further ahead than so many epochs was never right.
const MOST_KNOWN: u64 = 22;
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
    /// Until when what was in cells that were given away counted, in nanoseconds.
    given: AtomicU64,
    /// Counts resets.
    resets: AtomicU64,
}

// SAFETY: atomics only.
unsafe impl Zeroable for Moments {
    #[cfg(loom)]
    fn blank() -> Self {
        let [latest, ceiling, given, resets] = Zeroable::blank();
        Self { latest, ceiling, watch: Zeroable::blank(), given, resets }
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
    /// Which epoch a word means that was put by who saw a latest moment no later than this; `None`: it was put by a bad
    /// reading.
    pub(super) fn epoch(&self, number: u16) -> Option<Epoch> {
        let ahead = u64::from(number.wrapping_sub(self.epoch.number()));
        let bad = ahead != 0 && ahead <= self.set_back.min(MOST_AHEAD);
        (!bad).then(|| self.back_to(number))
    }

    /// The same of a word that is known not to be a bad reading's.
    pub(super) fn back_to(&self, number: u16) -> Epoch {
        self.epoch.back_to(number)
    }

    /// It as a reading.
    fn now<K: Layout>(&self, kind: &K) -> Now {
        Now { latest_ns: self.ns, ..kind.now(self.ns) }
    }

    /// The evicting moment of a line in `epoch`.
    pub(super) fn evicting(&self, epoch: Epoch) -> u64 {
        if later(self.tick, epoch.end()) { epoch.end() } else { self.tick }
    }

    /// A reading as it compares with what was put as of this moment. One that is so far behind that ticks have come
    /// round is far behind.
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
        self.no_earlier(kind, 0)
    }

    /// The latest moment as it would be once it was raised to `least`.
    fn no_earlier<K: Layout>(&self, kind: &K, least: u64) -> Latest {
        // Acquire: at least what whoever put what was read before raised it to.
        self.that_is(kind, self.moments.latest.load(Ordering::Acquire).max(least))
    }

    /// The latest moment as it was just loaded.
    #[inline]
    fn that_is<K: Layout>(&self, kind: &K, ns: u64) -> Latest {
        // Acquire: raised before the latest moment was set back.
        let ceiling = self.moments.ceiling.load(Ordering::Acquire);
        let tick = kind.now(ns).tick;
        let epoch = Epoch::of(tick, kind.epoch_bits());
        let set_back = if ceiling > ns { Epoch::of(kind.now(ceiling).tick, kind.epoch_bits()).since(epoch) } else { 0 };
        Latest { ns, tick, epoch, set_back }
    }

    /// From when on a key without a cell of a line in `epoch` is free, and the evicting moment of that line: nobody
    /// knows whether it had used up everything before. To be called after the key was searched for.
    #[inline]
    pub(super) fn starting<K: Layout>(&self, kind: &K, latest: &Latest, epoch: Epoch) -> (u64, u64) {
        let evict = latest.evicting(epoch);
        (if self.given() <= latest.ns { evict } else { self.starting_late(kind, epoch, evict) }, evict)
    }

    /// Of what was given away after the latest moment that was loaded, or before it was set back.
    #[cold]
    #[inline(never)]
    fn starting_late<K: Layout>(&self, kind: &K, epoch: Epoch, evict: u64) -> u64 {
        let (given, most) = (kind.now(self.bounded(kind)).tick, epoch.end().wrapping_add(kind.refill()));
        latest(evict, if later(given, most) { most } else { given })
    }

    fn given(&self) -> u64 {
        // Acquire: raised before the cell changed hands in which a key was not found.
        self.moments.given.load(Ordering::Acquire)
    }

    /// Until when what was given away counts. Where the latest moment was set back behind that: a key was charged in
    /// this epoch at the latest, or by a bad reading, so beyond that nothing is held against anybody.
    #[cold]
    fn bounded<K: Layout>(&self, kind: &K) -> u64 {
        let (given, latest) = (self.given(), self.latest(kind));
        let ahead = latest.epoch.end().wrapping_sub(latest.tick).saturating_add(kind.refill());
        let most = latest.ns.saturating_add(kind.ns(ahead).saturating_add(1));
        if given > most {
            // Relaxed, both: it says nothing of other words. Lost: somebody else has put another.
            let _ = self.moments.given.compare_exchange(given, most, Ordering::Relaxed, Ordering::Relaxed);
        }
        given.min(most)
    }

    /// To be called before a cell is given away that is free as of `latest`, from tick `free` on. False: too many races
    /// were lost.
    #[inline]
    pub(super) fn give<K: Layout>(&self, kind: &K, free: u64, latest: &Latest) -> bool {
        let until = latest.ns.saturating_sub(kind.ns(latest.tick.wrapping_sub(free)));
        !K::COUNTS || until <= self.given() || self.raise_given(kind, until, latest.ns)
    }

    /// A sixteenth of the longest that anything counts at a time, so that not every eviction writes it.
    #[cold]
    #[inline(never)]
    fn raise_given<K: Layout>(&self, kind: &K, until: u64, latest_ns: u64) -> bool {
        let grain = (kind.ns(kind.refill()) >> 4).max(1).ilog2();
        let until = until.saturating_add((1 << grain) - 1) >> grain << grain;
        let until = until.min(latest_ns);
        (0..TRIES).any(|_| {
            let given = self.given();
            // AcqRel: before the cell changes hands. Relaxed on failure: look again.
            given >= until
                || self.moments.given.compare_exchange(given, until, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    /// To be read before a charge, and again after the cell that it is to be taken back from: where it is another, the
    /// key may have been reset in between, and what it has been charged since is others'.
    pub(super) fn resets(&self) -> u64 {
        // Acquire: before a charge it is read before the cell; later it is no older than the cell read before.
        self.moments.resets.load(Ordering::Acquire)
    }

    /// Between the load of a cell and the exchange that resets it, at each attempt: whoever charged before that load
    /// has read a smaller count, and whoever sees the cell as it was reset sees this one.
    pub(super) fn note_reset(&self) {
        // Relaxed: the acquire of the cell before it and the release of the exchange after it order it.
        self.moments.resets.fetch_add(1, Ordering::Relaxed);
    }

    /// An operator's wish: nothing of what was given away is held against anybody.
    pub(super) fn forget(&self) {
        // Relaxed: it says nothing of other words.
        self.moments.given.store(0, Ordering::Relaxed);
    }

    /// The latest moment as `now` would [raise](Self::witness) it, for who only looks.
    #[cold]
    pub(super) fn seen_from<K: Layout>(&self, kind: &K, now: Now) -> Latest {
        // Acquire: see `latest`.
        self.weigh(kind, now, self.moments.latest.load(Ordering::Acquire));
        self.no_earlier(kind, kind.coarse(now))
    }

    /// Raises the latest moment to `now`, a grain at a time, or lets a reading that is far behind it speak against it.
    #[inline(always)]
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
        if self.weigh(kind, now, latest) { self.that_is(kind, latest) } else { self.latest(kind) }
    }

    /// Whether the reading finds the latest moment plausible.
    #[inline]
    fn weigh<K: Layout>(&self, kind: &K, now: Now, latest: u64) -> bool {
        let plausible = latest.saturating_sub(now.ns) <= BAD_READING_NS;
        if plausible {
            self.moments.watch.clear();
        } else {
            self.doubt(kind, now, latest);
        }
        plausible
    }

    /// A reading is far behind the latest moment, which so is a bad one, or the reading an old one: see [`Watch`].
    #[cold]
    fn doubt<K: Layout>(&self, kind: &K, now: Now, latest: u64) {
        let ns = self.present.ns(now.ns);
        if self.moments.watch.judge(latest.saturating_sub(ns) <= BAD_READING_NS, ns) {
            // AcqRel: before the latest moment is set back, so that who sees that sees how far.
            self.moments.ceiling.fetch_max(latest, Ordering::AcqRel);
            // AcqRel: as above. Relaxed on failure: somebody else was faster.
            let _ = self.moments.latest.compare_exchange(latest, ns, Ordering::AcqRel, Ordering::Relaxed);
            self.moments.watch.clear();
            // At once: what is held against anybody lasts from now on, not from when a new key comes.
            self.bounded(kind);
        }
    }

    /// The epoch of a line, which is the reading's or a later one. `None`: it had to be swept; look again.
    ///
    /// `header`: as it was loaded. What was loaded from a cell before is of this epoch.
    #[inline(always)]
    pub(super) fn settle<K: Layout>(
        &self,
        kind: &K,
        line: &CacheLine,
        header: Header,
        now: Now,
    ) -> Option<(Epoch, Latest)> {
        let latest = self.witness(kind, now);
        let epoch = self.put_in_order(kind, line, header, latest)?;
        if later(latest.reading(kind, now).tick, epoch.end()) {
            let present = Epoch::of(now.tick, kind.epoch_bits());
            // Not raised as far, for races lost: look again.
            if !later(present.start, latest.epoch.start) {
                self.sweep(kind, line, header, Sweep { target: present.number(), back: false });
            }
            return None;
        }
        Some((epoch, latest))
    }

    /// The epoch of a line that nothing need be done to but a sweep for a later one. `None`: it was done, look again.
    #[inline(always)]
    pub(super) fn put_in_order<K: Layout>(
        &self,
        kind: &K,
        line: &CacheLine,
        header: Header,
        latest: Latest,
    ) -> Option<Epoch> {
        if header.sweeping().is_some() {
            self.finish(kind, line, header);
            return None;
        }
        let epoch = latest.epoch(header.epoch());
        if epoch.is_none() {
            self.set_back(kind, line, header, latest);
        }
        epoch
    }

    /// A line of a later epoch than the latest moment: of a reading ahead, or of the present, which has come into that
    /// epoch since. Then what is charged there is sound, and who is charged in a line that rests in its epoch raises no
    /// latest moment: so the clock is asked before anything is dated back.
    #[cold]
    fn set_back<K: Layout>(&self, kind: &K, line: &CacheLine, header: Header, latest: Latest) {
        let present = kind.now(self.present.ns(0));
        if kind.coarse(present) > latest.ns {
            self.witness(kind, present);
        } else {
            self.sweep(kind, line, header, Sweep { target: latest.epoch.number(), back: true });
        }
    }

    /// Marks a line and sweeps it. `header`: as it was read by who found the line to be of another epoch.
    #[cold]
    fn sweep<K: Layout>(&self, kind: &K, line: &CacheLine, header: Header, sweep: Sweep) {
        if mark(line, header, sweep) {
            self.finish(kind, line, header.marked(sweep));
        }
    }

    /// Goes on with the sweep of a line that is marked, whoever began it, until it is over or the line's header
    /// another; look again.
    #[cold]
    pub(super) fn finish<K: Layout>(&self, kind: &K, line: &CacheLine, marked: Header) {
        let Some(sweep) = marked.sweeping() else { return };
        let latest = self.latest(kind);
        match latest.epoch(sweep.target) {
            Some(target) if sweep.back => self.sweep_back(kind, line, marked, target),
            Some(target) => self.sweep_on(kind, line, marked, target),
            // The epoch was a bad reading's, and the latest moment was set back since.
            None => {
                mark(line, marked, Sweep { target: latest.epoch.number(), back: true });
            }
        }
    }

    /// Brings a line to a later epoch.
    fn sweep_on<K: Layout>(&self, kind: &K, line: &CacheLine, marked: Header, target: Epoch) {
        // Penalties end as of the latest moment, whoever sweeps.
        let (from, now) = (target.back_to(marked.epoch()), self.latest(kind).now(kind));
        if put_all(line, marked, |state| dated(kind, state, (from, target), now)) {
            let swept = marked.swept(kind, from, target).0;
            // AcqRel: whoever sees the line in this epoch sees it swept. Relaxed on failure: look again.
            let _ = line.header.compare_exchange(marked.0, swept, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// Brings a line that a bad reading swept to an earlier epoch. What its cells held is lost: they are used up.
    ///
    /// But who is charged in a line that rests in the bad reading's epoch, when the clock has come there, speaks to no
    /// watch; and the clock may step back behind that, and the line be healed as of then. What such a charge left is
    /// kept, as far as an epoch from the present accounts for it: the bad reading's own cannot be told from it.
    ///
    /// A penalty that is in force stays. One that is over may have been put for as long as the bad reading made a count
    /// last, and reads as one of long ago: its key is used up as well, or the penalty would be a pardon.
    fn sweep_back<K: Layout>(&self, kind: &K, line: &CacheLine, marked: Header, target: Epoch) {
        let latest_moment = self.latest(kind);
        let at = latest(target.start, latest_moment.evicting(target));
        // As of the earliest reading that will find the line at rest there, and so knows of no later moment: what is
        // too far ahead of that one would be taken for over.
        let since_ns = kind.ns(latest_moment.tick.wrapping_sub(target.start).wrapping_add(1));
        let start_ns = latest_moment.ns.saturating_sub(since_ns);
        let now = Now::new(start_ns, target.start);
        let stays = |state: u64| state & PENALTY != 0 && later(kind.free_at(state, now), at);
        let lost = Lost { from: target.ahead_to(marked.epoch()), target, used_up: kind.used_up(at), now };
        if put_all(line, marked, |state| (!stays(state)).then(|| lost.left_of(kind, state))) {
            // Which keys of the line went to the sketch, a bad epoch's sweep has forgotten.
            let swept = marked.swept(kind, target, target);
            let swept = swept.spilled().unwrap_or(swept).0;
            // AcqRel and Relaxed: as in `sweep_on`.
            let _ = line.header.compare_exchange(marked.0, swept, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// A state that is used up as of the latest moment, in the sketch or a cell: what a bad reading left there is lost.
    pub(super) fn used_up<K: Layout>(&self, kind: &K) -> (Epoch, u64) {
        let latest = self.latest(kind);
        (latest.epoch, kind.used_up(latest.tick))
    }
}

/// What becomes of the states of a line that is swept back.
struct Lost {
    /// The line's own epoch, a bad reading's.
    from: Epoch,
    target: Epoch,
    /// What was used up as of the present.
    used_up: u64,
    /// The start of the target.
    now: Now,
}

impl Lost {
    /// As used up, or for as long as a charge in the line's own epoch made it, if that is no more than an epoch longer.
    /// Of a line so far ahead that its states cannot be read next to both epochs, or that it was [never
    /// right](MOST_KNOWN), nothing is known. So whoever does it
    /// again finds what was put by another, and leaves it.
    fn left_of<K: Layout>(&self, kind: &K, state: u64) -> u64 {
        let used_up = kind.free_at(self.used_up, self.now);
        let known = self.from.since(self.target) <= kind.back().min(MOST_KNOWN) && state & PENALTY == 0;
        let own = kind.free_at(state, Now { near: self.from.start, ..self.now });
        if !known || !later(own, used_up) {
            return self.used_up;
        }
        let most = [used_up.wrapping_add(1 << kind.epoch_bits()), kind.last_free(self.target)];
        let most = if later(most[0], most[1]) { most[1] } else { most[0] };
        let kept = if later(own, most) { kind.fresh(most) } else { state };
        kind.merge(kept, self.used_up, self.now)
    }
}

/// Marks a line that is to be swept. False: somebody else was faster, or an insertion; look again.
fn mark(line: &CacheLine, header: Header, sweep: Sweep) -> bool {
    let marked = header.marked(sweep).0;
    // AcqRel: before any cell is dated. Relaxed on failure: nothing was done.
    line.header.compare_exchange(header.0, marked, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

/// Puts what `to` makes of each state of a marked line, where it makes anything of it. False: the line is no longer
/// marked so, or too many races were lost; look again.
fn put_all(line: &CacheLine, marked: Header, to: impl Fn(u64) -> Option<u64>) -> bool {
    line.cells.iter().all(|word| {
        for _ in 0..TRIES {
            #[cfg(all(test, not(loom)))]
            halfway::call();
            // Acquire: see `CacheLine::find`.
            let found = word.load(Ordering::Acquire);
            // Acquire: read after the cell, which so is one of before the sweep's end: what is charged after it is
            // published with it.
            if line.header.load(Ordering::Acquire) != marked.0 {
                return false;
            }
            let Some(state) = to(cell::state(found)).filter(|_| found != 0) else { return true };
            let put = cell::pack(cell::tag(found), state);
            // AcqRel: after the mark; as any exchange of a cell. Relaxed on failure: its key came back, or somebody
            // helped.
            if put == found || word.compare_exchange(found, put, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return true;
            }
        }
        false
    })
}

/// What a state of a line is once the line was swept from one epoch to another; `None` is the same. A penalty's end has
/// a longer reach than others, but not for ever.
pub(super) fn dated<K: Layout>(kind: &K, state: u64, (from, target): (Epoch, Epoch), now: Now) -> Option<u64> {
    let floor = target.back(kind.back()).start;
    let over = later(floor, kind.free_at(state, Now { near: from.start, ..now }));
    over.then(|| kind.raise(state, floor))
}

/// The cell to give away: an empty one, else the one that has been free for longest.
pub(super) fn victim<K: Layout>(kind: &K, line: &CacheLine, evict: u64, now: Now) -> Option<usize> {
    let mut best = None;
    for (index, word) in line.cells.iter().enumerate() {
        // Acquire: see `CacheLine::find`.
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

/// What a test does in the middle of a sweep, in the thread that sweeps: as others would that come between, or its
/// death.
#[cfg(all(test, not(loom)))]
pub(super) mod halfway {
    use std::cell::RefCell;

    type Act = Box<dyn FnMut()>;
    std::thread_local!(static ACT: RefCell<Option<Act>> = const { RefCell::new(None) });

    /// From now on, at every step of a sweep of this thread.
    pub(in super::super) fn set(act: impl FnMut() + 'static) {
        ACT.with(|own| own.replace(Some(Box::new(act))));
    }

    pub(in super::super) fn clear() {
        ACT.with(RefCell::take);
    }

    /// Not within itself, and no more once it has panicked.
    pub(super) fn call() {
        if let Some(mut act) = ACT.with(RefCell::take) {
            act();
            ACT.with(|own| own.replace(Some(act)));
        }
    }
}
