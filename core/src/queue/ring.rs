//! The ring of slots: a bounded multi-producer, multi-consumer queue without locks.
//!
//! D. Vyukov's bounded MPMC queue, as in crossbeam's `ArrayQueue`: each slot's stamp says for which claim it is ready.
//! Stamp = n: free for the push number n; n + 1: holds item n; n + slots: free again, for the next lap. Different from
//! both: the number of slots is a power of two not tied to the capacity, and the tail carries the close and the
//! hysteresis.
//!
//! A fork copies claims of threads that are not in the child: nobody there will publish them. So every operation first
//! looks whether the ring is this process's, and the first one in a child puts the copy in order (`ring_fork.rs`). The
//! same look tells whether items are judged by rules: `push` and `pop` of a queue without rules are no longer for them.
#![allow(unsafe_code)] // Items move in and out of uninitialised slots; the stamps say who owns which.

use super::config::CAPACITY;
use super::error::{PopError, PushError, PushErrorKind};
use super::judge::{DropReason, NEVER, Times};
use super::marks::{Marks, ONE, REJECTING, WAITING, sequence};
use super::state::{Interest, QueueState};
use crate::ConfigError;
use crate::counters::Striped;
use crate::memory::{ObjectAllocator, boxed};
use crate::sync::{Arc, AtomicU64, Backoff, Ordering, UnsafeCell, load_for_cas};
use std::mem::MaybeUninit;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::OnceLock;

#[cfg(not(loom))]
#[path = "ring_fork.rs"]
mod fork;

struct Slot<T> {
    stamp: AtomicU64,
    item: UnsafeCell<MaybeUninit<T>>,
}

/// The slots, and the state that guards them.
pub(super) struct Ring<T> {
    slots: Box<[Slot<T>]>,
    /// When each slot's item was pushed; empty without sojourn times.
    times: Box<[AtomicU64]>,
    /// Deadlines of the slots' items, from the first item on that has one.
    deadlines: OnceLock<Box<[Deadline]>>,
    state: Arc<QueueState>,
    /// The state's, again: read from here they need not be read anew after each atomic.
    marks: Marks,
    /// Of the process in which nothing but a push or a pop is to be done; 0: in none, for items are judged.
    plain: Plain,
    /// Of the process whose claims are all published, or will be.
    #[cfg(not(loom))]
    generation: crate::sync::AtomicU32,
    counts: Striped<COUNTS>,
    #[cfg(not(loom))]
    mending: crate::sys::ForkLock<()>,
}

/// loom need not look at what changes before threads start.
#[cfg(loom)]
type Plain = std::sync::atomic::AtomicU32;
#[cfg(not(loom))]
type Plain = crate::sync::AtomicU32;

/// An item's deadline.
struct Deadline {
    /// One more than the number of the item's push: a slot's later items may have none.
    of: AtomicU64,
    due: AtomicU64,
}

/// The lanes of the counts: refused pushes, and drops by the numbers of their reasons.
pub(super) const REJECTED: usize = 0;
pub(super) const DROPPED: usize = 1;
const COUNTS: usize = DROPPED + DropReason::ALL.len();

// SAFETY: an item is moved in by one thread and out by one, maybe another, and never shared: Send is all it needs.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above; `&Ring` gives out no `&T`, and the stamps make each slot one thread's at a time.
unsafe impl<T: Send> Sync for Ring<T> {}
// No foreign code runs between a claim and its publish, so a panic finds the ring in order.
impl<T> UnwindSafe for Ring<T> {}
impl<T> RefUnwindSafe for Ring<T> {}

impl<T> Ring<T> {
    /// A ring for up to `most` items at once. Errors: no memory, by `capacity` when for so many.
    pub(super) fn new(state: Arc<QueueState>, most: u64, timed: bool, plain: bool) -> Result<Self, ConfigError> {
        let marks = state.marks;
        // At least two, or "holds item n" and "free for n + 1" would be the same stamp; drop-oldest claims its slot
        // before it evicts, so it needs one to spare.
        let slots = (most + u64::from(marks.drop_oldest)).next_power_of_two().max(2);
        Ok(Self {
            times: boxed(&CAPACITY, if timed { slots } else { 0 }, |_| AtomicU64::new(0))?,
            slots: boxed(&CAPACITY, slots, |n| Slot {
                stamp: AtomicU64::new(n),
                item: UnsafeCell::new(MaybeUninit::uninit()),
            })?,
            deadlines: OnceLock::new(),
            state,
            marks,
            plain: Plain::new(if plain { crate::sys::generation() } else { 0 }),
            #[cfg(not(loom))]
            generation: crate::sync::AtomicU32::new(crate::sys::generation()),
            counts: Striped::in_room(&mut ObjectAllocator::of_process(false))?,
            #[cfg(not(loom))]
            mending: crate::sys::ForkLock::default(),
        })
    }

