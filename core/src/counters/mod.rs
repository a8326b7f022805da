//! Counters that cost a decision about a nanosecond: each thread adds to a stripe that it alone writes.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

mod lease;
#[cfg(not(loom))]
mod threads;

#[cfg(not(loom))]
pub(crate) use threads::{MOST_OWNED, next_number, thread_hint};

use crate::ConfigError;
use crate::memory::{ObjectAllocator, SharedSlice, Zeroable};
use crate::sync::{AtomicU64, Ordering};
use std::fmt;
use std::sync::Arc;
#[cfg(not(loom))]
use threads::StripeLookup;

/// Stripes of a process with one writer each; threads beyond them share the other half. Shared memory has more owned
/// ones.
const OWNED: usize = 16;
const SHARED: usize = 16;
/// Stripes of one set of many.
const FEW: usize = 4;

/// A set of `LANES` event counters, spread over stripes so that counting threads do not share cache lines.
pub(crate) struct Striped<const LANES: usize> {
    owned: SharedSlice<Stripe<LANES>>,
    shared: SharedSlice<Stripe<LANES>>,
    home: StripeLookup,
}

#[repr(C, align(64))]
struct Stripe<const LANES: usize>([AtomicU64; LANES]);

// SAFETY: atomics only.
unsafe impl<const LANES: usize> Zeroable for Stripe<LANES> {
    #[cfg(loom)]
    fn blank() -> Self {
        Self(Zeroable::blank())
    }
}

impl<const LANES: usize> Striped<LANES> {
    /// Where the room is. Two parts.
    pub(crate) fn in_room(room: &mut ObjectAllocator) -> Result<Self, ConfigError> {
        #[cfg(not(loom))]
        if let Some(backing) = room.backing() {
            let (home, stripes) = (StripeLookup::shared(backing), backing.stripe_owners().words().len());
            let owned = room.cells(stripes)?;
            return Ok(Self { owned, shared: room.cells(SHARED)?, home });
        }
        Ok(Self { owned: room.cells(OWNED)?, shared: room.cells(SHARED)?, home: StripeLookup::process() })
    }

    /// Of many sets: `at` in `all`. Threads share its few stripes. Panics beyond the end of `all`.
    pub(crate) fn of(all: &StripedRows<LANES>, at: usize) -> Self {
        let part = |at, len| all.0.part(at, len);
        Self { owned: part(0, 0), shared: part(at * FEW, FEW), home: StripeLookup::process() }
    }

    /// Adds `n` to counter `lane` in the calling thread's stripe.
    #[inline]
    pub(crate) fn add(&self, lane: usize, n: u64) {
        if let Some(stripe) = self.owned.get(self.home.known()) {
            let counter = &stripe.0[lane];
            // Relaxed, and load + store instead of an atomic add: nobody else writes this stripe while this thread owns
            // it.
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        } else {
            self.add_unowned(lane, n);
        }
    }

    /// Adds 1 to counter `lane`, and tells what the calling thread's stripe has then: for what is done each so many
    /// times. `None`, and nothing added: it has none of its own, so [`bump_unowned`](Self::bump_unowned) it.
    #[inline]
    pub(crate) fn bump(&self, lane: usize) -> Option<u64> {
        let counter = &self.owned.get(self.home.known())?.0[lane];
        // Relaxed, and load + store: as `add`.
        let count = counter.load(Ordering::Relaxed).wrapping_add(1);
        counter.store(count, Ordering::Relaxed);
        Some(count)
    }

    /// As [`bump`](Self::bump), for a thread's first count, and for threads beyond those that own a stripe.
    pub(crate) fn bump_unowned(&self, lane: usize) -> u64 {
        self.add_unowned(lane, 1)
    }

    /// For a thread's first count, and for threads beyond those that own a stripe.
    #[inline(never)]
    fn add_unowned(&self, lane: usize, n: u64) -> u64 {
        let stripe = self.home.stripe();
        let stripe =
            self.owned.get(stripe).unwrap_or_else(|| &self.shared[(stripe - self.owned.len()) % self.shared.len()]);
        // Relaxed: a statistic orders nothing. An atomic add is right for an owned stripe as well.
        stripe.0[lane].fetch_add(n, Ordering::Relaxed).wrapping_add(n)
    }

    /// Starts again at 0; what others add meanwhile may be lost.
    pub(crate) fn clear(&self) {
        let stripes = self.owned.iter().chain(self.shared.iter());
        // Relaxed: a statistic orders nothing.
        stripes.flat_map(|stripe| &stripe.0).for_each(|counter| counter.store(0, Ordering::Relaxed));
    }

    /// The sum over all threads; exact once they are quiet.
    pub(crate) fn sum(&self, lane: usize) -> u64 {
        let stripes = self.owned.iter().chain(self.shared.iter());
        // Relaxed: a statistic orders nothing.
        stripes.fold(0, |sum, stripe| sum.wrapping_add(stripe.0[lane].load(Ordering::Relaxed)))
    }
}

