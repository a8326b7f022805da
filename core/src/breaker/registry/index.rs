//! From a key's hash to a place: chains of places, read without a lock, written under one.
//!
//! An entry is one word, `used:1 | place:19 | incarnation:20 | tag:24`, high to low; of each place it says which entry
//! follows. Newcomers come first, and who leaves is passed by with one store, so no step leaves a chain broken. A
//! reader who stands at a place that has changed hands finds its incarnation changed and begins again; otherwise it
//! misses nothing that stands in the chain all the while.

use super::shelf::MAX_PLACES;
use crate::ConfigError;
use crate::hash::place;
use crate::memory::{ObjectAllocator, SharedSlice};
use crate::sync::{AtomicU64, Ordering};

const NONE: u64 = 0;
const USED: u64 = 1 << 63;
const TAG_MASK: u64 = (1 << 24) - 1;
const INCARNATION_SHIFT: u32 = 24;
const INCARNATION_MASK: u64 = (1 << 20) - 1;
const PLACE_SHIFT: u32 = 44;
const PLACE_MASK: u64 = (1 << 19) - 1;
/// How often a reader begins again: foreign bytes must not keep it for ever.
const PATIENCE: usize = 64;

const _: () = assert!(MAX_PLACES as u64 <= PLACE_MASK);

#[derive(Debug)]
pub(super) struct Index {
    /// The first entry of each chain.
    chains: SharedSlice<AtomicU64>,
    /// Of each place the entry that follows it.
    next: SharedSlice<AtomicU64>,
}

/// Who stands where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u64);

impl Entry {
    fn new(hash: u64, place: usize, incarnation: u64) -> Self {
        Self(
            USED | (place as u64 & PLACE_MASK) << PLACE_SHIFT
                | (incarnation & INCARNATION_MASK) << INCARNATION_SHIFT
                | hash & TAG_MASK,
        )
    }

    /// From shared memory: to be checked.
    #[inline]
    pub(super) fn place(self) -> usize {
        (self.0 >> PLACE_SHIFT & PLACE_MASK) as usize
    }

    #[inline]
    pub(super) fn is_of(self, incarnation: u64) -> bool {
        (self.0 >> INCARNATION_SHIFT ^ incarnation) & INCARNATION_MASK == 0
    }
}

impl Index {
    /// For so many places.
    pub(super) fn in_room(room: &mut ObjectAllocator, places: usize) -> Result<Self, ConfigError> {
        Ok(Self { chains: room.cells((2 * places).next_power_of_two())?, next: room.cells(places)? })
    }

    #[inline]
    fn chain(&self, hash: u64) -> &AtomicU64 {
        &self.chains[place(hash, self.chains.len())]
    }

    /// The first that `is_it` says something of, among those that may be the key's. `incarnation`: of a place.
    #[inline]
    pub(super) fn find<T>(
        &self,
        hash: u64,
        incarnation: impl Fn(usize) -> u64,
        mut is_it: impl FnMut(Entry) -> Option<T>,
    ) -> Option<T> {
        'again: for _ in 0..PATIENCE {
            // Acquire: pairs with the release of `insert`, so that the place is seen as it was when it was named.
            let mut entry = self.chain(hash).load(Ordering::Acquire);
            for _ in 0..=self.next.len() {
                if entry == NONE {
                    return None;
                }
                let found = Entry(entry);
                if (entry ^ hash) & TAG_MASK == 0
                    && let Some(it) = is_it(found)
                {
                    return Some(it);
                }
                // Acquire: as above; and an entry that follows the place's next incarnation is seen with that.
                let next = self.next.get(found.place())?.load(Ordering::Acquire);
                if !found.is_of(incarnation(found.place())) {
                    continue 'again;
                }
                entry = next;
            }
            // A circle: foreign bytes.
            return None;
        }
        None
    }

    /// Under the lock.
    pub(super) fn insert(&self, hash: u64, place: usize, incarnation: u64) {
        let chain = self.chain(hash);
        // Relaxed: only who holds the lock writes. Release, both: publish the place.
        self.next[place].store(chain.load(Ordering::Relaxed), Ordering::Release);
        chain.store(Entry::new(hash, place, incarnation).0, Ordering::Release);
    }

    /// Takes away what names the place. Under the lock.
    pub(super) fn remove(&self, hash: u64, place: usize) {
        let mut at = self.chain(hash);
        for _ in 0..=self.next.len() {
            // Relaxed, both loads: only who holds the lock writes.
            let entry = at.load(Ordering::Relaxed);
            let Some(next) = self.next.get(Entry(entry).place()).filter(|_| entry != NONE) else { return };
            if Entry(entry).place() == place {
                // Release: who passes it by sees what follows.
                at.store(next.load(Ordering::Relaxed), Ordering::Release);
                return;
            }
            at = next;
        }
    }

    /// All of its words.
    #[cfg(all(test, not(loom)))]
    pub(super) fn words(&self) -> impl Iterator<Item = &AtomicU64> {
        self.chains.iter().chain(self.next.iter())
    }
}
