//! A look stores nothing: with whatever reading it comes, nobody's answers are others for it.

use super::stress::shuffle;
use super::{MS, S, limiter};
use std::sync::Arc;
use std::time::Duration;
use tidegate::limit::{Algorithm, LimitSet, RateLimiter};
use tidegate::{ManualClock, Quota, TokenBucket};

const BURST: u32 = 10;
const KEYS: u64 = 12;

/// Every way to look, at `now`.
fn look(limiter: &RateLimiter, now: u64, key: &[u8]) {
    let _ = limiter.peek_at(now, key, None);
    let _ = limiter.check_at(now, key, 0);
    let _ = limiter.try_acquire_at(now, key, 0);
    let _ = limiter.hit_at(now, key, 0);
    let _ = limiter.windows_at(now, key);
    let _ = (limiter.len_at(now), limiter.stats());
}

#[test]
fn looks_ahead_change_no_answer() {
    for algorithm in Algorithm::ALL {
        // A line, and some: keys share lines and the sketch, so that what one look does meets other keys.
        for max_keys in [1, 100] {
            let [looked_at, other] = [(); 2].map(|()| limiter(algorithm, BURST.into(), S, BURST.into(), max_keys));
            // The same keys on the same few cells: which share, the hash's secret says, so only as many as have a cell.
            let keys = if max_keys == 1 { 7 } else { KEYS };
            let (mut now, mut pick) = (1_000 * S, 0x9e37_79b9_7f4a_7c15 ^ max_keys as u64);
            for step in 0..1_500 {
                let random = shuffle(&mut pick);
                let ahead = [0, 1, 2 * S, 61 * S, 3_600 * S, 86_400 * S, 1 << 57][random as usize % 7];
                look(&looked_at, now + ahead, &[(random >> 8) as u8 % keys as u8]);
                let (key, n) = ([(random >> 16) as u8 % keys as u8], 1 + (random >> 24) as u32 % 4);
                let answers = [&looked_at, &other].map(|limiter| {
                    if random >> 40 & 15 == 0 {
                        limiter.penalize_at(now, &key, Duration::from_millis(random >> 50));
                    }
                    (limiter.peek_at(now, &key, None), limiter.check_at(now, &key, n), limiter.len_at(now))
                });
                assert_eq!(answers[0], answers[1], "{algorithm} of {max_keys} at step {step}");
                now += [0, 7 * MS, 300 * MS, 20 * S, 700 * S][(random >> 32) as usize % 5];
            }
        }
    }
}

/// The case that was reported: a monitor whose clock is two seconds ahead.
#[test]
fn new_keys_do_not_pay_for_a_look_ahead() {
    for algorithm in Algorithm::ALL {
        let limiter = limiter(algorithm, BURST.into(), S, BURST.into(), 1_000);
        for ahead in [2 * S, 59 * S, 2_000 * S, 400 * 86_400 * S] {
            look(&limiter, 100 * S + ahead, b"new");
            let key = ahead.to_le_bytes();
            assert!(limiter.check_at(100 * S, &key, BURST).allowed, "{algorithm} after a look {ahead} ns ahead");
        }
    }
}

/// A look answers as of its reading, also where the line would have to be swept for that.
#[test]
fn a_look_ahead_sees_what_a_call_would_get() {
    for algorithm in Algorithm::ALL {
        for ahead in [0, 500 * MS, S, 2 * S, 10 * S, 3_600 * S, 400 * 86_400 * S] {
            let at = 1_000_000 * S;
            let limiter = limiter(algorithm, BURST.into(), S, BURST.into(), 1);
            assert!(limiter.check_at(at, b"key", BURST).allowed);
            assert!(limiter.penalize_at(at, b"pen", Duration::from_secs(3)));
            for key in [b"key", b"pen", b"new"] {
                let seen = limiter.peek_at(at + ahead, key, None);
                let got = limiter.check_at(at + ahead, key, 1);
                assert_eq!(seen.allowed, got.allowed, "{algorithm} {ahead} ahead");
                let left = seen.remaining - u32::from(got.allowed);
                assert_eq!((left, seen.retry_after_ns), (got.remaining, got.retry_after_ns), "{algorithm} {ahead}");
            }
        }
    }
}

#[test]
fn looks_at_a_bucket_and_a_set_store_nothing() {
    let clock = ManualClock::new(0);
    let quota = Quota::new(BURST.into(), Duration::from_secs(1)).expect("a quota");
    let bucket = Arc::new(TokenBucket::with_clock(quota, (&clock).into()));
    for algorithm in Algorithm::ALL {
        let keyed = Arc::new(limiter(algorithm, BURST.into(), S, BURST.into(), 1_000));
        let set = LimitSet::new([("user", keyed.into())]).expect("a set");
        for ahead in [2 * S, 3_600 * S] {
            let _ = set.peek_at(100 * S + ahead, &[b"new"], 1);
            let _ = set.check_at(100 * S + ahead, &[b"new"], 0);
            let _ = (bucket.peek_at(100 * S + ahead), bucket.try_acquire_at(100 * S + ahead, 0));
            let key = ahead.to_le_bytes();
            assert!(set.check_at(100 * S, &[&key], BURST).expect("a key").decision.allowed, "{algorithm} {ahead}");
        }
    }
    assert!(bucket.try_acquire_at(100 * S, BURST));
}

/// A set that denies only looks. It heals from a bad reading all the same.
#[test]
fn a_set_that_only_looks_heals_from_a_bad_reading() {
    let clock = ManualClock::new(0);
    for algorithm in Algorithm::ALL {
        let keyed: Arc<RateLimiter> = Arc::new(limiter(algorithm, BURST.into(), S, BURST.into(), 1));
        let quota = Quota::new(BURST.into(), Duration::from_secs(1)).expect("a quota");
        let all = Arc::new(TokenBucket::with_clock(quota, (&clock).into()));
        let sets = [
            LimitSet::new([("user", keyed.into())]).expect("a set"),
            LimitSet::new([("all", all.into())]).expect("a set"),
        ];
        for (at, (set, keys)) in sets.iter().zip([&[&b"key"[..]][..], &[]]).enumerate() {
            let take = |now| set.check_at(now, keys, BURST).expect("a key").decision.allowed;
            let (start, ahead) = (100_000 * S, 3_600 * S);
            assert!(take(start) && take(start + ahead), "{algorithm}");
            let healed = (1..200).find(|second| take(start + second * S));
            assert!(healed.is_some_and(|second| second <= 64), "{algorithm} {at}: {healed:?}");
        }
    }
}