    pub(super) fn state(&self) -> &Arc<QueueState> {
        self.settle();
        &self.state
    }

    /// Whether [`push`](Self::push) and [`pop`](Self::pop) are all there is to do: items are not judged, and this is
    /// the process whose ring it is. If not, `settle` comes before them.
    #[inline(always)]
    pub(super) fn is_plain(&self) -> bool {
        // Acquire: who sees the child's number sees what was put in order.
        self.plain.load(Ordering::Acquire) == crate::sys::generation()
    }

    /// Puts the copy of a child of fork in order, before anything else is done with it.
    #[inline(always)]
    pub(super) fn settle(&self) {
        // Acquire: who sees the child's number sees what was put in order.
        #[cfg(not(loom))]
        if self.generation.load(Ordering::Acquire) != crate::sys::generation() {
            self.mend();
        }
    }

    pub(super) fn counts(&self) -> &Striped<COUNTS> {
        &self.counts
    }

    #[inline(always)]
    fn index(&self, at: u64) -> usize {
        at as usize & (self.slots.len() - 1)
    }

    #[inline(always)]
    fn slot(&self, at: u64) -> &Slot<T> {
        // SAFETY: there is at least one slot, and any number masked by one less than their number is below it.
        unsafe { self.slots.get_unchecked(self.index(at)) }
    }

    /// The common push of a queue without rules, small where it is inlined: a first try with nothing to look after. The
    /// item comes back where there is more to do.
    #[inline(always)]
    pub(super) fn push_at_once(&self, item: T, now: impl FnOnce() -> u64) -> Result<(), T> {
        let tail = load_for_cas(&self.state.tail.word);
        let at = sequence(tail);
        if self.is_plain()
            && tail & (self.marks.refuse | WAITING) == 0
            && self.depth_with(at) < self.marks.slow_path_depth
            && self.is_free(at)
            && self.claim(tail, tail + ONE).is_ok()
        {
            self.fill::<false>(at, item, now, NEVER);
            return Ok(());
        }
        Err(item)
    }

    /// The common pop of a queue without rules, as [`push_at_once`](Self::push_at_once).
    #[inline(always)]
    pub(super) fn pop_at_once<const TIMED: bool>(&self) -> Option<(T, Times)> {
        if !self.is_plain() {
            return None;
        }
        let head = load_for_cas(&self.state.head);
        let taken = self.take::<TIMED>(head)?;
        self.state.popped(head + ONE);
        Some(taken)
    }

    /// Claims a slot, fills it, and wakes a waiting popper. The item that had to go comes back. `now` is called for
    /// sojourn times only.
    pub(super) fn push(&self, item: T, now: impl FnOnce() -> u64) -> Result<Option<T>, PushError<T>> {
        self.push_due::<false>(item, now, NEVER)
    }

    /// [`push`](Self::push) of an item that is dropped once `due` has passed.
    pub(super) fn push_with_deadline(
        &self,
        item: T,
        now: impl FnOnce() -> u64,
        due: u64,
    ) -> Result<Option<T>, PushError<T>> {
        if self.deadlines.get().is_none() {
            let blank = |_| Deadline { of: AtomicU64::new(0), due: AtomicU64::new(NEVER) };
            match boxed(&CAPACITY, self.slots.len() as u64, blank) {
                // Of several at once, one; the others' are dropped.
                Ok(deadlines) => drop(self.deadlines.set(deadlines)),
                // There is no room for it.
                Err(_) => return Err(PushError { item, kind: PushErrorKind::Full }),
            }
        }
        // Release: who finds it finds the deadlines. A pop that has looked before and takes the item takes it as one
        // that came out and was late with its work.
        self.plain.store(0, Ordering::Release);
        self.push_due::<true>(item, now, due)
    }

    #[inline(always)]
    fn push_due<const DUE: bool>(
        &self,
        item: T,
        now: impl FnOnce() -> u64,
        due: u64,
    ) -> Result<Option<T>, PushError<T>> {
        let tail = load_for_cas(&self.state.tail.word);
        let at = sequence(tail);
        if tail & (self.marks.refuse | WAITING) == 0
            && self.depth_with(at) < self.marks.slow_path_depth
            && self.is_free(at)
            && self.claim(tail, tail + ONE).is_ok()
        {
            self.fill::<DUE>(at, item, now, due);
            return Ok(None);
        }
        self.push_with_care::<DUE>(item, now, due)
    }

