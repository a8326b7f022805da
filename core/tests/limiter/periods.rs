//! A quota has one period, the one that was written, whatever its length: every algorithm counts by it.

use super::S;
use proptest::prelude::*;
use std::time::Duration;
use tidegate::limit::{Algorithm, LimiterConfig, Mode, RateLimiter};
use tidegate::{Clock, ManualClock, Quota};

const MS: u64 = 1_000_000;

/// The same quota in every way in which it can be written.
fn spellings(count: u64, ms: u64) -> [Quota; 4] {
    let text = |text: String| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    [
        Quota::new(count, Duration::from_millis(ms)).expect("a sound quota"),
        Quota::from_f64(count as f64, ms as f64 / 1e3).expect("a sound quota"),
        text(format!("{count} per {ms} ms")),
        text(format!("{count}/{}.{:03}s", ms / 1_000, ms % 1_000)),
    ]
}

fn limiter(algorithm: Algorithm, quota: Quota) -> RateLimiter {
    let config = LimiterConfig { max_keys: 4, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota) };
    RateLimiter::with_config(config, Clock::from(ManualClock::new(0))).expect("a limiter")
}

/// How many of the calls, one each `step`, are admitted within any one period, and how many in all.
fn asked(limiter: &RateLimiter, period: u64, step: u64) -> (u64, u64) {
    let mut times = Vec::new();
    let (mut now, mut busiest) = (0, 0);
    while now < 8 * period {
        if limiter.try_acquire_at(now, b"k", 1) {
            times.push(now);
            let within = times.iter().rev().take_while(|&&time| time + period > now).count() as u64;
            busiest = busiest.max(within);
        }
        now += step;
    }
    (busiest, times.len() as u64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_algorithm_counts_by_the_period_that_was_written(
        count in 1..40_u64,
        ms in 20..20_000_u64,
        calls in 2..6_u64,
    ) {
        let period = ms * MS;
        let step = (period / (count * calls)).max(1);
        for quota in spellings(count, ms) {
            let read = (quota.count(), quota.period(), quota.burst());
            prop_assert_eq!(read, (count, Duration::from_millis(ms), count as u32));
            for algorithm in Algorithm::ALL {
                let limiter = limiter(algorithm, quota);
                prop_assert_eq!(limiter.quota(), quota);
                let (busiest, all) = asked(&limiter, period, step);
                let (most, whole) = match algorithm {
                    // A burst and what comes back in a period, and all that comes back in eight.
                    Algorithm::TokenBucket => (2 * count, 9 * count),
                    Algorithm::LeakyBucket => (count + 1, 8 * count + 1),
                    Algorithm::FixedWindow => (2 * count, 8 * count),
                    Algorithm::SlidingWindow => (2 * count, 8 * count + 1),
                    _ => (count, 8 * count),
                };
                prop_assert!(busiest <= most, "{algorithm}, {quota}: {busiest} in a period");
                // At least half: calls that are out of step with the limit miss much of it.
                prop_assert!((4 * count..=whole).contains(&all), "{algorithm}, {quota}: {all} in eight periods");
            }
        }
    }

    /// A count that is not whole makes the period longer until it is: that is what a window counts in that period.
    #[test]
    fn a_fraction_of_a_count_makes_the_period_longer(halves in 0..20_u64, ms in 20..5_000_u64) {
        let (count, period) = (2 * halves + 1, 2 * ms * MS);
        let quota = Quota::from_f64(count as f64 / 2.0, ms as f64 / 1e3).expect("a sound quota");
        prop_assert_eq!((quota.count(), quota.period()), (count, Duration::from_nanos(period)));
        prop_assert_eq!(u64::from(quota.burst()), halves + 1);
        for algorithm in [Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::SlidingLog] {
            let limiter = limiter(algorithm, quota);
            prop_assert_eq!(limiter.quota(), quota.with_burst(count).expect("a sound burst"));
            let first = (0..3 * count).filter(|_| limiter.try_acquire_at(S, b"k", 1)).count() as u64;
            prop_assert_eq!(first, count, "{}", algorithm);
            prop_assert!(!limiter.try_acquire_at(S + period / 2, b"k", count as u32));
        }
    }
}
