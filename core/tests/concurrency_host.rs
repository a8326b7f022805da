//! Permits across processes: forked, killed, and waiting for one another.
#![cfg(target_os = "linux")]

mod children;
#[path = "arena/support.rs"]
#[allow(dead_code, reason = "shared with the arena's tests")]
mod support;

use children::{GENEROUS, child, ends_well, kill, send, until, wait};
use std::time::Duration;
use support::Place;
use tidegate::OnConflict;
use tidegate::concurrency::{ConcurrencyConfig, ConcurrencyLimiter, ConcurrencyPermit};
use tidegate::limit::Mode;
use tidegate::{Arena, Clock};

fn config(limit: u32) -> ConcurrencyConfig {
    ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(limit) }
}

fn host(place: &Place, limit: u32) -> ConcurrencyLimiter {
    let arena = Arena::open(&place.options("pool")).expect("an arena");
    ConcurrencyLimiter::in_arena(&arena, "places", config(limit), OnConflict::Error).expect("a limiter")
}

/// All that are to be had.
fn exhaust(limiter: &ConcurrencyLimiter) -> Vec<ConcurrencyPermit> {
    std::iter::from_fn(|| limiter.try_acquire()).collect()
}

#[test]
fn a_child_owns_nothing_of_its_parents() {
    let place = Place::new();
    let limiter = host(&place, 3);
    let permits: Vec<_> = (0..2).map(|_| limiter.try_acquire().unwrap()).collect();
    ends_well(child(|| {
        // The third is to be had, the parent's two cannot be given back from here.
        let own = limiter.try_acquire().expect("a third");
        permits.iter().all(|permit| !limiter.release(*permit))
            && limiter.try_acquire().is_none()
            && limiter.in_use() == 3
            && limiter.holders().iter().map(|holder| holder.permits).eq([2, 1])
            && limiter.release(own)
    }));
    assert_eq!(limiter.in_use(), 2);
    assert!(permits.into_iter().all(|permit| limiter.release(permit)));
}

#[test]
fn a_child_has_its_own_copy_of_what_has_no_scope() {
    let limiter = ConcurrencyLimiter::with_config(config(2), Clock::monotonic()).unwrap();
    let permits = exhaust(&limiter);
    let waits = limiter.listen(std::task::Waker::noop());
    ends_well(child(|| {
        let none = permits.iter().all(|permit| !limiter.release(*permit));
        let own = exhaust(&limiter);
        // Those who wait here are not behind those who wait there.
        let mut here = limiter.listen(std::task::Waker::noop());
        none && own.len() == 2 && limiter.release(own[0]) && here.take().is_some() && limiter.in_use() == 2
    }));
    assert_eq!(limiter.in_use(), 2);
    drop(waits);
    assert!(permits.into_iter().all(|permit| limiter.release(permit)));
}

/// The parent had one who waited, so that who comes to the child's copy is in a line at once.
#[test]
fn a_child_waits_for_nothing_of_its_parents() {
    let limiter = ConcurrencyLimiter::with_config(config(2), Clock::monotonic()).unwrap();
    let permits = exhaust(&limiter);
    let mut waits = limiter.listen(std::task::Waker::noop());
    for poll in [false, true] {
        ends_well(child(|| {
            let one = if poll { limiter.poll() } else { limiter.acquire(Some(GENEROUS / 12)) };
            let mut other = limiter.listen(std::task::Waker::noop());
            one.is_some() && other.take().is_some() && limiter.try_acquire().is_none() && limiter.in_use() == 2
        }));
    }
    assert!(waits.take().is_none() && limiter.release(permits[0]) && waits.take().is_some());
}

