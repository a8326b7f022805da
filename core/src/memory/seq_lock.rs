//! A few words that change together: written under a lock, read without one.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::Zeroable;
use crate::sync::{AtomicU64, Ordering, fence};

const SETS: usize = 4;
/// Lost races after which a reader takes what it has: foreign bytes must not keep it for ever.
const PATIENCE: usize = 100;
const VERSION_SHIFT: u32 = 40;
/// What a [`Latest`]'s word carries beside the number of its set.
const PAYLOAD: u64 = (1 << VERSION_SHIFT) - 1;
const VERSIONS: u64 = u64::MAX >> VERSION_SHIFT;

/// A word of a set. In models of what is built on sets, their words are not loom's: the model of this file is about
/// them, and each would be a step in every interleaving of the others.
pub(crate) trait SetWord: Sized + Send + Sync {
    #[cfg(loom)]
    fn blank() -> Self;
    fn get(&self) -> u64;
    fn put(&self, value: u64);
}

impl SetWord for AtomicU64 {
    #[cfg(loom)]
    fn blank() -> Self {
        Self::new(0)
    }

    #[inline]
    fn get(&self) -> u64 {
        // Relaxed: checked by who reads a whole set, see `Sets::read`.
        self.load(Ordering::Relaxed)
    }

    fn put(&self, value: u64) {
        // Relaxed: published by the word that names the set.
        self.store(value, Ordering::Relaxed);
    }
}

#[cfg(loom)]
impl SetWord for std::sync::atomic::AtomicU64 {
    fn blank() -> Self {
        Self::new(0)
    }

    fn get(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }

    fn put(&self, value: u64) {
        self.store(value, Ordering::Relaxed);
    }
}

/// The word that says which set is the present one: `version:24 | payload:40`. It changes only under the lock of what
/// it belongs to.
#[repr(transparent)]
#[derive(Debug)]
pub(crate) struct Latest(pub(crate) AtomicU64);

impl Latest {
    /// The payload of the present set.
    #[inline]
    pub(crate) fn payload(&self) -> u64 {
        // Relaxed: who needs nothing but this takes it as of some moment of the call.
        self.0.load(Ordering::Relaxed) & PAYLOAD
    }

    /// Which set is the present one.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        // Relaxed: a load that is ordered after another one by that one's own Acquire.
        self.0.load(Ordering::Relaxed) >> VERSION_SHIFT
    }
}

/// Sets of words, of which a [`Latest`] names one. A writer fills the set after the present one, then names it; who
/// dies in between has changed nothing.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Sets<const N: usize, W = AtomicU64> {
    sets: [[W; N]; SETS],
}

// SAFETY: atomics only.
unsafe impl<const N: usize, W: SetWord> Zeroable for Sets<N, W> {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { sets: std::array::from_fn(|_| std::array::from_fn(|_| W::blank())) }
    }
}

impl<const N: usize, W: SetWord> Sets<N, W> {
    /// Only under the lock of what it belongs to. `payload`: at most `PAYLOAD`.
    pub(crate) fn write(&self, latest: &Latest, words: [u64; N], payload: u64) {
        // Relaxed: only who holds the lock writes it.
        let next = (latest.0.load(Ordering::Relaxed) >> VERSION_SHIFT).wrapping_add(1) & VERSIONS;
        // Release: a reader that sees a word of the new set sees that the set before it was named.
        fence(Ordering::Release);
        for (word, value) in self.sets[next as usize % SETS].iter().zip(words) {
            word.put(value);
        }
        // Release: who reads the number sees the set.
        latest.0.store(next << VERSION_SHIFT | payload & PAYLOAD, Ordering::Release);
    }

    /// What `read` makes of the present set, its version and its payload: all of one write.
    #[inline]
    pub(crate) fn read<R>(&self, latest: &Latest, read: impl Fn(u64, u64, &[W; N]) -> R) -> R {
        let mut patience = PATIENCE;
        loop {
            // Acquire: pairs with the release of the write.
            let found = latest.0.load(Ordering::Acquire);
            let version = found >> VERSION_SHIFT;
            let answer = read(version, found & PAYLOAD, &self.sets[version as usize % SETS]);
            // Acquire: the load below is not before those above.
            fence(Ordering::Acquire);
            patience -= 1;
            // A set is written again only after the next three were named.
            if latest.version().wrapping_sub(version) & VERSIONS < SETS as u64 - 1 || patience == 0 {
                return answer;
            }
        }
    }
}

impl<const N: usize, W: SetWord> Sets<N, W> {
    /// What `read` makes of the set of this version, which was the present one once; `None` where it stands nowhere any
    /// more.
    pub(crate) fn read_version<R>(
        &self,
        latest: &Latest,
        version: u64,
        read: impl FnOnce(u64, &[W; N]) -> R,
    ) -> Option<R> {
        let answer = read(version, &self.sets[version as usize % SETS]);
        // Acquire: the load below is not before those of the set.
        fence(Ordering::Acquire);
        (latest.version().wrapping_sub(version) & VERSIONS < SETS as u64 - 1).then_some(answer)
    }
}

/// The latest of some sets of words, with the word that names it.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct SeqLock<const N: usize> {
    latest: Latest,
    sets: Sets<N>,
}

// SAFETY: atomics only.
unsafe impl<const N: usize> Zeroable for SeqLock<N> {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { latest: Latest(AtomicU64::new(0)), sets: Sets::blank() }
    }
}

impl<const N: usize> SeqLock<N> {
    /// Only under the lock of what it belongs to.
    pub(crate) fn write(&self, words: [u64; N]) {
        self.sets.write(&self.latest, words, 0);
    }

    /// The words, all of one write.
    pub(crate) fn read(&self) -> [u64; N] {
        self.sets.read(&self.latest, |_, _, set| std::array::from_fn(|i| set[i].get()))
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

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sync::Arc;

    /// Five writes come round to a reader's set: it sees words of one of them, and no older one than it has seen.
    #[test]
    fn loom_words_of_one_write() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let lock = Arc::new(SeqLock::<2>::blank());
            let writer = {
                let lock = lock.clone();
                loom::thread::spawn(move || (1..=5_u64).for_each(|i| lock.write([i, i * 2])))
            };
            let mut before = 0;
            for _ in 0..2 {
                let [a, b] = lock.read();
                assert!(b == a * 2 && a >= before, "{a} {b} after {before}");
                before = a;
            }
            writer.join().unwrap();
            assert_eq!(lock.read(), [5, 10]);
        });
    }
}
