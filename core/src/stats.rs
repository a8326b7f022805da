//! Counters that cost a decision about a nanosecond: each thread adds to a stripe that it alone writes.
#![allow(unsafe_code)] // `unsafe impl Blank` for atomics.

use crate::ConfigError;
use crate::memory::{Blank, Cells, Room};
use crate::sync::{AtomicU64, Ordering};
use std::fmt;

/// Stripes of a process with one writer each; threads beyond them share the other half.
const OWNED: usize = 16;
const SHARED: usize = 16;

/// A set of `LANES` event counters, spread over stripes so that counting threads do not share cache lines.
pub(crate) struct Striped<const LANES: usize> {
    owned: Cells<Stripe<LANES>>,
    shared: Cells<Stripe<LANES>>,
}

#[repr(C, align(64))]
struct Stripe<const LANES: usize>([AtomicU64; LANES]);

// SAFETY: atomics only.
unsafe impl<const LANES: usize> Blank for Stripe<LANES> {
    #[cfg(loom)]
    fn blank() -> Self {
        Self(Blank::blank())
    }
}

impl<const LANES: usize> Striped<LANES> {
    /// Where the room is. Two parts.
    pub(crate) fn in_room(room: &mut Room) -> Result<Self, ConfigError> {
        #[cfg(not(loom))]
        if room.arena().is_some() {
            // Until leases of stripes are there, all share.
            return Ok(Self { owned: room.cells(0)?, shared: room.cells(SHARED)? });
        }
        Ok(Self { owned: room.cells(OWNED)?, shared: room.cells(SHARED)? })
    }

    /// In this process.
    pub(crate) fn new() -> Self {
        Self::in_room(&mut Room::of_process(false)).expect("memory for counters")
    }

    /// Adds `n` to counter `lane` in the calling thread's stripe.
    #[inline]
    pub(crate) fn add(&self, lane: usize, n: u64) {
        if let Some(stripe) = self.owned.get(known_stripe()) {
            let counter = &stripe.0[lane];
            // Relaxed, and load + store instead of an atomic add: nobody else writes this stripe while this thread owns it.
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        } else {
            self.add_unowned(lane, n);
        }
    }

    /// For a thread's first count, and for threads beyond those that own a stripe.
    #[inline(never)]
    fn add_unowned(&self, lane: usize, n: u64) {
        let stripe = stripe();
        let stripe = self.owned.get(stripe).unwrap_or_else(|| &self.shared[stripe % SHARED]);
        // Relaxed: a statistic orders nothing. An atomic add is right for an owned stripe as well.
        stripe.0[lane].fetch_add(n, Ordering::Relaxed);
    }

    /// The sum over all threads; exact once they are quiet.
    pub(crate) fn sum(&self, lane: usize) -> u64 {
        let stripes = self.owned.iter().chain(self.shared.iter());
        // Relaxed: a statistic orders nothing.
        stripes.fold(0, |sum, stripe| sum.wrapping_add(stripe.0[lane].load(Ordering::Relaxed)))
    }
}

impl<const LANES: usize> fmt::Debug for Striped<LANES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((0..LANES).map(|lane| self.sum(lane))).finish()
    }
}

#[cfg(not(loom))]
mod owner {
    use super::{OWNED, SHARED};
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

    /// One bit per owned stripe.
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    static NEXT_SHARED: AtomicUsize = AtomicUsize::new(0);

    const UNKNOWN: usize = usize::MAX;

    thread_local! {
        // Without a destructor, so that reading it is one load.
        static STRIPE: Cell<usize> = const { Cell::new(UNKNOWN) };
        static LEASE: Lease = claim();
    }

    struct Lease(usize);

    impl Drop for Lease {
        fn drop(&mut self) {
            // What this thread still counts after this goes to a shared stripe.
            STRIPE.set(OWNED + self.0 % SHARED);
            if self.0 < OWNED {
                // Release: the next owner's first load sees this thread's last store.
                TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
            }
        }
    }

    fn claim() -> Lease {
        // Relaxed: only a first guess for the exchange below.
        let mut taken = TAKEN.load(Ordering::Relaxed);
        loop {
            let free = taken.trailing_ones() as usize;
            if free >= OWNED {
                // Relaxed: any number will do.
                return Lease(OWNED + NEXT_SHARED.fetch_add(1, Ordering::Relaxed) % SHARED);
            }
            // Acquire: pairs with the release of the previous owner of this stripe.
            match TAKEN.compare_exchange_weak(taken, taken | 1 << free, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Lease(free),
                Err(now) => taken = now,
            }
        }
    }

    /// In a child of fork, by its one thread: whose stripes the parent's other threads had is over.
    pub(crate) fn forget() {
        let own = known_stripe();
        // Relaxed: the child has one thread.
        TAKEN.store(if own < OWNED { 1 << own } else { 0 }, Ordering::Relaxed);
    }

    /// The calling thread's stripe, or a number beyond all stripes if it has none yet.
    #[inline]
    pub(super) fn known_stripe() -> usize {
        STRIPE.get()
    }

    #[inline]
    pub(super) fn stripe() -> usize {
        let stripe = known_stripe();
        if stripe == UNKNOWN { first() } else { stripe }
    }

    #[cold]
    fn first() -> usize {
        // A thread that is past its destructors never claims again.
        let stripe = LEASE.try_with(|lease| lease.0).unwrap_or(OWNED);
        STRIPE.set(stripe);
        stripe
    }
}

#[cfg(not(loom))]
pub(crate) use owner::forget;
#[cfg(not(loom))]
use owner::{known_stripe, stripe};

/// Under loom every thread shares: the models are about the primitives, and their threads do not outlive an execution.
#[cfg(loom)]
fn stripe() -> usize {
    OWNED
}

#[cfg(loom)]
use stripe as known_stripe;

/// A small number that differs between threads where it can, for picking a stripe of something else.
#[inline]
pub(crate) fn thread_hint() -> usize {
    stripe()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn counts_of_many_short_threads_are_all_there() {
        let counter = Striped::<2>::new();
        for _ in 0..4 {
            std::thread::scope(|scope| {
                for _ in 0..40 {
                    scope.spawn(|| (0..1000).for_each(|_| counter.add(1, 2)));
                }
            });
        }
        assert_eq!((counter.sum(0), counter.sum(1)), (0, 4 * 40 * 1000 * 2));
    }
}