    /// The depth that claim `at` would bring about, at most.
    #[inline(always)]
    fn depth_with(&self, at: u64) -> u64 {
        // Relaxed: an old head makes the queue look deeper, never emptier, so a claim cannot exceed the capacity.
        at.wrapping_sub(self.state.tail.head_seen.load(Ordering::Relaxed)).wrapping_add(1)
    }

    #[inline(always)]
    fn is_free(&self, at: u64) -> bool {
        // Acquire: pairs with the Release of the pop that emptied the slot.
        self.slot(at).stamp.load(Ordering::Acquire) == at
    }

    #[inline(always)]
    fn claim(&self, tail: u64, next: u64) -> Result<u64, u64> {
        // AcqRel: a close or a drain sees what came before the claims it finds. The word carries closed, rejecting and
        // the announcement of waiting poppers, so none of them can be missed.
        self.state.tail.word.compare_exchange_weak(tail, next, Ordering::AcqRel, Ordering::Acquire)
    }

    /// [`push`](Self::push) near a mark, with waiters, or against others.
    #[cold]
    fn push_with_care<const DUE: bool>(
        &self,
        item: T,
        now: impl FnOnce() -> u64,
        due: u64,
    ) -> Result<Option<T>, PushError<T>> {
        let state = &*self.state;
        let backoff = Backoff::new();
        let mut tail = load_for_cas(&state.tail.word);
        let (at, slow) = loop {
            let at = sequence(tail);
            let mut next = tail + ONE;
            let slow = tail & self.marks.refuse != 0 || self.depth_with(at) >= self.marks.slow_path_depth;
            if slow {
                match self.tail_on_slow_path(tail) {
                    Ok(word) => next = word,
                    Err(Some(kind)) => return Err(PushError { item, kind }),
                    Err(None) => {
                        backoff.spin();
                        tail = load_for_cas(&state.tail.word);
                        continue;
                    }
                }
            }
            if !self.is_free(at) {
                // An old tail, or a pop between its claim and its release of this slot.
                backoff.snooze();
                tail = load_for_cas(&state.tail.word);
                continue;
            }
            match self.claim(tail, next) {
                Ok(_) => break (at, slow),
                Err(current) => {
                    tail = current;
                    backoff.spin();
                }
            }
        };
        self.fill::<DUE>(at, item, now, due);
        if slow || tail & WAITING != 0 {
            return Ok(self.claimed(at, tail));
        }
        Ok(None)
    }

    /// At a mark, maybe: the tail word to set, or why not to (`None`: look again).
    #[cold]
    fn tail_on_slow_path(&self, tail: u64) -> Result<u64, Option<PushErrorKind>> {
        let state = &*self.state;
        if tail & self.marks.refuse != 0 {
            return Err(state.refusal(tail));
        }
        // Relaxed: later than `tail` (whose load was an Acquire), so the depth between them is no more than it was
        // then.
        let head = sequence(state.head.load(Ordering::Relaxed));
        // Relaxed: a hint; an older one that overtakes this one costs another look.
        state.tail.head_seen.store(head, Ordering::Relaxed);
        let depth = sequence(tail).wrapping_sub(head).wrapping_add(1);
        if depth > u64::MAX / 2 {
            // Below zero: the head has overtaken this tail, an old one.
            return Err(None);
        }
        if depth > self.marks.capacity && !self.marks.drop_oldest {
            return Err(Some(PushErrorKind::Full));
        }
        Ok((tail + ONE) | if depth >= self.marks.high { REJECTING } else { 0 })
    }

    /// What a push that found the tail at `tail` has to do after it has filled slot `at`.
    #[cold]
    fn claimed(&self, at: u64, tail: u64) -> Option<T> {
        let oldest = if self.marks.drop_oldest { self.evict(at) } else { None };
        if tail & WAITING != 0 {
            self.state.notify(Interest::Pop, 1);
        }
        oldest
    }

