//! A quota that warms up: a token is its part of the whole, rounded up to a tick.

use super::S;
use std::time::Duration;
use tidegate::limit::{Algorithm, LimiterConfig, Mode, RateLimiter, WarmUp};
use tidegate::{ManualClock, Quota};

/// The rounding adds up to a tick for each token of the burst: above some 32,000 tokens (as many ticks as a token has), the bucket is
/// full more than a token later than its quota says. A penalised cell must be kept until then: who is evicted comes back full.
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
    // Five keys with nothing left, and one that is full 3 us before the penalised one, whose quota alone says 6 us before.
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
