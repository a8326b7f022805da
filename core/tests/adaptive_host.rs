//! An adaptive limit of several processes, without partitions and with: killed at any instruction, they leave a sane
//! limit and all places behind.
//!
//! A thousand kills of each; `TIDEGATE_CRASH_KILLS` says another number.
#![cfg(target_os = "linux")]

mod children;
#[path = "arena/support.rs"]
#[allow(dead_code, reason = "shared with the arena's tests")]
mod support;

use children::{GENEROUS, child, kill, until};
use std::time::{Duration, Instant};
use support::Place;
use tidegate::concurrency::{
    AdaptiveConfig, ConcurrencyConfig, ConcurrencyLimiter, ConcurrencyPermit, Outcome, Partition, Partitions,
};
use tidegate::limit::Mode;
use tidegate::{Arena, OnConflict};

const MOST: u32 = 16;
const WORKERS: usize = 3;

const SHARES: [(&str, f64); 2] = [("live", 0.7), ("batch", 0.2)];

fn shares(are_any: bool) -> Partitions {
    let partitions = Partitions::new(SHARES.into_iter().filter(|_| are_any)).unwrap();
    partitions.with_priority(are_any.then_some("live")).unwrap()
}

fn host(place: &Place, partitions: Partitions) -> ConcurrencyLimiter {
    let arena = Arena::open(&place.options("pool")).expect("an arena");
    let adaptive = AdaptiveConfig {
        window: Duration::from_millis(10),
        max_window: Duration::from_millis(20),
        samples: 5,
        min_samples: 2,
        ..AdaptiveConfig::default()
    };
    let adaptive = adaptive.within(Some(2), Some(4), Some(MOST));
    let config = ConcurrencyConfig { partitions, mode: Mode::Enforce, ..ConcurrencyConfig::adaptive(adaptive) };
    ConcurrencyLimiter::in_arena(&arena, "service", config, OnConflict::Error).expect("a limiter")
}

/// One of its partitions, or none.
fn any(limiter: &ConcurrencyLimiter, random: &mut fastrand::Rng) -> Partition {
    let names: Vec<&str> = limiter.config().partitions.names().collect();
    names.get(random.usize(..=names.len())).map_or_else(Partition::default, |name| limiter.partition(name).unwrap())
}

/// Takes all that are to be had, is refused, and reports; or waits for one.
fn round(limiter: &ConcurrencyLimiter, random: &mut fastrand::Rng) {
    let of = any(limiter, random);
    let mut held: Vec<ConcurrencyPermit> = std::iter::from_fn(|| limiter.try_acquire_in(of)).collect();
    if random.u8(..8) == 0 {
        let of = any(limiter, random);
        held.extend(limiter.acquire_in(of, Some(Duration::from_micros(random.u64(..2_000)))));
    }
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

fn kill_workers(partitions: Partitions) {
    let kills = std::env::var("TIDEGATE_CRASH_KILLS").map_or(1_000, |text| text.parse().expect("a number"));
    let place = Place::new();
    let limiter = host(&place, partitions);
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
    let last = limiter.partition("live").unwrap_or_default();
    // The first denial takes back what the dead held; it may also end a probe, and raise the limit. What the dead
    // demanded for other partitions fades.
    until("all places are this process's", || {
        while limiter.try_acquire_in(last).is_some() {}
        let holders = limiter.holders();
        holders.len() == 1 && holders[0].permits == limiter.limit() && limiter.in_use() == limiter.limit()
    });
}

#[test]
fn killed_workers_leave_a_sane_limit_and_all_places() {
    kill_workers(shares(false));
}

#[test]
fn killed_workers_leave_partitions_whole() {
    kill_workers(shares(true));
}

fn die_in_a_probe(partitions: Partitions) {
    let place = Place::new();
    let limiter = host(&place, partitions);
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

#[test]
fn the_living_go_on_after_a_death_in_a_probe() {
    die_in_a_probe(shares(false));
}

#[test]
fn the_living_go_on_after_a_death_in_a_probe_of_partitions() {
    die_in_a_probe(shares(true));
}
