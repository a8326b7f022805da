//! CPU time between two readings, smoothed. What was read last stands where all who share the shedder find it, so that
//! it makes no difference who reads next.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use crate::memory::Zeroable;
use crate::sync::{AtomicU64, Ordering};

/// A cgroup's CPU time so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Usage {
    pub(super) us: u64,
    /// Which cgroup's it is.
    pub(super) of: u64,
}

/// Of the new and the old value: what is left of the old one each time.
const KEPT: f64 = 0.7;
/// What lies further back says nothing of now.
const OLD_MS: u64 = 5_000;
/// Readings closer to each other are no measure.
const CLOSE_MS: u64 = 20;
const US_BITS: u32 = 40;
const MS_BITS: u32 = 64 - US_BITS;

/// The last reading, `us:40 | ms:24`, both going round; which cgroup it was of; the smoothed value.
#[repr(C, align(64))]
#[derive(Debug)]
pub(in super::super) struct CpuBase {
    last: AtomicU64,
    of: AtomicU64,
    value: AtomicU64,
}

// SAFETY: atomics only.
unsafe impl Zeroable for CpuBase {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { last: Zeroable::blank(), of: Zeroable::blank(), value: Zeroable::blank() }
    }
}

impl CpuBase {
    /// The part of `limit` CPUs that is used, at `now_ms`. `None`: there was no reading to go on from.
    pub(in super::super) fn next(&self, usage: Usage, limit: f64, now_ms: u64) -> Option<f64> {
        let (us, ms) = (usage.us & ((1 << US_BITS) - 1), now_ms & ((1 << MS_BITS) - 1));
        // Relaxed, all: only who has the turn is here; of two who overlap one measures wrong for once, within bounds.
        let last = self.last.swap(us << MS_BITS | ms, Ordering::Relaxed);
        let (of, before) = (self.of.swap(usage.of, Ordering::Relaxed), self.value.load(Ordering::Relaxed));
        let spent_us = us.wrapping_sub(last >> MS_BITS) & ((1 << US_BITS) - 1);
        let since_ms = ms.wrapping_sub(last) & ((1 << MS_BITS) - 1);
        let value = spent_us as f64 / 1e3 / since_ms.max(1) as f64 / limit;
        // Numbers of another cgroup, of a clock that stepped back, and of two who overlapped.
        let is_sound = last != 0 && of == usage.of && since_ms <= OLD_MS && value < 1_000.0;
        if !is_sound || since_ms < CLOSE_MS {
            if !is_sound {
                self.value.store(f64::NAN.to_bits(), Ordering::Relaxed);
            }
            return None;
        }
        let before = Some(f64::from_bits(before)).filter(|it| it.is_finite() && *it >= 0.0 && last >> MS_BITS != 0);
        let smooth = before.map_or(value, |before| before * KEPT + value * (1.0 - KEPT));
        self.value.store(smooth.to_bits(), Ordering::Relaxed);
        Some(smooth)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::memory::ObjectAllocator;

    #[test]
    fn from_idle_to_the_gate_in_little_more_than_a_second() {
        let base = ObjectAllocator::of_process(false).one::<CpuBase>().expect("memory");
        let mut us = 1_000;
        let mut at = |ms: u64, spent: u64| {
            us += spent;
            base.next(Usage { us, of: 1 }, 2.0, ms)
        };
        assert_eq!(at(1_000, 0), None, "nothing to go on from");
        assert_eq!([at(1_250, 0), at(1_500, 0)], [Some(0.0), Some(0.0)]);
        let rises: Vec<f64> = (1..=5).filter_map(|n| at(1_500 + n * 250, 500_000)).collect();
        assert!(rises[3] < 0.8 && rises[4] > 0.8, "{rises:?}");
    }

    #[test]
    fn what_does_not_go_together_is_no_value() {
        let base = ObjectAllocator::of_process(false).one::<CpuBase>().expect("memory");
        let next = |us, of, ms| base.next(Usage { us, of }, 1.0, ms);
        assert_eq!([next(5_000, 1, 1_000), next(9_000, 2, 1_250)], [None, None]);
        assert_eq!(next(109_000, 2, 1_500), Some(0.4));
        assert_eq!(next(1_000, 2, 1_750), None, "a smaller one");
        assert_eq!(
            [next(2_000, 2, 9_000), next(3_000, 2, 8_000)],
            [None, None],
            "too old, and a clock that stepped back"
        );
        assert_eq!(next(253_000, 2, 8_250), Some(1.0), "and nothing of what was before");
    }
}
