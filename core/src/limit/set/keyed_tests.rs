//! Sets with keyed members. Random histories against the model are in `tests/oracle_set.rs`.

use super::*;
use crate::ManualClock;
use crate::decision::NEVER;
use crate::limit::{Algorithm, Block, BucketConfig, LimiterConfig, Mode, RateLimiter, TokenBucket};
use std::sync::Arc;
use std::time::Duration;

const S: u64 = 1_000_000_000;

fn config(algorithm: Algorithm, rate: &str, mode: Mode) -> LimiterConfig {
    LimiterConfig { max_keys: 1_000, mode, ..LimiterConfig::new(algorithm, rate.parse().unwrap()) }
}

fn limiter(clock: &ManualClock, config: LimiterConfig) -> Arc<RateLimiter> {
    Arc::new(RateLimiter::with_config(config, clock.into()).unwrap())
}

fn enforced(clock: &ManualClock, algorithm: Algorithm, rate: &str) -> Arc<RateLimiter> {
    limiter(clock, config(algorithm, rate, Mode::Enforce))
}

fn everyone(clock: &ManualClock, rate: &str) -> Arc<TokenBucket> {
    let options = BucketConfig { mode: Mode::Enforce, ..BucketConfig::default() };
    Arc::new(TokenBucket::with_options(rate.parse().unwrap(), options, clock.into()).unwrap())
}

#[test]
fn user_address_endpoint_and_everyone_in_one_call() {
    let clock = ManualClock::new(0);
    let user = enforced(&clock, Algorithm::TokenBucket, "5/min");
    let address = enforced(&clock, Algorithm::SlidingWindow, "8/min");
    let endpoint = enforced(&clock, Algorithm::FixedWindow, "20/min");
    let all = everyone(&clock, "100/min");
    let set = LimitSet::new([
        ("everyone", Member::from(all.clone())),
        ("user", user.clone().into()),
        ("address", address.clone().into()),
        ("endpoint", endpoint.clone().into()),
    ])
    .unwrap();
    let left = |user_key: &[u8]| {
        [
            user.peek(user_key, None).remaining,
            address.peek(b"10.0.0.1", None).remaining,
            endpoint.peek(b"/orders", None).remaining,
            all.peek().remaining,
        ]
    };
    let keys: [&[u8]; 3] = [b"ada", b"10.0.0.1", b"/orders"];
    assert!(set.check(&keys, 5).unwrap().decision.allowed);
    assert_eq!(left(b"ada"), [0, 3, 15, 95]);
    // The user has used hers up; nothing is taken of the others.
    let denied = set.check(&keys, 1).unwrap();
    assert_eq!((denied.denied_by, denied.decision.retry_after_ns), (Some(1), 12 * S));
    assert_eq!(left(b"ada"), [0, 3, 15, 95]);
    // Another user of the same address has three; a fourth waits for the window.
    let keys: [&[u8]; 3] = [b"bob", b"10.0.0.1", b"/orders"];
    assert!(set.check(&keys, 3).unwrap().decision.allowed);
    assert_eq!(set.check(&keys, 1).unwrap().denied_by, Some(2));
    assert_eq!(left(b"bob"), [2, 0, 12, 92]);
    assert_eq!(set.check(&keys, 21).unwrap().decision.retry_after_ns, NEVER);
    set.refund(&keys, 3).unwrap();
    assert_eq!(left(b"bob"), [5, 3, 15, 95]);
    let counts = [user.stats(), address.stats(), endpoint.stats()].map(|stats| (stats.admitted, stats.denied));
    assert_eq!(counts, [(2, 2), (2, 2), (2, 1)]);
    assert_eq!((all.stats().admitted, all.stats().denied), (2, 0));
}

#[test]
fn the_same_key_of_one_limiter_twice_costs_twice() {
    for algorithm in Algorithm::ALL {
        let clock = ManualClock::new(7 * S);
        let limiter = enforced(&clock, algorithm, "5/min");
        let set = LimitSet::new([("from", Member::from(limiter.clone())), ("to", limiter.clone().into())]).unwrap();
        assert!(set.check(&[b"ada", b"ada"], 1).unwrap().decision.allowed, "{algorithm}");
        let denied = set.check(&[b"ada", b"ada"], 2).unwrap();
        assert_eq!(denied.denied_by, Some(1), "{algorithm}: each alone would pass");
        assert_eq!(limiter.peek(b"ada", None).remaining, 3, "{algorithm}: the first was taken back");
        assert!(set.check(&[b"ada", b"bob"], 3).unwrap().decision.allowed, "{algorithm}: another key is another limit");
    }
}

