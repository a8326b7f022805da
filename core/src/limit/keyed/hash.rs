//! Keys as 64 bits under a secret.

use crate::memory::Room;
use ahash::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A key's place in a table: nobody can choose keys that collide without the secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    /// 24 bits that tell keys of one line apart; never 0, which means an empty cell.
    #[inline]
    pub(super) fn tag(self) -> u64 {
        (self.0 & 0xFF_FFFF).max(1)
    }

    /// A place among `count`, by the high bits (D. Lemire's multiply-shift reduction).
    #[inline]
    pub(super) fn line(self, count: usize) -> usize {
        ((u128::from(self.0) * count as u128) >> 64) as usize
    }

    #[cfg(all(test, loom))]
    pub(super) fn of_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// The secret of one limiter.
#[derive(Clone, Debug)]
pub(super) struct KeyHasher(RandomState);

impl KeyHasher {
    /// For the object that is about to be laid out in this room: in an arena the same in all processes, and another for each place.
    pub(super) fn of(room: &Room) -> Self {
        #[cfg(not(loom))]
        if let Some(arena) = room.arena() {
            return Self::of_secret(arena.secret(), room.next() as u64);
        }
        let _ = room;
        // std's seeds come from the system's generator, and differ for each object.
        Self::derived(&std::hash::RandomState::new(), 0)
    }

    #[cfg(not(loom))]
    fn of_secret([a, b, c, d]: [u64; 4], place: u64) -> Self {
        Self::derived(&RandomState::with_seeds(a, b, c, d), place)
    }

    fn derived(secret: &impl BuildHasher, place: u64) -> Self {
        let seed = |lane: u64| {
            let mut hasher = secret.build_hasher();
            hasher.write_u64(place);
            hasher.write_u64(lane);
            hasher.finish()
        };
        Self(RandomState::with_seeds(seed(0), seed(1), seed(2), seed(3)))
    }

    /// Tells limiters apart: two that hash alike are the same object of an arena.
    pub(super) fn identity(&self) -> u64 {
        self.hash(b"tidegate").0
    }

    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> KeyHash {
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        KeyHash(hasher.finish())
    }
}

/// What a fixed text hashes to under an arena's secret. Builds for which it differs (the hash depends on the CPU features that a
/// build may use) would look for one key in different places.
#[cfg(not(loom))]
pub(crate) fn hash_of_text(secret: [u64; 4]) -> u64 {
    KeyHasher::of_secret(secret, 0).hash(b"the tide gate lets the river out").0
}
