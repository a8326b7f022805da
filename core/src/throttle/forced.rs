//! One call each so long passes, whatever the odds.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use crate::memory::{ObjectAllocator, One, Watch, Zeroable};
use crate::sync::{AtomicU64, Ordering, load_for_cas};
use crate::{Clock, ConfigError};
use std::time::Duration;

/// How much further ahead than a pass could have put it the next one must be before it can be a bad reading's.
const BAD_READING_NS: u64 = 60_000_000_000;

#[repr(C, align(64))]
#[derive(Debug)]
struct Shared {
    /// When the next one may pass, in nanoseconds since the epoch; 0 before the first.
    next: AtomicU64,
    watch: Watch,
}

// SAFETY: atomics only.
unsafe impl Zeroable for Shared {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { next: Zeroable::blank(), watch: Zeroable::blank() }
    }
}

#[derive(Debug)]
pub(super) struct Forced {
    shared: One<Shared>,
    epoch_ns: u64,
    each_ns: u64,
}

impl Forced {
    /// The next part of `room`.
    pub(super) fn in_room(room: &mut ObjectAllocator, each: Duration, epoch_ns: u64) -> Result<Self, ConfigError> {
        Ok(Self { shared: room.one()?, epoch_ns, each_ns: each.as_nanos() as u64 })
    }

    /// Whether the caller is the one. At most one is, of those whose readings lie less than so long apart.
    pub(super) fn try_pass(&self, now_ns: u64, clock: &Clock) -> bool {
        let (now, next) = (now_ns.saturating_sub(self.epoch_ns), load_for_cas(&self.shared.next));
        if now < next && !self.is_bad(next, now_ns, clock) {
            return false;
        }
        // Relaxed on failure: somebody else is the one. AcqRel: nothing is published by it.
        let claimed = self.shared.next.compare_exchange(
            next,
            now.saturating_add(self.each_ns),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        claimed.is_ok()
    }

    /// Whether it lies impossibly far ahead, and readings have gone on behind it for so long that it is a bad one's.
    /// The clock is read again, after the word, for a late thread.
    fn is_bad(&self, next: u64, now_ns: u64, clock: &Clock) -> bool {
        let ns = clock.now().max(now_ns);
        let most = ns.saturating_sub(self.epoch_ns).saturating_add(self.each_ns);
        let bad = self.shared.watch.judge(next <= most.saturating_add(BAD_READING_NS), ns);
        if bad {
            self.shared.watch.clear();
        }
        bad
    }

    /// Nanoseconds until one may pass.
    pub(super) fn wait(&self, now_ns: u64) -> u64 {
        load_for_cas(&self.shared.next).saturating_sub(now_ns.saturating_sub(self.epoch_ns)).min(self.each_ns)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ManualClock;

    const S: u64 = 1_000_000_000;

    #[test]
    fn heals_after_a_minute_of_readings_behind_a_bad_one() {
        let forced =
            Forced::in_room(&mut ObjectAllocator::of_process(false), Duration::from_secs(1), 0).expect("memory");
        let manual = ManualClock::new(0);
        let clock = Clock::from(&manual);
        let pass = |now| {
            manual.set(now);
            forced.try_pass(now, &clock)
        };
        assert!(pass(0) && !pass(S - 1) && pass(S) && !pass(S));
        assert!(pass(1_000_000 * S));
        assert!(!pass(2 * S) && !pass(61 * S));
        assert!(pass(62 * S) && !pass(62 * S) && pass(63 * S));
        assert_eq!(
            [forced.wait(63 * S), forced.wait(63 * S + S / 2), forced.wait(65 * S), forced.wait(0)],
            [S, S / 2, 0, S]
        );
    }
}
