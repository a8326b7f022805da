//! Keys as 64 bits under a secret.

#[cfg(not(test))]
use crate::hash::random_secret as secret;
use crate::hash::{HashOfKeys, place};
use crate::memory::ObjectAllocator;

/// A key's place in a table: nobody can choose keys that collide without the secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    /// 24 bits that tell keys of one line apart; never 0, which means an empty cell.
    #[inline]
    pub(super) fn tag(self) -> u64 {
        (self.0 & 0xFF_FFFF).max(1)
    }

    /// A line among `count`.
    #[inline]
    pub(super) fn line(self, count: usize) -> usize {
        place(self.0, count)
    }

    /// All of it.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// From [`bits`](Self::bits); any number is some key's.
    pub(crate) fn of_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// The hash under the secret of one limiter.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyHasher(HashOfKeys);

impl KeyHasher {
    /// For the object that is about to be laid out in this room: in an arena the same in all processes, and another for
    /// each place.
    pub(super) fn of(room: &ObjectAllocator) -> Self {
        #[cfg(not(loom))]
        if let Some(arena) = crate::Arena::of(room) {
            return Self(HashOfKeys::derived(arena.secret(), room.next() as u64));
        }
        let _ = room;
        Self(HashOfKeys::derived(secret(), 0))
    }

    /// Tells limiters apart: two that hash alike are the same object of an arena.
    pub(super) fn identity(&self) -> u64 {
        self.0.hash(b"tidegate")
    }

    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> KeyHash {
        KeyHash(self.0.hash(key))
    }
}

/// The same for the nth limiter of each thread, which is each test: else keys would share a level in one run of many.
#[cfg(test)]
fn secret() -> crate::hash::Secret {
    std::thread_local!(static MADE: std::cell::Cell<u64> = const { std::cell::Cell::new(0) });
    MADE.with(|made| [0x7469_6465_6761_7465, made.replace(made.get() + 1)])
}
