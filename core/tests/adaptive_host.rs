//! An adaptive limit of several processes: killed at any instruction, they leave a sane limit and all places behind.
//!
//! Some hundred kills; `TIDEGATE_CRASH_KILLS=1000` for more.
#![cfg(target_os = "linux")]

mod children;
#[path = "arena/support.rs"]
#[allow(dead_code, reason = "shared with the arena's tests")]
mod support;

use children::{GENEROUS, child, kill, until};
use std::time::{Duration, Instant};
use support::Place;
use tidegate::concurrency::{AdaptiveConfig, ConcurrencyConfig, ConcurrencyLimiter, ConcurrencyPermit, Outcome};
use tidegate::limit::Mode;
use tidegate::{Arena, OnConflict};

const MOST: u32 = 16;
const WORKERS: usize = 3;

fn host(place: &Place) -> ConcurrencyLimiter {
    let arena = Arena::open(&place.options("pool")).expect("an arena");
    let adaptive = AdaptiveConfig {
        window: Duration::from_millis(10),
        max_window: Duration::from_millis(20),
        samples: 5,
        min_samples: 2,
        ..AdaptiveConfig::default()
    };
    let adaptive = adaptive.within(Some(2), Some(4), Some(MOST));
    let config = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::adaptive(adaptive) };
    ConcurrencyLimiter::in_arena(&arena, "service", config, OnConflict::Error).expect("a limiter")
}

/// Takes all that are to be had, is refused, and reports.
fn round(limiter: &ConcurrencyLimiter, random: &mut fastrand::Rng) {
    let held: Vec<ConcurrencyPermit> = std::iter::from_fn(|| limiter.try_acquire()).collect();
    if random.u8(..8) == 0 {
        std::thread::sleep(Duration::from_micros(random.u64(..500)));
    }
    for permit in held {
        assert!(limiter.report(permit, Outcome::ALL[random.usize(..3)]), "one's own permit");
    }
}

fn worker(limiter: &ConcurrencyLimiter, seed: u64) -> libc::pid_t {
    child(|| {
        let (mut random, start) = (fastrand::Rng::with_seed(seed), Instant::now());
        while start.elapsed() < GENEROUS {
            round(limiter, &mut random);
        }
        true
    })
}

#[test]
fn killed_workers_leave_a_sane_limit_and_all_places() {
    let kills = std::env::var("TIDEGATE_CRASH_KILLS").map_or(200, |text| text.parse().expect("a number"));
    let place = Place::new();
    let limiter = host(&place);
    let mut random = fastrand::Rng::with_seed(7);
    let mut workers: Vec<_> = (0..WORKERS as u64).map(|seed| worker(&limiter, seed)).collect();
    for number in 0..kills {
        std::thread::sleep(Duration::from_micros(random.u64(..4_000)));
        let index = random.usize(..WORKERS);
        kill(workers[index]);
        assert!((1..=MOST).contains(&limiter.limit()), "{}", limiter.limit());
        assert!(limiter.in_use() <= MOST);
        round(&limiter, &mut random);
        workers[index] = worker(&limiter, number);
    }
    workers.into_iter().for_each(kill);
    std::thread::sleep(Duration::from_millis(10));
    // The first denial takes back what the dead held; it may also end a probe, and raise the limit.
    until("all places are this process's", || {
        while limiter.try_acquire().is_some() {}
        let holders = limiter.holders();
        holders.len() == 1 && holders[0].permits == limiter.limit() && limiter.in_use() == limiter.limit()
    });
}

#[test]
fn the_living_go_on_after_a_death_in_a_probe() {
    let place = Place::new();
    let limiter = host(&place);
    let is_probe = || limiter.explain().iter().any(|line| line.starts_with("probe: under way"));
    // A worker that is refused and never looked probes at the end of its first window.
    for seed in 0..20 {
        let probes = worker(&limiter, seed);
        let start = Instant::now();
        while !is_probe() && start.elapsed() < Duration::from_millis(60) {
            std::thread::yield_now();
        }
        kill(probes);
        let mut random = fastrand::Rng::with_seed(seed);
        until("the probe ends", || {
            (0..20).for_each(|_| round(&limiter, &mut random));
            !is_probe()
        });
        assert!((2..=MOST).contains(&limiter.limit()));
    }
}
