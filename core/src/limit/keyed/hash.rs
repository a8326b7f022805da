//! Keys as 64 bits under a secret.

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
    /// A new secret from the operating system.
    pub(super) fn random() -> Self {
        // std's seeds come from the system's generator, and differ for each object.
        let seed = |lane: u64| {
            let mut hasher = std::hash::RandomState::new().build_hasher();
            hasher.write_u64(lane);
            hasher.finish()
        };
        Self(RandomState::with_seeds(seed(0), seed(1), seed(2), seed(3)))
    }

    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> KeyHash {
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        KeyHash(hasher.finish())
    }
}
