//! Invariant: whatever threads with old readings do while the clock is sound, a key gets no more than its limit at one
//! instant.

use std::time::Duration;
use tidegate::limit::{Algorithm, LimiterConfig, Mode, RateLimiter};
use tidegate::{ManualClock, Quota};

const S: u64 = 1_000_000_000;

#[test]
fn late_threads_mint_nothing() {
    for algorithm in Algorithm::ALL {
        let clock = ManualClock::new(0);
        let quota = Quota::new(10, Duration::from_secs(1)).expect("a quota");
        let config = LimiterConfig { max_keys: 1, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota) };
        let limiter = RateLimiter::with_config(config, (&clock).into()).expect("a limiter");
        limiter.try_acquire_at(S, b"k", 1);
        let now = 100_000 * S;
        clock.set(now);
        let mut admitted = 0;
        for late in [0, 9_000, 2_000, 1_000, 900, 61, 0] {
            for _ in 0..20 {
                let _ = limiter.check_at(now - late * S, b"other", 1);
                let allowed = limiter.check_at(now - late * S, b"k", 1).allowed;
                admitted += u32::from(allowed);
            }
        }
        assert_eq!(admitted, 10, "{algorithm:?}");
    }
}
