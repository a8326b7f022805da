//! How late an event loop comes: p99 and maximum of what ticks have seen, of the recent intervals the more.

use crate::sync::{AtomicU64, Ordering};

/// Four an octave, from 100 us on; the last is 6 s and more.
const BUCKETS: usize = 64;
const LEAST_NS: f64 = 1e5;
/// For so many the latest is remembered.
const INTERVALS: usize = 8;
/// A tick counts so much, so that a part of it can go.
const TICK: u64 = 64;
/// What a loop that stood still for a while would have seen at most.
const MOST_MISSED: u64 = 1_000;

/// Of one process: its loops tell it, whatever their number.
#[derive(Debug)]
pub(super) struct Lag {
    buckets: [AtomicU64; BUCKETS],
    /// The latest of this interval, and of those before.
    longest: [AtomicU64; INTERVALS],
}

/// Nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LagSeen {
    pub(super) p99: u64,
    pub(super) longest: u64,
}

fn bucket(ns: u64) -> usize {
    let octaves = (ns as f64 / LEAST_NS).max(1.0).log2();
    ((octaves * 4.0).ceil() as usize).min(BUCKETS - 1)
}

/// The upper end.
fn end(bucket: usize) -> u64 {
    (LEAST_NS * (bucket as f64 / 4.0).exp2()) as u64
}

impl Lag {
    pub(super) fn new() -> Self {
        Self {
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            longest: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// A tick came `ns` late; they come each `period_ns`. Those that it has held up count as well: without them a loop
    /// that stands still would look like one with few late ticks.
    pub(super) fn tell(&self, ns: u64, period_ns: u64) {
        // Relaxed, all: counts order nothing.
        self.longest[0].fetch_max(ns, Ordering::Relaxed);
        let period = period_ns.max(ns / MOST_MISSED).max(1);
        let mut late = ns;
        loop {
            self.buckets[bucket(late)].fetch_add(TICK, Ordering::Relaxed);
            match late.checked_sub(period) {
                Some(rest) if rest > 0 => late = rest,
                _ => return,
            }
        }
    }

    /// What was seen. `None`: no ticks of late.
    pub(super) fn seen(&self) -> Option<LagSeen> {
        // Relaxed: as above.
        let counts = self.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed));
        let all: u64 = counts.iter().sum();
        if all == 0 {
            return None;
        }
        let longest = self.longest.iter().map(|it| it.load(Ordering::Relaxed)).max().unwrap_or_default();
        let mut above = all / 100;
        let mut last = 0;
        for (at, count) in counts.into_iter().enumerate().rev() {
            last = at;
            if count > above {
                break;
            }
            above -= count;
        }
        // A bucket's end may be above all that is in it; that of forgotten ticks has no longest any more.
        let p99 = if bucket(longest) == last { longest } else { end(last) };
        Some(LagSeen { p99, longest: longest.max(p99) })
    }

    /// An interval has ended: an eighth of each count goes.
    pub(super) fn age(&self) {
        for bucket in &self.buckets {
            // Relaxed: as above. What is added meanwhile stays.
            let count = bucket.load(Ordering::Relaxed);
            if count > 0 {
                bucket.fetch_sub(count.div_ceil(8), Ordering::Relaxed);
            }
        }
        for at in (1..INTERVALS).rev() {
            self.longest[at].store(self.longest[at - 1].load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.longest[0].store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_late_one_in_fifty_is_the_p99_and_no_mean() {
        let lag = Lag::new();
        assert_eq!(lag.seen(), None);
        (0..98).for_each(|_| lag.tell(MS, 20 * MS));
        (0..2).for_each(|_| lag.tell(19 * MS, 20 * MS));
        let seen = lag.seen().expect("ticks");
        assert_eq!(seen, LagSeen { p99: 19 * MS, longest: 19 * MS });
        (0..200).for_each(|_| lag.tell(MS, 20 * MS));
        let seen = lag.seen().expect("ticks");
        assert!(seen.p99 < 2 * MS && seen.longest == 19 * MS, "{seen:?}");
    }

    #[test]
    fn a_loop_that_stood_still_has_missed_ticks() {
        let lag = Lag::new();
        (0..50).for_each(|_| lag.tell(MS, 20 * MS));
        lag.tell(2_000 * MS, 20 * MS);
        assert!(lag.seen().expect("ticks").p99 > 1_900 * MS);
        (0..80).for_each(|_| lag.age());
        assert_eq!(lag.seen(), None, "all is forgotten");
    }

    #[test]
    fn any_number_is_one() {
        let lag = Lag::new();
        [(0, 0), (u64::MAX, 0), (u64::MAX, u64::MAX), (1, 1)].iter().for_each(|&(ns, each)| lag.tell(ns, each));
        assert_eq!(lag.seen().expect("ticks").longest, u64::MAX);
    }
}
