//! Concurrency limit beside tokio's `Semaphore`: take a permit that is to be had, give it back.

use crate::harness::{Contender, Plan, Row};
use std::hint::black_box;
use tidegate::concurrency::{AdaptiveConfig, Outcome};
use tidegate::limit::Mode;
use tidegate::{Arena, Clock, ConcurrencyConfig, ConcurrencyLimiter, OnConflict};
use tokio::sync::Semaphore;

const LIMIT: u32 = 64;

pub fn rows(plan: &Plan) {
    plan.measure(Row {
        work: "permit, acquire + release, 1 thread",
        threads: 1,
        floor: None,
        targets: &[("tokio Semaphore", 1.0)],
        contenders: vec![tidegate(), semaphore(), in_arena()],
    });
    plan.measure(Row {
        work: "permit, acquire + release, 2 threads",
        threads: 2,
        floor: None,
        targets: &[("tokio Semaphore", 0.6)],
        contenders: vec![tidegate(), semaphore(), in_arena()],
    });
    // Of a busy limit's calls few are measured: known after some thousand, so one object for all rounds.
    Plan { keep: usize::MAX, ..plan.clone() }.measure(Row {
        work: "permit, adaptive: acquire + success, 1 thread",
        threads: 1,
        floor: None,
        targets: &[("fixed limit", 1.5)],
        contenders: vec![adaptive(), fixed()],
    });
    plan.measure(Row {
        work: "permit, adaptive: acquire + success, every call measured",
        threads: 1,
        floor: None,
        targets: &[],
        contenders: vec![adaptive(), fixed()],
    });
    plan.measure(Row {
        work: "permit, denied, 1 thread",
        threads: 1,
        floor: None,
        targets: &[],
        contenders: vec![denied("tidegate", 10), refused(), denied("tidegate, limit 4096", 4_096)],
    });
}

fn config(limit: u32) -> ConcurrencyConfig {
    ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(limit) }
}

fn limiter(limit: u32) -> ConcurrencyLimiter {
    ConcurrencyLimiter::with_config(config(limit), Clock::monotonic()).expect("valid settings")
}

fn taken_and_given_back(limiter: ConcurrencyLimiter) -> impl Fn() -> bool + Send + Sync {
    move || {
        let permit = black_box(&limiter).try_acquire().expect("one is to be had");
        limiter.release(black_box(permit))
    }
}

fn tidegate() -> Contender {
    Contender::new("tidegate", || taken_and_given_back(limiter(LIMIT)))
}

fn fixed() -> Contender {
    Contender::new("fixed limit", || taken_and_given_back(limiter(LIMIT)))
}

fn adaptive() -> Contender {
    Contender::new("tidegate", || {
        let config =
            ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::adaptive(AdaptiveConfig::default()) };
        let limiter = ConcurrencyLimiter::with_config(config, Clock::monotonic()).expect("valid settings");
        move || {
            let permit = black_box(&limiter).try_acquire().expect("one is to be had");
            limiter.report(black_box(permit), Outcome::Success)
        }
    })
}

fn in_arena() -> Contender {
    Contender::new("tidegate in an arena", || {
        let arena = Arena::private("bench", 1 << 20, Clock::monotonic()).expect("an arena");
        let limiter = ConcurrencyLimiter::in_arena(&arena, "permits", config(LIMIT), OnConflict::Error);
        taken_and_given_back(limiter.expect("valid settings"))
    })
}

fn semaphore() -> Contender {
    Contender::new("tokio Semaphore", || {
        let semaphore = Semaphore::new(LIMIT as usize);
        move || drop(black_box(black_box(&semaphore).try_acquire().expect("one is to be had")))
    })
}

fn denied(name: &'static str, limit: u32) -> Contender {
    Contender::new(name, move || {
        let limiter = limiter(limit);
        while limiter.try_acquire().is_some() {}
        move || assert!(black_box(&limiter).try_acquire().is_none())
    })
}

fn refused() -> Contender {
    Contender::new("tokio Semaphore", || {
        let semaphore = Semaphore::new(10);
        semaphore.try_acquire_many(10).expect("all of it").forget();
        move || assert!(black_box(&semaphore).try_acquire().is_err())
    })
}
