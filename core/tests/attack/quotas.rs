//! Invariant: whatever quotas a key is asked with and the limiter is told meanwhile, at one instant it admits no more
//! than the largest of their bursts; and over time no more than that for each of the shortest of their times to fill.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate::limit::{Algorithm, BucketConfig, LimiterConfig, Mode, RateLimiter, Reservation, WarmUp};
use tidegate::{ManualClock, Quota, TokenBucket};

fn quota(count: u64, seconds: u64) -> Quota {
    Quota::new(count, Duration::from_secs(seconds)).expect("a quota")
}

/// The first has the largest burst, and fills sooner than any.
fn quotas(algorithm: Algorithm) -> [Quota; 3] {
    match algorithm {
        Algorithm::TokenBucket | Algorithm::LeakyBucket => [quota(60, 1), quota(20, 20), quota(40, 7)],
        Algorithm::FixedWindow => [quota(60, 1), quota(20, 3), quota(40, 2)],
        _ => [quota(60, 1), quota(20, 1), quota(40, 1)],
    }
}

fn limiter(algorithm: Algorithm, warm_up: Option<WarmUp>, clock: &ManualClock) -> RateLimiter {
    let mut config = LimiterConfig::new(algorithm, quota(60, 1));
    (config.max_keys, config.mode, config.warm_up) = (50, Mode::Enforce, warm_up);
    config.fastest = match algorithm {
        Algorithm::SlidingLog => None,
        Algorithm::FixedWindow => Some(quota(100, 3)),
        _ => Some(quota(100, 1)),
    };
    RateLimiter::with_config(config, clock.into()).expect("a limiter")
}

#[test]
fn tiers_and_changes_amid_traffic() {
    for algorithm in Algorithm::ALL {
        for round in 0..25 {
            let clock = ManualClock::new(1_000_000_000_000);
            let limiter = limiter(algorithm, None, &clock);
            let quotas = quotas(algorithm);
            let tiers: Vec<_> = quotas.iter().map(|&quota| limiter.tier(quota).expect("a tier")).collect();
            let admitted = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for thread in 0..3 {
                    let (limiter, tiers, admitted) = (&limiter, &tiers, &admitted);
                    scope.spawn(move || {
                        for step in 0..200 {
                            let yes = match fastrand::usize(..5) {
                                0 if thread == 0 => {
                                    let _ = limiter.set_quota(quotas[fastrand::usize(..3)]);
                                    false
                                }
                                at @ 1..4 => limiter.try_acquire_tier(b"key", 1, &tiers[at - 1]),
                                _ if step % 7 == 0 => {
                                    let _ = limiter.peek(b"key", None);
                                    false
                                }
                                _ => limiter.try_acquire(b"key", 1),
                            };
                            admitted.fetch_add(yes.into(), Ordering::Relaxed);
                        }
                    });
                }
            });
            let admitted = admitted.into_inner();
            assert!(admitted <= 60, "{algorithm:?}: {admitted} of 60 in round {round}");
            // What a leaky bucket would delay is denied.
            assert!(admitted >= if algorithm == Algorithm::LeakyBucket { 1 } else { 20 }, "{algorithm:?}: {admitted}");
        }
    }
}

#[test]
fn tiers_over_time() {
    for algorithm in Algorithm::ALL {
        for round in 0..4 {
            let clock = ManualClock::new(1_000_000_000_000);
            let limiter = limiter(algorithm, None, &clock);
            let quotas = quotas(algorithm);
            let tiers: Vec<_> = quotas.iter().map(|&quota| limiter.tier(quota).expect("a tier")).collect();
            let (mut times, mut now) = (Vec::new(), 1_000_000_000_000u64);
            for _ in 0..1_000 {
                if fastrand::u8(..4) == 0 {
                    now += fastrand::u64(..20_000_000);
                    clock.set(now);
                }
                let yes = match fastrand::usize(..12) {
                    0 => {
                        let _ = limiter.set_quota(quotas[fastrand::usize(..3)]);
                        false
                    }
                    at @ 1..7 => limiter.try_acquire_tier(b"key", 1, &tiers[at % 3]),
                    _ => limiter.try_acquire(b"key", 1),
                };
                if yes {
                    times.push(now);
                }
            }
            for (at, &from) in times.iter().enumerate() {
                for (upto, &to) in times.iter().enumerate().skip(at) {
                    let most = match algorithm {
                        Algorithm::TokenBucket | Algorithm::LeakyBucket => 60 + (to - from) * 60 / 1_000_000_000 + 1,
                        Algorithm::SlidingLog => 60 * ((to - from) / 1_000_000_000 + 1),
                        _ => 60 * ((to - from) / 1_000_000_000 + 2),
                    };
                    let count = (upto - at + 1) as u64;
                    assert!(count <= most, "{algorithm:?}: {count} of {most} within {} in round {round}", to - from);
                }
            }
        }
    }
}

#[test]
fn a_warming_limit_amid_threads() {
    for algorithm in Algorithm::ALL {
        for _ in 0..25 {
            let clock = ManualClock::new(1_000_000_000_000);
            let limiter = limiter(algorithm, WarmUp::new(Duration::from_secs(100), 0.2).ok(), &clock);
            // A fifth and 1 % of the rest.
            let (since, burst) = if fastrand::bool() { (0, 12) } else { (50, 36) };
            clock.set(1_000_000_000_000 + since * 1_000_000_000);
            let admitted = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        for _ in 0..60 {
                            let yes = limiter.try_acquire(b"key", 1 + fastrand::u32(..2));
                            admitted.fetch_add(yes.into(), Ordering::Relaxed);
                        }
                    });
                }
            });
            assert!(admitted.into_inner() <= burst, "{algorithm:?}: {burst} at {since}");
        }
    }
}

/// A bucket keeps its level in tokens.
#[test]
fn changes_of_a_bucket_s_quota_amid_traffic() {
    let quotas = [quota(60, 1), quota(20, 1), quota(30, 10), quota(60, 3_600)];
    for round in 0..80 {
        let clock = ManualClock::new(1_000_000_000_000);
        let options = BucketConfig { stripes: [1, 4][round % 2], mode: Mode::Enforce, warm_up: None };
        let bucket = TokenBucket::with_options(quotas[0], options, (&clock).into()).expect("a bucket");
        let admitted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (bucket, admitted) = (&bucket, &admitted);
                scope.spawn(move || {
                    for _ in 0..100 {
                        let took = match fastrand::usize(..6) {
                            0 | 1 if thread < 2 => {
                                bucket.set_quota(quotas[fastrand::usize(..4)]).expect("set");
                                0
                            }
                            2 => match bucket.reserve(1, None) {
                                Reservation::Booked { ticket, wait_ns } => {
                                    let stands = wait_ns == 0 && !bucket.cancel(ticket);
                                    if wait_ns > 0 {
                                        bucket.cancel(ticket);
                                    }
                                    stands.into()
                                }
                                _ => 0,
                            },
                            _ => u64::from(bucket.try_acquire(1)),
                        };
                        admitted.fetch_add(took, Ordering::Relaxed);
                    }
                });
            }
        });
        let admitted = admitted.into_inner();
        assert!(admitted <= 60, "{admitted} of 60 in round {round}");
    }
}