/// Room for many sets of counters, each with few stripes.
pub(crate) struct StripedRows<const LANES: usize>(Arc<SharedSlice<Stripe<LANES>>>);

impl<const LANES: usize> StripedRows<LANES> {
    /// For `count` sets.
    pub(crate) fn in_room(room: &mut ObjectAllocator, count: usize) -> Result<Self, ConfigError> {
        room.cells(count * FEW).map(Arc::new).map(Self)
    }
}

impl<const LANES: usize> fmt::Debug for Striped<LANES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((0..LANES).map(|lane| self.sum(lane))).finish()
    }
}

/// Under loom every thread shares: the models are about the primitives, and their threads do not outlive an execution.
#[cfg(loom)]
struct StripeLookup;

#[cfg(loom)]
impl StripeLookup {
    fn process() -> Self {
        Self
    }

    fn known(&self) -> usize {
        OWNED
    }

    fn stripe(&self) -> usize {
        OWNED
    }
}

#[cfg(loom)]
pub(crate) fn thread_hint() -> usize {
    OWNED
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use crate::arena::layout::{OBJECTS_AT, STRIPES};
    use crate::memory::StripeOwners;
    use std::sync::Arc;

    #[test]
    fn counts_of_many_short_threads_are_all_there() {
        let counter = Striped::<2>::in_room(&mut ObjectAllocator::of_process(false)).expect("memory");
        for _ in 0..4 {
            std::thread::scope(|scope| {
                for _ in 0..40 {
                    scope.spawn(|| (0..1000).for_each(|_| counter.add(1, 2)));
                }
            });
        }
        assert_eq!((counter.sum(0), counter.sum(1)), (0, 4 * 40 * 1000 * 2));
    }

    fn arena() -> Arc<Arena> {
        Arena::private("stats", 1 << 20, crate::Clock::monotonic()).unwrap()
    }

    fn counter(arena: &Arc<Arena>) -> Striped<2> {
        let mut room = ObjectAllocator::within(arena.clone(), OBJECTS_AT, arena.capacity(), true);
        Striped::in_room(&mut room).unwrap()
    }

    /// Stripes that have an owner.
    fn owned(arena: &Arena) -> usize {
        // Relaxed: the threads are quiet.
        arena.words().iter().filter(|owner| owner.load(Ordering::Relaxed) != 0).count()
    }

    #[test]
    fn threads_give_their_stripes_of_an_arena_back() {
        let arena = arena();
        let counter = counter(&arena);
        for _ in 0..4 {
            std::thread::scope(|scope| {
                for _ in 0..100 {
                    scope.spawn(|| (0..1000).for_each(|_| counter.add(1, 2)));
                }
            });
        }
        assert_eq!((counter.sum(0), counter.sum(1)), (0, 4 * 100 * 1000 * 2));
        // A scope ends before the destructors of its threads do.
        while owned(&arena) > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_thread_counts_in_more_arenas_than_it_remembers() {
        let arenas: Vec<_> = (0..20).map(|_| arena()).collect();
        let counters: Vec<_> = arenas.iter().map(counter).collect();
        let of_process = Striped::<1>::in_room(&mut ObjectAllocator::of_process(false)).expect("memory");
        for _ in 0..3 {
            counters.iter().for_each(|counter| counter.add(0, 1));
            of_process.add(0, 1);
        }
        assert!(counters.iter().all(|counter| counter.sum(0) == 3));
        assert!(arenas.iter().all(|arena| owned(arena) == 1));
        assert_eq!(of_process.sum(0), 3);
    }

    #[test]
    fn arenas_that_come_and_go_are_told_apart() {
        for _ in 0..50 {
            let arena = arena();
            let counter = counter(&arena);
            counter.add(0, 1);
            assert_eq!((counter.sum(0), owned(&arena)), (1, 1));
        }
    }

    #[test]
    fn stripes_of_the_gone_are_taken_over_with_what_they_hold() {
        let arena = arena();
        let counter = counter(&arena);
        counter.owned.iter().for_each(|stripe| {
            // Relaxed: one thread.
            stripe.0[0].store(5, Ordering::Relaxed);
        });
        let gone = arena.mark().unwrap() + 1;
        for owner in arena.words() {
            // Relaxed: one thread.
            owner.store(gone, Ordering::Relaxed);
        }
        counter.add(0, 1);
        counter.add(0, 1);
        assert_eq!(counter.sum(0), 5 * STRIPES as u64 + 2);
        assert_eq!(counter.home.known(), 0);
    }

    #[test]
    fn without_a_stripe_to_own_threads_share() {
        let arena = arena();
        let counter = counter(&arena);
        for owner in arena.words() {
            // Relaxed: one thread.
            owner.store(arena.mark().unwrap(), Ordering::Relaxed);
        }
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| counter.add(0, 1)));
            }
        });
        assert_eq!(counter.sum(0), 8000);
        assert!(counter.owned.iter().all(|stripe| stripe.0[0].load(Ordering::Relaxed) == 0));
    }
}
