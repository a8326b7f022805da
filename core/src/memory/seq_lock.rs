//! A few words that change together: written under a lock, read without one.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::Zeroable;
use crate::sync::{AtomicU64, Ordering, fence};

const SETS: usize = 4;
/// Lost races after which a reader takes what it has: foreign bytes must not keep it for ever.
const PATIENCE: usize = 100;

/// The latest of some sets of words. A writer fills the set after the present one, then names it; who dies in between
/// has changed nothing.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct SeqLock<const N: usize> {
    /// How many were written; the present one is at this number modulo `SETS`.
    written: AtomicU64,
    sets: [[AtomicU64; N]; SETS],
}

// SAFETY: atomics only.
unsafe impl<const N: usize> Zeroable for SeqLock<N> {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { written: AtomicU64::new(0), sets: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))) }
    }
}

impl<const N: usize> SeqLock<N> {
    /// Only under the lock of what it belongs to.
    pub(crate) fn write(&self, words: [u64; N]) {
        // Relaxed: only who holds the lock writes it.
        let next = self.written.load(Ordering::Relaxed).wrapping_add(1);
        // Release: a reader that sees a word of the new set sees that the set before it was named.
        fence(Ordering::Release);
        for (word, value) in self.sets[next as usize % SETS].iter().zip(words) {
            // Relaxed: published by `written`.
            word.store(value, Ordering::Relaxed);
        }
        // Release: who reads the number sees the set.
        self.written.store(next, Ordering::Release);
    }

    /// The words, all of one write.
    pub(crate) fn read(&self) -> [u64; N] {
        let mut words = [0; N];
        for _ in 0..PATIENCE {
            // Acquire: pairs with the release of the write.
            let written = self.written.load(Ordering::Acquire);
            let set = &self.sets[written as usize % SETS];
            // Relaxed: checked below.
            words = std::array::from_fn(|i| set[i].load(Ordering::Relaxed));
            // Acquire: the load below is not before those above.
            fence(Ordering::Acquire);
            // Relaxed: ordered by the fence. A set is written again only after the next three were named.
            if self.written.load(Ordering::Relaxed).wrapping_sub(written) < SETS as u64 - 1 {
                break;
            }
        }
        words
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::memory::ObjectAllocator;

    #[test]
    fn readers_see_words_of_one_write() {
        let latest = ObjectAllocator::of_process(false).one::<SeqLock<3>>().unwrap();
        assert_eq!(latest.read(), [0; 3]);
        std::thread::scope(|scope| {
            scope.spawn(|| (1..20_000_u64).for_each(|i| latest.write([i, i * 2, i * 3])));
            for _ in 0..20_000 {
                let [a, b, c] = latest.read();
                assert_eq!((b, c), (a * 2, a * 3));
            }
        });
        assert_eq!(latest.read()[0], 19_999);
    }
}
