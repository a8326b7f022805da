//! A set that denies leaves nothing behind.

use super::{MS, S};
use std::sync::Arc;
use std::time::Duration;
use tidegate::limit::{Algorithm, LimitSet, LimiterConfig, Mode, RateLimiter};
use tidegate::{ManualClock, Quota};

/// The charge of a fixed window that is taken back began it, and so must end it: who comes next would have a window
/// that ends too soon.
#[test]
fn a_window_that_only_a_denied_call_began_is_none() {
    let clock = ManualClock::new(0);
    let limiter = |algorithm, count, seconds| {
        let quota = Quota::new(count, Duration::from_secs(seconds)).and_then(|quota| quota.with_burst(3));
        let quota = quota.expect("a sound quota");
        let config = LimiterConfig { mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota) };
        Arc::new(RateLimiter::with_config(config, (&clock).into()).expect("a limiter"))
    };
    let (queue, window) = (limiter(Algorithm::LeakyBucket, 5, 1), limiter(Algorithm::FixedWindow, 3, 60));
    // The same limiter twice costs twice, which shows only when both are charged.
    let members = [("user", queue.clone().into()), ("address", queue.into()), ("endpoint", window.clone().into())];
    let set = LimitSet::new(members).expect("a set");
    let start = 5_000 * S;
    let denied = set.check_at(start, &[b"one", b"one", b"orders"], 2).expect("keys");
    assert!(!denied.decision.allowed);
    assert!(set.check_at(start + MS, &[b"one", b"two", b"orders"], 2).expect("keys").decision.allowed);
    assert_eq!(window.peek_at(start + MS, b"orders", None).reset_after_ns, 60 * S);
}
