//! What happens in the middle of a sweep of a line: late threads that come between its steps, and the sweeper's death.

use super::reclaim::halfway;
use super::*;
use crate::ManualClock;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

const S: u64 = 1_000_000_000;
const BURST: u32 = 10;
const RATE: &str = "10/s";
const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::TokenBucket, Algorithm::LeakyBucket, Algorithm::FixedWindow, Algorithm::SlidingWindow];

/// Of one line, so that whoever comes sweeps it, with two keys that were charged all at `at`.
fn charged(algorithm: Algorithm, at: u64) -> Arc<RateLimiter> {
    let config = LimiterConfig { max_keys: 1, ..LimiterConfig::new(algorithm, RATE.parse().unwrap()) };
    let limiter = RateLimiter::with_config(config, ManualClock::new(0).into()).unwrap();
    for key in [b"key", b"oth"] {
        assert!(limiter.check_at(at, key, BURST).allowed);
    }
    Arc::new(limiter)
}

/// From what a line can read to several times what ticks can tell apart, for all algorithms.
fn ahead() -> impl Iterator<Item = u64> {
    (1..150).map(|step| step * S * 9 / 4)
}

const AT: u64 = 1_000_000 * S + 7;

#[test]
fn a_late_thread_between_the_steps_of_a_sweep_mints_nothing() {
    for algorithm in ALGORITHMS {
        for ahead in ahead() {
            let limiter = charged(algorithm, AT);
            let (late, admitted) = (limiter.clone(), Arc::new(AtomicU64::new(0)));
            let count = admitted.clone();
            // In the very epoch of the line's last sweep, and while what was charged there counts.
            halfway::set(move || {
                let taken = late.check_at(AT + 1, b"key", 1).allowed;
                count.fetch_add(taken.into(), Ordering::Relaxed);
            });
            assert!(limiter.check_at(AT + ahead, b"oth", 1).allowed, "{algorithm} {ahead}");
            halfway::clear();
            assert_eq!(admitted.load(Ordering::Relaxed), 0, "{algorithm}, a sweep {ahead} ns later");
            // What the late thread did to the line costs nobody anything.
            assert!(limiter.check_at(AT + ahead, b"key", BURST).allowed, "{algorithm} {ahead}");
            assert!(!limiter.check_at(AT + ahead, b"key", BURST).allowed, "{algorithm} {ahead}");
        }
    }
}

#[test]
fn a_sweeper_that_dies_at_any_step_stops_nobody() {
    for algorithm in ALGORITHMS {
        for ahead in ahead().step_by(7) {
            for step in 0..9 {
                let limiter = charged(algorithm, AT);
                let mut steps = 0..step;
                halfway::set(move || assert!(steps.next().is_some(), "dies here"));
                let sweep = AssertUnwindSafe(|| limiter.check_at(AT + ahead, b"oth", 1));
                let died = catch_unwind(sweep).is_err();
                halfway::clear();
                assert_eq!(limiter.len_at(AT + ahead), usize::from(!died), "{algorithm} {ahead} {step}");
                assert!(!limiter.check_at(AT + 1, b"key", 1).allowed, "{algorithm} {ahead} {step}");
                assert!(limiter.check_at(AT + ahead, b"key", BURST).allowed, "{algorithm} {ahead} {step}");
                assert!(!limiter.check_at(AT + ahead, b"key", BURST).allowed, "{algorithm} {ahead} {step}");
                assert!(limiter.check_at(AT + ahead, b"new", 1).allowed, "{algorithm} {ahead} {step}");
            }
        }
    }
}

/// A sweep that takes its time, against a thread that is late by more than a line can read.
#[test]
fn threads_that_are_late_race_with_sweeps_and_mint_nothing() {
    const ROUNDS: u64 = 300;
    for algorithm in ALGORITHMS {
        let (limiter, start, minted) = (charged(algorithm, AT), Barrier::new(2), AtomicU64::new(0));
        let at = |round: u64| AT + round * (1_000 + 3 * round) * S;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                halfway::set(std::thread::yield_now);
                for round in 0..ROUNDS {
                    start.wait();
                    let _ = limiter.check_at(at(round + 1), b"oth", 1);
                    start.wait();
                    let _ = limiter.check_at(at(round + 1), b"key", BURST);
                    start.wait();
                }
            });
            for round in 0..ROUNDS {
                start.wait();
                for _ in 0..20 {
                    let taken = limiter.check_at(at(round) + 1, b"key", 1).allowed;
                    minted.fetch_add(taken.into(), Ordering::Relaxed);
                    std::thread::yield_now();
                }
                start.wait();
                start.wait();
            }
        });
        assert_eq!(minted.into_inner(), 0, "{algorithm}");
    }
}
