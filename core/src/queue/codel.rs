//! Controlled delay: whether the least wait of an interval passed what is tolerated.
//!
//! After folly's `Codel.cpp`, whose rule differs from the original's: an interval whose least delay passed the target
//! makes the next one overloaded, and in that all that waited longer than twice the target is to go. The first of an
//! interval stays in any case.

use super::config::QueueConfig;
use crate::sync::{AtomicU64, Ordering};

/// No interval has ended yet.
const NONE: u64 = u64::MAX;

/// The delays of one lane.
#[derive(Debug)]
pub(super) struct Codel {
    target: u64,
    interval: u64,
    /// When the interval under way is over; 0 before the first delay, 1 until the second.
    ends: AtomicU64,
    /// The least delay of the interval under way.
    least: AtomicU64,
    /// That of the one before.
    last: AtomicU64,
    /// 1 in an interval after one whose least delay passed the target.
    overloaded: AtomicU64,
}

impl Codel {
    pub(super) fn new(config: &QueueConfig) -> Self {
        let ns = |span: std::time::Duration| span.as_nanos() as u64;
        Self {
            target: ns(config.target),
            interval: ns(config.interval),
            ends: AtomicU64::new(0),
            least: AtomicU64::new(NONE),
            last: AtomicU64::new(NONE),
            overloaded: AtomicU64::new(0),
        }
    }

    /// Counts a delay at `now`; whether who had it is to go.
    pub(super) fn overdue(&self, delay: u64, now: u64) -> bool {
        // Relaxed, here and below: each word alone says what it says, and a delay that falls between two intervals
        // counts in one of them.
        let ends = self.ends.load(Ordering::Relaxed);
        // Who sees it ended ends it; of several, one. An end further ahead than an interval was set by a clock that has
        // stepped back since.
        if now > ends || ends - now > self.interval {
            let next = if ends == 0 { 1 } else { now.saturating_add(self.interval) };
            if self.ends.compare_exchange(ends, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                if ends == 0 {
                    self.least.fetch_min(delay, Ordering::Relaxed);
                } else {
                    let least = self.least.swap(delay, Ordering::Relaxed);
                    self.last.store(least, Ordering::Relaxed);
                    self.overloaded.store(u64::from(least > self.target), Ordering::Relaxed);
                }
                return false;
            }
        }
        if delay < self.least.load(Ordering::Relaxed) {
            self.least.fetch_min(delay, Ordering::Relaxed);
        }
        delay > self.target.saturating_mul(2) && self.is_overloaded()
    }

    pub(super) fn is_overloaded(&self) -> bool {
        self.overloaded.load(Ordering::Relaxed) != 0
    }

    /// The least delay of the interval that ended last.
    pub(super) fn least_delay(&self) -> Option<u64> {
        Some(self.last.load(Ordering::Relaxed)).filter(|least| *least != NONE)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    /// A clock has run for a while when a queue is made.
    const START: u64 = 5_000_000 * MS;

    fn codel() -> Codel {
        Codel::new(&QueueConfig::new(1))
    }

    /// folly's `CodelTest.Basic`, its sleeps as steps of the clock.
    #[test]
    fn basic() {
        let codel = codel();
        let mut now = START;
        let mut overdue = |later: u64, delay: u64| {
            now += later * MS;
            codel.overdue(delay * MS, now)
        };
        assert!(!overdue(110, 100), "this interval is overloaded");
        assert!(!overdue(90, 50), "two must come in an interval before one goes");
        assert!(overdue(0, 50));
        assert!(!overdue(110, 2), "the interval before was overloaded, but 2 ms is not enough");
        assert!(overdue(90, 20), "20 ms > 2 x target");
    }

    /// folly's `oneRequestNoDrop`, `mediumLoad`, `reducingLoad`.
    #[test]
    fn nobody_goes_for_one_delay_nor_for_little() {
        assert!(!codel().overdue(20 * MS, START));
        for delay in [8, 4] {
            let codel = codel();
            codel.overdue(20 * MS, START);
            assert!(!codel.overdue(delay * MS, START + 90 * MS));
        }
    }

    /// folly's `updateTargetDelay` and `updateInterval`, with the settings given at the start.
    #[test]
    fn target_and_interval_are_what_was_said() {
        let of = |target, interval| {
            let span = std::time::Duration::from_millis;
            Codel::new(&QueueConfig { target: span(target), interval: span(interval), ..QueueConfig::new(1) })
        };
        let codel = of(40, 100);
        assert!([0, 1, 2].iter().all(|ms| !codel.overdue(40 * MS, START + ms * MS)), "40 ms are the target");
        let codel = of(5, 200);
        assert!(!codel.overdue(50 * MS, START));
        assert!(!codel.overdue(50 * MS, START + 110 * MS));
        assert!(codel.overdue(50 * MS, START + 110 * MS));
        assert!(codel.overdue(20 * MS, START + 210 * MS), "still the same interval of 200 ms");
    }

    /// An interval that a clock ahead began must not last until that clock's time has come.
    #[test]
    fn a_clock_that_steps_back_ends_the_interval() {
        let codel = codel();
        let ahead = START + 3_600_000 * MS;
        for now in [START, START + 1, ahead] {
            codel.overdue(50 * MS, now);
        }
        assert!(codel.is_overloaded());
        codel.overdue(MS, START + 2 * MS);
        codel.overdue(MS, START + 103 * MS);
        assert!(!codel.is_overloaded());
        assert_eq!(codel.least_delay(), Some(MS));
    }
}
