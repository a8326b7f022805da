//! The long-run rate is the quota's to 0.01 %, never faster, or there is no such limiter.

use super::S;
use std::time::Duration;
use tidegate::limit::{Algorithm, LimiterConfig, Mode, RateLimiter};
use tidegate::{Clock, ManualClock, Quota};

const DAY: u64 = 86_400 * S;
const YEAR: u64 = 365 * DAY;

/// From one a year to a hundred million a second, even and odd.
const RATES: [(u64, u64); 16] = [
    (1, YEAR),
    (1, 30 * DAY),
    (3, DAY),
    (17, 3_600 * S),
    (7, 60 * S),
    (100, 60 * S),
    (11, S),
    (999, S),
    (7_919, S),
    (12_345, S),
    (1_000_003, 3_600 * S),
    (1_234_567, S),
    (69_999_999, S),
    (70_000_000, S),
    (99_999_989, S),
    (100_000_000, S),
];

fn limiter(algorithm: Algorithm, quota: Quota, fastest: Option<Quota>) -> Option<RateLimiter> {
    let config = LimiterConfig { max_keys: 10, fastest, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota) };
    match RateLimiter::with_config(config, Clock::from(ManualClock::new(0))) {
        Ok(limiter) => Some(limiter),
        Err(error) => {
            assert!(["rate", "burst"].contains(&error.field()), "{error}");
            None
        }
    }
}

/// Drains the key, then takes one token after the other, each as soon as it is told to.
fn follow(limiter: &RateLimiter, period: u64, count: u64, tokens: u64, what: &str) {
    let burst = limiter.quota().burst();
    assert!(limiter.check_at(0, b"ann", burst).allowed);
    let mut now = 0;
    for _ in 0..tokens {
        now += limiter.peek_at(now, b"ann", None).retry_after_ns;
        assert!(limiter.check_at(now, b"ann", 1).allowed, "{what}: as long as told is enough");
    }
    let (took, ideal) = (u128::from(now) * u128::from(count), u128::from(tokens) * u128::from(period));
    assert!(took >= ideal, "{what} is fast");
    assert!(took <= ideal + ideal / 10_000 + 2 * u128::from(count), "{what} is slow by more than 0.01 %");
}

#[test]
fn buckets_keep_the_rate() {
    let mut made = 0;
    for algorithm in [Algorithm::TokenBucket, Algorithm::LeakyBucket] {
        for (count, period) in RATES {
            // With a burst of 1 a wait in whole nanoseconds is late by up to one, which nothing makes up for.
            for burst in [2, 100, 10_000, 1 << 20] {
                let Ok(quota) =
                    Quota::new(count, Duration::from_nanos(period)).and_then(|quota| quota.with_burst(burst))
                else {
                    continue;
                };
                let limiter = limiter(algorithm, quota, None).expect("any burst that can be counted, at any rate");
                made += 1;
                // Fewer of the slowest: their years are counted in nanoseconds too.
                let tokens = if period / count > DAY { 20 } else { 3_000 };
                follow(&limiter, period, count, tokens, &format!("{algorithm} {quota}"));
            }
        }
    }
    assert!(made > 80, "{made}: most quotas can be had");
}

/// Who writes a large count says its burst with it.
#[test]
fn large_counts_are_had_or_told_how() {
    let new = |algorithm, text: &str| {
        let quota = text.parse().expect("a rate");
        RateLimiter::with_config(LimiterConfig::new(algorithm, quota), Clock::from(ManualClock::new(0)))
    };
    for algorithm in [Algorithm::TokenBucket, Algorithm::LeakyBucket] {
        for text in ["1000000/month", "1000000/s", "1048576/day", "1048576/year", "1000000/week", "1048576/ms"] {
            let Ok(quota) = text.parse::<Quota>() else { continue };
            let limiter = new(algorithm, text).unwrap_or_else(|error| panic!("{algorithm} {text}: {error}"));
            let (count, period) = (quota.count(), quota.period().as_nanos() as u64);
            follow(&limiter, period, count, 2_000, &format!("{algorithm} {text}"));
        }
    }
    for (algorithm, text, told) in [
        (
            Algorithm::TokenBucket,
            "5000000/day",
            "burst: 5000000 is not within 1 to 1048576: no key holds more at once; with a burst of 1048576 or less the \
             rate of 5000000/day can be had",
        ),
        (
            Algorithm::LeakyBucket,
            "5000000/day",
            "queue: 4999999 is not within 0 to 1048575: no more calls wait for a key; with a queue of 1048575 or less \
             the rate of 5000000/day can be had",
        ),
        (
            Algorithm::FixedWindow,
            "5000000/day",
            "rate: 5000000/day is more than the 1048575 that a fixed_window counts; take fewer in a shorter period, or \
             a token_bucket with a burst of 1048576 or less",
        ),
        (
            Algorithm::SlidingWindow,
            "1000000/month",
            "rate: 1000000 per 30 day is more than the 262143 that a sliding_window counts; take fewer in a shorter \
             period, or a token_bucket with a burst of 1048576 or less",
        ),
        (
            Algorithm::SlidingLog,
            "5000/s",
            "rate: 5000/s is more than the 4096 that a sliding_log counts; take fewer in a shorter period, or a \
             token_bucket with a burst of 1048576 or less",
        ),
    ] {
        assert_eq!(new(algorithm, text).map(|_| ()).expect_err("too large").to_string(), told);
    }
    // As the text says.
    let near = "5000000/day".parse::<Quota>().and_then(|quota| quota.with_burst(1_048_576)).expect("a quota");
    assert!(
        limiter(Algorithm::TokenBucket, near, None).is_some() && limiter(Algorithm::LeakyBucket, near, None).is_some()
    );
}