#[test]
fn what_a_killed_process_held_comes_back() {
    let place = Place::new();
    let limiter = host(&place, 4);
    let own = limiter.try_acquire().unwrap();
    let holder = child(|| {
        let _held = exhaust(&limiter);
        loop {
            std::thread::sleep(GENEROUS);
        }
    });
    until("the child holds the rest", || limiter.in_use() == 4);
    assert!(limiter.try_acquire().is_none());
    // Who waits, too, learns of the death by itself.
    let waited = std::thread::scope(|scope| {
        let waits = scope.spawn(|| limiter.acquire(Some(GENEROUS)));
        std::thread::sleep(Duration::from_millis(3));
        kill(holder);
        waits.join().unwrap()
    });
    let back: Vec<_> = exhaust(&limiter).into_iter().chain(waited).chain([own]).collect();
    assert_eq!((back.len(), limiter.stats().reclaimed), (4, 3));
    assert!(back.into_iter().all(|permit| limiter.release(permit)));
}

#[test]
fn the_first_denial_ten_milliseconds_after_a_death_finds_it() {
    let place = Place::new();
    let limiter = host(&place, 2);
    for _ in 0..5 {
        let holder = child(|| {
            let _held = exhaust(&limiter);
            loop {
                std::thread::sleep(GENEROUS);
            }
        });
        until("the child holds all", || limiter.in_use() == 2);
        assert!(limiter.try_acquire().is_none());
        kill(holder);
        std::thread::sleep(Duration::from_millis(10));
        let permit = limiter.try_acquire().expect("at the first");
        assert!(limiter.release(permit));
    }
}

#[test]
fn another_process_waits_and_is_let_in() {
    let place = Place::new();
    let limiter = host(&place, 1);
    let held = limiter.try_acquire().unwrap();
    let waiter = child(|| limiter.acquire(Some(GENEROUS)).is_some_and(|permit| limiter.release(permit)));
    std::thread::sleep(Duration::from_millis(5));
    assert!(limiter.release(held));
    ends_well(waiter);
}

/// Whose turn it is may be killed or stopped: the place is kept for it no longer than a claim holds.
#[test]
fn a_dead_or_stopped_waiter_keeps_no_place() {
    let place = Place::new();
    let limiter = host(&place, 1);
    for signal in [libc::SIGKILL, libc::SIGSTOP] {
        let held = limiter.try_acquire().unwrap();
        let first = child(|| limiter.acquire(None).is_some());
        until("the child waits", || limiter.stats().waiting == 1);
        send(first, signal);
        std::thread::sleep(Duration::from_millis(12));
        assert!(limiter.release(held));
        let start = std::time::Instant::now();
        let permit = limiter.acquire(Some(GENEROUS)).expect("a permit");
        assert!(start.elapsed() < GENEROUS / 10, "{:?}", start.elapsed());
        assert!(limiter.release(permit));
        if signal == libc::SIGSTOP {
            kill(first);
        } else {
            wait(first);
        }
        until("its seat is given up", || limiter.stats().waiting == 0);
    }
}

/// Killed at whatever instruction: afterwards everything is to be had, and never more than the limit.
#[test]
fn killed_at_random_nothing_is_lost() {
    let place = Place::new();
    let limiter = host(&place, 5);
    for round in 0..60_u64 {
        let children: Vec<_> = (0..3)
            .map(|_| {
                child(|| {
                    loop {
                        let held = exhaust(&limiter);
                        let late = limiter.acquire(Some(Duration::from_micros(200)));
                        held.into_iter().chain(late).for_each(|permit| assert!(limiter.release(permit)));
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_micros(300 + 97 * round % 2_000));
        for pid in children {
            kill(pid);
            let mine = exhaust(&limiter);
            assert!(mine.len() <= 5);
            assert!(mine.into_iter().all(|permit| limiter.release(permit)));
        }
        let mut all = Vec::new();
        until("all of it comes back", || {
            all.extend(exhaust(&limiter));
            all.len() == 5
        });
        assert_eq!(limiter.in_use(), 5);
        assert!(all.into_iter().all(|permit| limiter.release(permit)));
    }
    assert_eq!(limiter.in_use(), 0);
}
