//! One saturated limit, processes that want the same of it: equal shares, and no wait much longer than in one line.
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "shared with other tests of processes")]
mod children;
#[path = "arena/support.rs"]
#[allow(dead_code, reason = "shared with the arena's tests")]
mod support;

use children::{GENEROUS, child, until, wait};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::Place;
use tidegate::concurrency::{ConcurrencyConfig, ConcurrencyLimiter};
use tidegate::limit::Mode;
use tidegate::{Arena, OnConflict};

const LIMIT: u32 = 4;
const WAITERS: usize = 20;
const PROCESSES: usize = 4;
const HELD: Duration = Duration::from_millis(10);
const RUN: Duration = Duration::from_millis(2_500);

fn host(place: &Place) -> ConcurrencyLimiter {
    let arena = Arena::open(&place.options("pool")).expect("an arena");
    let config = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(LIMIT) };
    ConcurrencyLimiter::in_arena(&arena, "places", config, OnConflict::Error).expect("a limiter")
}

/// What a process got, and its longest wait.
#[derive(Debug)]
struct Share {
    permits: u64,
    longest: Duration,
}

/// `waiters` threads that take, hold and give back until the time is over.
fn work(limiter: &ConcurrencyLimiter, waiters: usize) -> Share {
    let (permits, longest, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..waiters {
            scope.spawn(|| {
                // Relaxed, all: the scope's end orders them.
                while !over.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    let permit = limiter.acquire(Some(GENEROUS)).expect("a permit");
                    longest.fetch_max(asked.elapsed().as_nanos() as u64, Ordering::Relaxed);
                    if !over.load(Ordering::Relaxed) {
                        permits.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(HELD);
                    }
                    assert!(limiter.release(permit));
                }
            });
        }
        std::thread::sleep(RUN);
        over.store(true, Ordering::Relaxed);
    });
    Share { permits: permits.into_inner(), longest: Duration::from_nanos(longest.into_inner()) }
}

/// The shares of `processes` that begin together.
fn shares(processes: usize, waiters: usize) -> Vec<Share> {
    let place = Place::new();
    drop(host(&place));
    let file = |what: &str| place.path().join(what);
    let children: Vec<_> = (0..processes)
        .map(|number| {
            child(|| {
                let limiter = host(&place);
                std::fs::write(file(&format!("ready-{number}")), "").expect("written");
                until("all are there", || file("go").exists());
                let Share { permits, longest } = work(&limiter, waiters);
                std::fs::write(file(&format!("share-{number}")), format!("{permits} {}", longest.as_nanos())).is_ok()
            })
        })
        .collect();
    until("all are there", || (0..processes).all(|number| file(&format!("ready-{number}")).exists()));
    std::fs::write(file("go"), "").expect("written");
    children.into_iter().for_each(|pid| assert_eq!(wait(pid), 0, "exit status of a child"));
    let share = |number| {
        let text = std::fs::read_to_string(file(&format!("share-{number}"))).expect("written");
        let mut words = text.split(' ').map(|word| word.parse::<u64>().expect("a number"));
        let mut next = || words.next().expect("two numbers");
        Share { permits: next(), longest: Duration::from_nanos(next()) }
    };
    (0..processes).map(share).collect()
}

#[test]
fn equal_demands_get_equal_shares() {
    let alone = shares(1, PROCESSES * WAITERS);
    let together = shares(PROCESSES, WAITERS);
    let total = together.iter().map(|share| share.permits).sum::<u64>();
    println!("alone: {alone:?}\ntogether: {together:?}, {total}");
    let fair = total as f64 / PROCESSES as f64;
    // What each waits in one line that moves as fast: a loaded machine makes that longer, whatever the order.
    let in_one_line = RUN.mul_f64((PROCESSES * WAITERS) as f64 / total.max(1) as f64);
    let longest = 2 * in_one_line.max(alone[0].longest);
    for share in &together {
        assert!((0.8..=1.25).contains(&(share.permits as f64 / fair)), "{together:?}");
        assert!(share.longest <= longest, "{together:?}, alone {alone:?}");
    }
    // No process sleeps beside a free place: how many a machine has time for is its own affair, once for each is not.
    assert!(total >= (PROCESSES * WAITERS) as u64, "{total} permits together, {} alone", alone[0].permits);
}
