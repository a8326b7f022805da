//! Whose turn it is to read the next signal.
//!
//! A word, `next:56 | number:8`: from when on in microseconds, and which. Who exchanges it does that one thing; others
//! go on with their calls. One killed after the exchange costs one reading.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use crate::memory::Zeroable;
use crate::sync::{AtomicU64, Ordering, load_for_cas};

const NUMBER_BITS: u32 = 8;
/// A time further ahead than a turn could have put it is a bad reading's. A late thread is not as late as that; if it
/// were, one reading would come too early.
const BAD_READING_US: u64 = 1_000_000;

#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Turn(AtomicU64);

// SAFETY: atomics only.
unsafe impl Zeroable for Turn {
    #[cfg(loom)]
    fn blank() -> Self {
        Self(Zeroable::blank())
    }
}

impl Turn {
    /// Whether there is a turn to be taken at `now`, nanoseconds since the epoch.
    #[inline]
    fn is_due(word: u64, now_us: u64, each_us: u64) -> bool {
        let next = word >> NUMBER_BITS;
        now_us >= next || next > now_us.saturating_add(each_us + BAD_READING_US)
    }

    /// Which of `count` (1 to 256) the caller is to do, if it is its turn; the next comes `each_ns` later. Of those
    /// whose readings lie less than that apart, one gets it.
    #[inline]
    pub(super) fn take(&self, now_ns: u64, each_ns: u64, count: u64) -> Option<u64> {
        let (now_us, each_us) = (now_ns / 1000, (each_ns / 1000).max(1));
        let word = load_for_cas(&self.0);
        if !Self::is_due(word, now_us, each_us) {
            return None;
        }
        self.exchange(word, now_us.saturating_add(each_us), count)
    }

    #[cold]
    fn exchange(&self, word: u64, next_us: u64, count: u64) -> Option<u64> {
        // Any bytes may stand there.
        let number = (word & ((1 << NUMBER_BITS) - 1)) % count;
        let next = (next_us.min(u64::MAX >> NUMBER_BITS) << NUMBER_BITS) | ((number + 1) % count);
        // AcqRel: who takes the next turn sees what this one's before has read. Relaxed on failure: somebody else's.
        let taken = self.0.compare_exchange(word, next, Ordering::AcqRel, Ordering::Relaxed);
        taken.is_ok().then_some(number)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::memory::ObjectAllocator;

    const MS: u64 = 1_000_000;

    #[test]
    fn one_turn_each_and_a_bad_reading_heals_at_once() {
        let turn = ObjectAllocator::of_process(false).one::<Turn>().expect("memory");
        let take = |now| turn.take(now, 10 * MS, 3);
        assert_eq!(
            [take(0), take(0), take(9 * MS), take(10 * MS), take(25 * MS)],
            [Some(0), None, None, Some(1), Some(2)]
        );
        assert_eq!([take(1_000_000 * MS), take(1_000_001 * MS)], [Some(0), None]);
        // Back by more than a second: that one was wrong. By less it is waited for.
        assert_eq!([take(40 * MS), take(39 * MS)], [Some(1), None]);
        turn.0.store(u64::MAX, Ordering::Relaxed);
        assert!(take(50 * MS).is_some_and(|number| number < 3));
        assert!(take(u64::MAX).is_some());
    }
}