    /// Makes room for claim `at` by taking out the item `capacity` before it, unless a pop does so first. Claims beyond
    /// the capacity evict in their order, each its own, so that what comes back is the oldest as of that push.
    fn evict(&self, at: u64) -> Option<T> {
        let target = at.checked_sub(self.marks.capacity)?;
        let backoff = Backoff::new();
        loop {
            let head = load_for_cas(&self.state.head);
            if sequence(head) > target {
                return None;
            }
            if sequence(head) == target
                && let Some((item, _)) = self.take::<false>(head)
            {
                self.counts.add(DROPPED, 1);
                return Some(item);
            }
            // Another push is between its claim and its publish, or between its claim and its eviction.
            backoff.snooze();
        }
    }

    /// Takes the oldest item with its times (none unless `TIMED`; that of its push only with sojourn times).
    #[inline]
    pub(super) fn pop<const TIMED: bool>(&self) -> Result<(T, Times), PopError> {
        let head = load_for_cas(&self.state.head);
        match self.take::<TIMED>(head) {
            Some(taken) => {
                self.state.popped(head + ONE);
                Ok(taken)
            }
            None => self.pop_with_care::<TIMED>(),
        }
    }

    /// [`pop`](Self::pop) when there may be nothing, or against others.
    #[cold]
    fn pop_with_care<const TIMED: bool>(&self) -> Result<(T, Times), PopError> {
        let backoff = Backoff::new();
        loop {
            let head = load_for_cas(&self.state.head);
            if let Some(taken) = self.take::<TIMED>(head) {
                self.state.popped(head + ONE);
                return Ok(taken);
            }
            if let Some(error) = self.state.emptiness(head) {
                return Err(error);
            }
            backoff.snooze();
        }
    }

    /// Takes the item at `head`, if that is the head and the item is there.
    #[inline(always)]
    fn take<const TIMED: bool>(&self, head: u64) -> Option<(T, Times)> {
        let at = sequence(head);
        let slot = self.slot(at);
        // Acquire: pairs with the Release of the push that filled the slot.
        if slot.stamp.load(Ordering::Acquire) != at + 1 {
            return None;
        }
        // AcqRel: pushers that read the new head see what came before. The word carries the announcement of waiting
        // pushers, so it cannot be missed.
        if self.state.head.compare_exchange(head, head + ONE, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return None;
        }
        // SAFETY: the stamp said that item `at` is in the slot, and the CAS made this thread the only one to take it.
        let item = slot.item.with_mut(|place| unsafe { (*place).assume_init_read() });
        let times = if TIMED { self.times_of(at) } else { Times { pushed: 0, due: NEVER } };
        // Release: the item is out before the push of the next lap sees the slot free.
        slot.stamp.store(at + self.slots.len() as u64, Ordering::Release);
        Some((item, times))
    }

    /// Read between the same Acquire and Release as the item.
    #[inline(always)]
    fn times_of(&self, at: u64) -> Times {
        let index = self.index(at);
        // Relaxed, all: as above.
        let pushed = if self.times.is_empty() { 0 } else { self.times[index].load(Ordering::Relaxed) };
        let deadline = self.deadlines.get().map(|deadlines| &deadlines[index]);
        let due = match deadline {
            Some(deadline) if deadline.of.load(Ordering::Relaxed) == at + 1 => deadline.due.load(Ordering::Relaxed),
            _ => NEVER,
        };
        Times { pushed, due }
    }

    #[inline(always)]
    fn fill<const DUE: bool>(&self, at: u64, item: T, now: impl FnOnce() -> u64, due: u64) {
        let slot = self.slot(at);
        if !self.times.is_empty() {
            // Relaxed: published with the item.
            self.times[self.index(at)].store(now(), Ordering::Relaxed);
        }
        if DUE && let Some(deadlines) = self.deadlines.get() {
            // Relaxed: published with the item.
            let deadline = &deadlines[self.index(at)];
            deadline.due.store(due, Ordering::Relaxed);
            deadline.of.store(at + 1, Ordering::Relaxed);
        }
        // SAFETY: the stamp said that the slot is empty, and the CAS on the tail made this thread the only one to fill
        // it.
        slot.item.with_mut(|place| unsafe { place.write(MaybeUninit::new(item)) });
        // Release: the item is in before a pop sees the stamp.
        slot.stamp.store(at + 1, Ordering::Release);
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        /// Goes on dropping when an item's drop panics, as `Vec` does.
        struct Rest<'a, T>(&'a Ring<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while let Ok(item) = self.0.pop::<false>() {
                    drop(item);
                }
            }
        }
        self.settle();
        let rest = Rest(self);
        while let Ok(item) = rest.0.pop::<false>() {
            drop(item);
        }
    }
}