#[test]
fn a_rate_beside_a_much_faster_one_is_exact_or_refused() {
    let quota = |(count, period)| {
        Quota::new(count, Duration::from_nanos(period)).and_then(|quota| quota.with_burst(2)).expect("a sound quota")
    };
    let (mut made, mut refused) = (0, 0);
    for slow in RATES {
        for fast in RATES {
            if let Some(limiter) = limiter(Algorithm::TokenBucket, quota(slow), Some(quota(fast))) {
                made += 1;
                follow(&limiter, slow.1, slow.0, 20, &format!("{slow:?} beside {fast:?}"));
            } else {
                refused += 1;
            }
        }
    }
    assert!(made > 100 && refused > 10, "{made} made, {refused} refused");
}

#[test]
fn fixed_windows_keep_the_period() {
    for (limit, period) in [(1, YEAR), (5, 900 * S), (100, 60 * S), (1_000_000, S), (1_048_575, 7 * DAY), (1, 11)] {
        let quota = Quota::new(limit, Duration::from_nanos(period)).expect("a sound quota");
        let limiter = limiter(Algorithm::FixedWindow, quota, None).expect("windows fit");
        let (mut now, windows) = (0, if period > DAY { 10 } else { 2_000 });
        for _ in 0..windows {
            let all = limiter.check_at(now, b"ann", limit as u32);
            assert!(all.allowed);
            now += all.reset_after_ns;
        }
        let ideal = period * windows;
        assert!(now >= ideal && now <= ideal + ideal / 10_000, "{limit} in {period}: {now} for {ideal}");
    }
}

#[test]
fn what_cannot_be_had_is_refused_with_the_reason() {
    let make = |algorithm, burst: u64, fastest: Option<Quota>| {
        // An interval of 2^30 ns: a tick can be a whole power of two of it, and a bucket hold the most.
        let quota = Quota::new(1, Duration::from_nanos(1 << 30)).and_then(|quota| quota.with_burst(burst));
        let quota = quota.expect("a quota");
        let config = LimiterConfig { max_keys: 10, fastest, ..LimiterConfig::new(algorithm, quota) };
        RateLimiter::with_config(config, Clock::from(ManualClock::new(0))).map(|_| ())
    };
    let most = [
        (Algorithm::TokenBucket, 1 << 20, "burst"),
        (Algorithm::LeakyBucket, 1 << 20, "queue"),
        (Algorithm::FixedWindow, (1 << 20) - 1, "rate"),
        (Algorithm::SlidingWindow, (1 << 18) - 1, "rate"),
        (Algorithm::SlidingLog, 4_096, "rate"),
    ];
    for (algorithm, most, field) in most {
        assert!(make(algorithm, most, None).is_ok(), "{algorithm} {most}");
        let error = make(algorithm, most + 1, None).expect_err("one more");
        assert_eq!(error.field(), field);
        let wrong = if algorithm == Algorithm::LeakyBucket { most } else { most + 1 };
        assert!(error.message().contains(&wrong.to_string()), "{error}");
    }
    for max_keys in [0, 100_000_001] {
        let quota = Quota::new(1, Duration::from_secs(1)).expect("a quota");
        let config = LimiterConfig { max_keys, ..LimiterConfig::new(Algorithm::TokenBucket, quota) };
        let error = RateLimiter::with_config(config, Clock::from(ManualClock::new(0))).expect_err("no such table");
        assert_eq!(error.field(), "max_keys");
    }
    for algorithm in [Algorithm::SlidingWindow, Algorithm::SlidingLog] {
        let error = make(algorithm, 5, "100/min".parse().ok()).expect_err("one period for all");
        assert_eq!((error.field(), error.message().contains("per 60s")), ("rate", true), "{error}");
    }
    let fast = "1000000/s".parse::<Quota>().expect("a quota");
    let slow = super::limiter(Algorithm::TokenBucket, 1, S, 10, 10);
    assert_eq!(slow.tier(fast).expect_err("too fast").field(), "rate");
    assert_eq!(slow.set_quota(fast).expect_err("too fast").field(), "rate");
    assert_eq!(slow.quota().count(), 1);
}

/// Decades in leaps: keys come back whole, and no sooner than ever.
#[test]
fn decades_pass_and_keys_come_back() {
    let rates = RATES.into_iter().chain([(5, 60 * S), (100, 7 * DAY), (4_000, YEAR)]);
    for (algorithm, (count, period)) in rates.flat_map(|rate| Algorithm::ALL.map(|algorithm| (algorithm, rate))) {
        let quota = Quota::new(count, Duration::from_nanos(period)).expect("a sound quota");
        let quota = if algorithm.is_window() { quota } else { quota.with_burst(count.min(50)).expect("a burst") };
        for leap in [1, 3, 10, 30] {
            let Some(limiter) = limiter(algorithm, quota, None) else { continue };
            let (burst, what) = (quota.burst(), format!("{algorithm} {quota}"));
            let fill = (u128::from(burst) * u128::from(period) / u128::from(count)) as u64;
            if leap as u64 * YEAR < 3 * fill {
                continue;
            }
            let all = |at: u64, key: u8| limiter.check_at(at, &[key], burst).allowed;
            for years in (0..=60).step_by(leap) {
                let at = years * YEAR + 12_345;
                // More than a line holds of cells.
                for key in 0..12 {
                    assert!(all(at, key) && !all(at, key), "{what} in year {years}, by {leap}");
                }
                assert!((0..12).all(|key| !all(at + fill / 2, key)), "{what} in year {years}, by {leap}");
            }
        }
    }
}
