//! A quota that warms up: a token is its part of the whole, rounded up to a tick.

use super::S;
use std::time::Duration;
use tidegate::limit::{Algorithm, LimiterConfig, Mode, RateLimiter, WarmUp};
use tidegate::{ManualClock, Quota};

/// The rounding adds up to a tick for each token of the burst: above some 32,000 tokens (as many ticks as a token has),
/// the bucket is full more than a token later than its quota says. A penalised cell must be kept until then: who is
/// evicted comes back full.
#[test]
fn a_penalised_key_is_kept_until_its_warming_bucket_is_full() {
    let quota = Quota::new(1_000_000, Duration::from_secs(1)).and_then(|quota| quota.with_burst(500_000));
    let config = LimiterConfig {
        // One line of seven cells for all.
        max_keys: 1,
        mode: Mode::Enforce,
        warm_up: Some(WarmUp::new(Duration::from_secs(365 * 86_400), 0.9).expect("a ramp")),
        ..LimiterConfig::new(Algorithm::TokenBucket, quota.expect("a sound quota"))
    };
    let limiter = RateLimiter::with_config(config, ManualClock::new(0).into()).expect("a limiter");
    let burst = limiter.peek_at(S, b"penalised", None).limit;
    assert!((450_000..451_000).contains(&burst), "{burst}");
    assert!(limiter.penalize_at(S, b"penalised", Duration::from_secs(1)));
    let full = S + limiter.check_at(S, b"penalised", burst).retry_after_ns;
    // Five keys with nothing left, and one that is full 3 us before the penalised one, whose quota alone says 6 us
    // before.
    for key in 0..5_u8 {
        assert!(limiter.try_acquire_at(full - S / 5, &[key], burst));
    }
    assert!(limiter.try_acquire_at(full - 4_000, b"short", 1));
    // The next key takes the cell that has been free for longest.
    assert!(limiter.try_acquire_at(full - 1_000, b"next", 1));
    assert_eq!(limiter.stats().evictions, 1);
    assert!(!limiter.check_at(full - 1_000, b"penalised", burst).allowed, "it came back full");
    assert!(limiter.check_at(full, b"penalised", burst).allowed);
}

/// Never is for what is more than the whole limit: what is not open yet can be had once it is, and the key is as new.
#[test]
fn what_is_not_open_yet_can_be_had_once_it_is() {
    const HOUR: u64 = 3_600 * S;
    for algorithm in Algorithm::ALL {
        let quota = Quota::new(3, Duration::from_secs(3_600)).expect("a quota");
        let config = LimiterConfig {
            max_keys: 10,
            mode: Mode::Enforce,
            warm_up: Some(WarmUp::new(Duration::from_nanos(10 * HOUR), 0.1).expect("a ramp")),
            ..LimiterConfig::new(algorithm, quota)
        };
        let new = || std::sync::Arc::new(RateLimiter::with_config(config, ManualClock::new(0).into()).expect("made"));
        let limiter = new();
        let set = tidegate::LimitSet::new([("it", limiter.clone().into())]).expect("a set");
        let in_a_set = |now: u64, n: u32| set.check_at(now, &[b"set"], n).expect("its key");
        assert_eq!(limiter.check_at(0, b"fresh", 4).retry_after_ns, tidegate::decision::NEVER);
        for n in [2, 3] {
            let told = limiter.check_at(0, b"fresh", n).retry_after_ns;
            assert!((1..=10 * HOUR).contains(&told), "{algorithm}: {told}");
            assert_eq!(in_a_set(0, n).decision.retry_after_ns, told, "{algorithm}");
            assert!(!limiter.check_at(told - 1, b"fresh", n).allowed, "{algorithm}: {n}");
        }
        assert!(limiter.check_at(10 * HOUR, b"fresh", 3).allowed, "{algorithm}");
        let limiter = new();
        // Of a key that is used up, and of one under a penalty.
        assert!(limiter.check_at(9 * HOUR, b"used", 1).allowed);
        let used = limiter.check_at(9 * HOUR, b"used", 3).retry_after_ns;
        assert!(limiter.penalize_at(9 * HOUR, b"penalised", Duration::from_secs(2 * 3_600)));
        let penalised = limiter.check_at(9 * HOUR, b"penalised", 3).retry_after_ns;
        for (key, wait) in [(b"used".as_slice(), used), (b"penalised", penalised)] {
            assert!((1..4 * HOUR).contains(&wait), "{algorithm}: {wait}");
            assert!(limiter.check_at(9 * HOUR + wait, key, 3).allowed, "{algorithm}");
        }
    }
}