#[test]
fn the_longest_delay_of_leaky_members_is_told() {
    let clock = ManualClock::new(0);
    let slow = enforced(&clock, Algorithm::LeakyBucket, "2/s");
    let fast = enforced(&clock, Algorithm::LeakyBucket, "10/s");
    let set = LimitSet::new([("fast", Member::from(fast)), ("slow", slow.into())]).unwrap();
    assert_eq!(set.check(&[b"k", b"k"], 1).unwrap().decision.delay_ns, 0);
    let paced = set.check(&[b"k", b"k"], 1).unwrap().decision;
    assert_eq!((paced.allowed, paced.delay_ns), (true, S / 2));
    assert_eq!(set.check(&[b"k", b"k"], 1).unwrap().denied_by, Some(1));
}

#[test]
fn a_denial_by_the_set_counts_towards_a_block() {
    let clock = ManualClock::new(0);
    let block = Block::new(2, Duration::from_secs(60), Duration::from_secs(300), 1.0, None).unwrap();
    let config = LimiterConfig { block: Some(block), ..config(Algorithm::TokenBucket, "60/min", Mode::Enforce) };
    let user = limiter(&clock, config);
    let set =
        LimitSet::new([("user", Member::from(user.clone())), ("all", everyone(&clock, "1000/s").into())]).unwrap();
    for _ in 0..2 {
        assert_eq!(set.check(&[b"ada"], 61).unwrap().denied_by, Some(0));
    }
    let blocked = set.check(&[b"ada"], 1).unwrap();
    assert_eq!(blocked.denied_by, Some(0));
    assert!(blocked.decision.retry_after_ns >= 300 * S);
    assert_eq!((user.stats().blocked, user.stats().denied), (1, 3));
    assert!(set.check(&[b"bob"], 1).unwrap().decision.allowed);
}

#[test]
fn modes_of_keyed_members() {
    let clock = ManualClock::new(0);
    let [enforced, dry, off] = [Mode::Enforce, Mode::DryRun, Mode::Disabled].map(|mode| {
        let rate = if mode == Mode::Enforce { "5/min" } else { "2/min" };
        limiter(&clock, config(Algorithm::FixedWindow, rate, mode))
    });
    let members = [("a", &enforced), ("b", &dry), ("c", &off)].map(|(name, limit)| (name, Member::from(limit.clone())));
    let set = LimitSet::new(members).unwrap();
    let keys: [&[u8]; 3] = [b"k"; 3];
    let mut each = [Decision::untouched(0); 3];
    for n in [2, 3] {
        assert!(set.check_each(&keys, n, &mut each).unwrap().decision.allowed);
    }
    assert_eq!(each.map(|told| (told.allowed, told.limit, told.remaining)), [(true, 5, 0), (true, 2, 0), (true, 2, 2)]);
    assert_eq!(set.check_each(&keys, 1, &mut each).unwrap().denied_by, Some(0));
    assert_eq!(each.map(|told| (told.allowed, told.remaining)), [(false, 0), (true, 0), (true, 2)]);
    let counts = [enforced, dry, off].map(|limit| limit.stats()).map(|s| (s.admitted, s.denied, s.would_deny));
    assert_eq!(counts, [(2, 1, 0), (1, 0, 2), (0, 0, 0)]);
}

#[test]
fn each_keyed_limit_wants_its_key() {
    let clock = ManualClock::new(0);
    let user = || Member::from(enforced(&clock, Algorithm::TokenBucket, "5/min"));
    let set = LimitSet::new([("user", user()), ("all", everyone(&clock, "9/s").into()), ("address", user())]).unwrap();
    for keys in [&[][..], &[&b"ada"[..]], &[b"ada", b"10.0.0.1", b"x"]] {
        let error = set.check(keys, 1).unwrap_err();
        assert_eq!(error.field(), "keys");
        let expected = format!("{} given for 2 keyed limits; give one each, in order: user, address", keys.len());
        assert_eq!(error.message(), expected);
    }
    // Any bytes are a key, none at all included.
    let huge = vec![b'x'; 1 << 20];
    for key in [&b""[..], b"\0", b"\xff\xfe", &huge] {
        assert!(set.check(&[key, key], 1).unwrap().decision.allowed);
        assert_eq!(set.peek(&[key, key], 0).unwrap().decision.remaining, 4);
    }
}

#[test]
fn narrow_limits_are_charged_before_wide_ones() {
    let clock = ManualClock::new(0);
    let keyed = |rate: &str| Member::from(enforced(&clock, Algorithm::TokenBucket, rate));
    let set = LimitSet::new([
        ("everyone, an hour", Member::from(everyone(&clock, "9/h"))),
        ("everyone, a second", everyone(&clock, "9/s").into()),
        ("key, an hour", keyed("9/h")),
        ("key, a second", keyed("9/s")),
    ])
    .unwrap();
    assert_eq!(*set.order, [3, 2, 1, 0]);
}
