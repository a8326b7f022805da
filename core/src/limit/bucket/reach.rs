//! How far the waits reach that a bucket was told to keep: what lies further ahead is a bad reading's.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use crate::memory::Zeroable;
use crate::sync::{AtomicU64, Ordering};

/// Of bookings, or of penalties.
///
/// A wait is noted between the load of a word and the exchange that puts it, at each attempt; a reset forgets before
/// its own exchange. So what is forgotten and yet put is put to a word that the reset replaces.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Reach {
    /// The longest, in nanoseconds.
    longest_ns: AtomicU64,
    /// When the last of all is over, in nanoseconds of the clock.
    until_ns: AtomicU64,
}

// SAFETY: atomics only.
unsafe impl Zeroable for Reach {
    #[cfg(loom)]
    fn blank() -> Self {
        let [longest_ns, until_ns] = Zeroable::blank();
        Self { longest_ns, until_ns }
    }
}

impl Reach {
    pub(super) fn note(&self, now_ns: u64, wait_ns: u64) {
        if wait_ns > 0 {
            // Relaxed: published by the exchange that follows, and by the next.
            self.longest_ns.fetch_max(wait_ns, Ordering::Relaxed);
            // Release: see `bound`.
            self.until_ns.fetch_max(now_ns.saturating_add(wait_ns), Ordering::Release);
        }
    }

    /// Until when any of it lasts, as of `ns`: of what a bad reading put, no longer than the longest.
    pub(super) fn at(&self, ns: u64) -> u64 {
        // Relaxed, both: noted before the word that needs it was published (release), and that word was acquired.
        let until = self.until_ns.load(Ordering::Relaxed);
        until.min(ns.saturating_add(self.longest_ns.load(Ordering::Relaxed)))
    }

    /// After a word healed as of `ns`: what the bad reading noted is brought to what was made of it.
    pub(super) fn bound(&self, ns: u64) {
        // Relaxed, both: the exchange finds out.
        let (until, longest) = (self.until_ns.load(Ordering::Relaxed), self.longest_ns.load(Ordering::Relaxed));
        let most = ns.saturating_add(longest);
        // AcqRel: whoever noted a longer wait before it and left the end as it was is seen. Relaxed on failure: another
        // end was noted.
        if until > most && self.until_ns.compare_exchange(until, most, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            // Relaxed: see above.
            let longest = self.longest_ns.load(Ordering::Relaxed);
            self.until_ns.fetch_max(until.min(ns.saturating_add(longest)), Ordering::Relaxed);
        }
    }

    /// Nothing is to be kept any more. What there was, for who fails.
    pub(super) fn forget(&self) -> [u64; 2] {
        // Relaxed, both: before the exchange of who calls.
        [self.longest_ns.swap(0, Ordering::Relaxed), self.until_ns.swap(0, Ordering::Relaxed)]
    }

    pub(super) fn remember(&self, [longest, until]: [u64; 2]) {
        // Relaxed, both: as they were.
        self.longest_ns.fetch_max(longest, Ordering::Relaxed);
        self.until_ns.fetch_max(until, Ordering::Relaxed);
    }
}
