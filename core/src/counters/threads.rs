//! Which stripe the calling thread has: one of the process's, and one of each arena in which it counts.

use super::lease;
use super::{OWNED, SHARED};
use crate::memory::Backing;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::sys::{ChildHook, generation};
use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};

/// Stripes that a thread remembers at once: the process's, and those of so many arenas less one. More only cost a
/// search.
const REMEMBERED: usize = 8;
const UNKNOWN: u64 = u64::MAX;
/// Numbers that each arena has for its stripes.
const NUMBERS: u64 = 128;
/// Stripes with an owner that shared memory can have.
pub(crate) const MOST_OWNED: usize = NUMBERS as usize - SHARED;

const _: () = assert!(OWNED + SHARED <= NUMBERS as usize);

thread_local! {
    /// Without a destructor, so that reading it is one load. What an arena's `base` is added to, so that the stripe of
    /// another is out of every range.
    static KNOWN: [Cell<u64>; REMEMBERED] = const { [const { Cell::new(UNKNOWN) }; REMEMBERED] };
    static OF_PROCESS: OfProcess = OfProcess::claim();
    static OF_ARENAS: RefCell<Vec<OfArena>> = const { RefCell::new(Vec::new()) };
}

/// Where the calling thread's stripe of some memory is to be found.
#[derive(Debug)]
pub(super) struct StripeLookup {
    place: usize,
    base: u64,
    backing: Option<Arc<dyn Backing>>,
}

impl StripeLookup {
    /// Memory of this process.
    pub(super) fn process() -> Self {
        Self { place: 0, base: 0, backing: None }
    }

    /// Shared memory.
    pub(super) fn shared(backing: &Arc<dyn Backing>) -> Self {
        let number = backing.stripe_owners().number();
        let place = 1 + (number % (REMEMBERED as u64 - 1)) as usize;
        Self { place, base: number * NUMBERS, backing: Some(backing.clone()) }
    }

    /// The calling thread's stripe, or a number beyond all stripes if it has none yet.
    #[inline]
    pub(super) fn known(&self) -> usize {
        KNOWN.with(|known| known[self.place % REMEMBERED].get()).wrapping_sub(self.base) as usize
    }

    /// The calling thread's stripe: one that it owns, or, from the number of owned stripes on, one that it shares.
    pub(super) fn stripe(&self) -> usize {
        let known = self.known();
        if known < NUMBERS as usize {
            return known;
        }
        // A thread that is past its destructors owns nothing any more.
        let stripe = match &self.backing {
            None => OF_PROCESS.try_with(|lease| lease.0).unwrap_or(OWNED),
            Some(backing) => OF_ARENAS
                .try_with(|leases| self.among(&mut leases.borrow_mut(), backing))
                .unwrap_or_else(|_| share(owned(&**backing), 0)),
        };
        self.remember(stripe);
        stripe
    }

    fn remember(&self, stripe: usize) {
        KNOWN.with(|known| known[self.place].set(self.base + stripe as u64));
    }

    #[cold]
    fn among(&self, leases: &mut Vec<OfArena>, backing: &Arc<dyn Backing>) -> usize {
        leases.retain(OfArena::is_good);
        if let Some(lease) = leases.iter().find(|lease| lease.home.base == self.base) {
            return lease.stripe;
        }
        let lease = OfArena::claim(backing);
        let stripe = lease.stripe;
        leases.push(lease);
        stripe
    }
}

/// Stripes with an owner.
fn owned(backing: &dyn Backing) -> usize {
    backing.stripe_owners().words().len()
}

/// One of `SHARED` after the `owned`.
fn share(owned: usize, slot: usize) -> usize {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Relaxed: any number will do.
    owned + (slot + NEXT.fetch_add(1, Ordering::Relaxed) as usize) % SHARED
}

/// One bit per owned stripe of the process.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// The thread's stripe in memory of the process.
struct OfProcess(usize);

impl OfProcess {
    fn claim() -> Self {
        FORGET.register();
        // Relaxed: only a first guess for the exchange below.
        let mut taken = TAKEN.load(Ordering::Relaxed);
        loop {
            let free = taken.trailing_ones() as usize;
            if free >= OWNED {
                return Self(share(OWNED, 0));
            }
            // Acquire: pairs with the release of the previous owner of this stripe.
            match TAKEN.compare_exchange_weak(taken, taken | 1 << free, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Self(free),
                Err(now) => taken = now,
            }
        }
    }
}

impl Drop for OfProcess {
    fn drop(&mut self) {
        // What this thread still counts after this goes to a shared stripe.
        StripeLookup::process().remember(OWNED + self.0 % SHARED);
        if self.0 < OWNED {
            // Release: the next owner's first load sees this thread's last store.
            TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
        }
    }
}

/// The thread's stripe in an arena.
struct OfArena {
    home: StripeLookup,
    backing: Weak<dyn Backing>,
    generation: u32,
    stripe: usize,
    /// What stands in the owner's word; 0: shared.
    mark: u64,
}

impl OfArena {
    fn claim(backing: &Arc<dyn Backing>) -> Self {
        FORGET.register();
        let owners = backing.stripe_owners();
        let take = |mark| lease::claim(owners.words(), mark, |other| owners.is_gone(other));
        let owned = owners.mark().and_then(|mark| {
            let owned = take(mark).or_else(|| {
                owners.reap();
                take(mark)
            });
            owned.map(|stripe| (stripe, mark))
        });
        let (stripe, mark) = owned.unwrap_or_else(|| (share(owners.words().len(), std::process::id() as usize), 0));
        let home = StripeLookup { backing: None, ..StripeLookup::shared(backing) };
        Self { home, backing: Arc::downgrade(backing), generation: generation(), stripe, mark }
    }

    /// Not of a parent before a fork, nor of an arena that was closed: its slot was given back, and its stripes with
    /// it.
    fn is_good(&self) -> bool {
        self.generation == generation() && self.backing.strong_count() > 0
    }
}

impl Drop for OfArena {
    fn drop(&mut self) {
        if self.mark == 0 || self.generation != generation() {
            return;
        }
        if let Some(backing) = self.backing.upgrade() {
            // What this thread still counts after this goes to a shared stripe.
            self.home.remember(share(owned(&*backing), 0));
            if let Some(owner) = backing.stripe_owners().words().get(self.stripe) {
                lease::give_back(owner, self.mark);
            }
        }
    }
}

static FORGET: ChildHook = ChildHook(forget);

/// In a child of fork, by its one thread: the parent's other threads are not in it, and in arenas nothing is the
/// child's.
fn forget(_before: u32, _own: u32) {
    KNOWN.with(|known| {
        let own = known[0].get() as usize;
        // Relaxed: the child has one thread.
        TAKEN.store(if own < OWNED { 1 << own } else { 0 }, Ordering::Relaxed);
        known[1..].iter().for_each(|known| known.set(UNKNOWN));
    });
}

/// A small number that differs between threads where it can, for picking a stripe of something else.
#[inline]
pub(crate) fn thread_hint() -> usize {
    StripeLookup::process().stripe()
}

/// Each arena of this process, also one opened again, has another.
pub(crate) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only different for each.
    NEXT.fetch_add(1, Ordering::Relaxed)
}
