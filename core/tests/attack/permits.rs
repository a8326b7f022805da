//! Invariant: whatever processes with waiting threads are forked, killed and told other limits, the living never hold
//! more than the limit, everybody goes on, and in the end every place is free again.
#![allow(unsafe_code)] // a page shared with children of fork

use crate::children::{GENEROUS, child, kill, page, until};
use crate::support::Place;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::Waker;
use std::time::{Duration, Instant};
use tidegate::concurrency::{ConcurrencyConfig, ConcurrencyLimiter};
use tidegate::limit::Mode;
use tidegate::{Arena, OnConflict};

const LIMIT: u32 = 4;
const CHILDREN: usize = 7;
const THREADS: usize = 3;

/// What parent and children see alike: a byte each for how many permits it holds, and whom the parent kills.
struct Seen {
    held: AtomicU64,
    dying: AtomicU64,
    rounds: [AtomicU64; CHILDREN + 1],
}

impl Seen {
    fn shared() -> &'static Self {
        // SAFETY: atomics only.
        unsafe { page() }
    }

    fn hold(&self, who: usize) {
        let held = self.held.fetch_add(1 << (8 * who), SeqCst) + (1 << (8 * who));
        // After the look: whose places are others' by now had been marked before.
        let dying = self.dying.load(SeqCst);
        let living = (0..=CHILDREN).filter(|&one| dying & 1 << one == 0);
        let sum: u64 = living.map(|one| held >> (8 * one) & 0xff).sum();
        if sum > u64::from(LIMIT) {
            eprintln!("{sum} held of {LIMIT}: {held:016x}, dying {dying:x}, by {who}");
            std::process::abort();
        }
        self.rounds[who].fetch_add(1, SeqCst);
    }

    fn give_up(&self, who: usize) {
        self.held.fetch_sub(1 << (8 * who), SeqCst);
    }

    /// One way or another to a permit, and back.
    fn round(&self, limiter: &ConcurrencyLimiter, who: usize) {
        let permit = match fastrand::u8(0..8) {
            0..3 => limiter.try_acquire(),
            3..6 => limiter.acquire(Some(Duration::from_micros(fastrand::u64(0..8_000)))),
            // Given up, perhaps with a permit.
            6 => {
                let mut listener = limiter.listen(Waker::noop());
                let _ = listener.retry_in();
                if fastrand::bool() { listener.take() } else { None }
            }
            _ => {
                limiter.set_limit(fastrand::u32(1..=LIMIT)).expect("in range");
                None
            }
        };
        if let Some(permit) = permit {
            self.hold(who);
            if fastrand::bool() {
                std::thread::yield_now();
            }
            self.give_up(who);
            if !limiter.release(permit) || limiter.release(permit) {
                eprintln!("a permit given back not once");
                std::process::abort();
            }
        }
    }
}

fn work(limiter: &ConcurrencyLimiter, seen: &Seen, who: usize, stop: &AtomicBool) {
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                fastrand::seed(std::process::id() as u64 * 31 + seen.held.load(SeqCst));
                while !stop.load(SeqCst) {
                    seen.round(limiter, who);
                }
            });
        }
    });
}

#[test]
fn permits_of_processes_forked_amid_waiting_and_killed() {
    let place = Place::new();
    let arena = Arena::open(&place.options("pool")).expect("an arena");
    let config = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(LIMIT) };
    let limiter = ConcurrencyLimiter::in_arena(&arena, "places", config, OnConflict::Error).expect("a limiter");
    let (seen, stop) = (Seen::shared(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    seen.round(&limiter, 0);
                }
            });
        }
        let mut living = Vec::new();
        for who in 1..=CHILDREN {
            living.push((
                who,
                child(|| {
                    work(&limiter, seen, who, &AtomicBool::new(false));
                    true
                }),
            ));
            std::thread::sleep(Duration::from_millis(fastrand::u64(0..60)));
            if living.len() > 3 {
                let (who, pid) = living.swap_remove(fastrand::usize(..living.len()));
                seen.dying.fetch_or(1 << who, SeqCst);
                kill(pid);
            }
        }
        for (who, _) in &living {
            let (before, start) = (seen.rounds[*who].load(SeqCst), Instant::now());
            while seen.rounds[*who].load(SeqCst) == before && start.elapsed() < GENEROUS / 4 {
                std::thread::sleep(Duration::from_millis(1));
            }
            if seen.rounds[*who].load(SeqCst) == before {
                eprintln!("{who} gets nothing: {:?}", limiter.stats());
                std::process::abort();
            }
        }
        for (who, pid) in living {
            seen.dying.fetch_or(1 << who, SeqCst);
            kill(pid);
        }
        stop.store(true, SeqCst);
    });
    limiter.set_limit(LIMIT).expect("in range");
    std::thread::sleep(Duration::from_millis(30));
    let all: Vec<_> = (0..LIMIT).map(|_| limiter.acquire(Some(GENEROUS / 4)).expect("a place")).collect();
    assert!(limiter.try_acquire().is_none());
    assert!(all.into_iter().all(|permit| limiter.release(permit)));
    assert_eq!(limiter.in_use(), 0);
}

/// A child of fork keeps nothing of a killed parent's alive.
#[test]
fn a_killed_parent_s_permits_come_back_though_its_child_lives() {
    let place = Place::new();
    let arena = Arena::open(&place.options("pool")).expect("an arena");
    let config = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(LIMIT) };
    let limiter = ConcurrencyLimiter::in_arena(&arena, "places", config, OnConflict::Error).expect("a limiter");
    for uses in [false, true] {
        let seen = Seen::shared();
        let parent = child(|| {
            let _held: Vec<_> = (0..LIMIT).map_while(|_| limiter.try_acquire()).collect();
            let grandchild = child(|| {
                if uses {
                    let _ = limiter.try_acquire();
                }
                seen.dying.store(1, SeqCst);
                std::thread::sleep(GENEROUS / 4);
                true
            });
            seen.held.store(grandchild as u64, SeqCst);
            std::thread::sleep(GENEROUS);
            true
        });
        until("it begins", || seen.dying.load(SeqCst) == 1 && seen.held.load(SeqCst) != 0);
        assert!(limiter.try_acquire().is_none(), "the parent lives");
        kill(parent);
        std::thread::sleep(Duration::from_millis(30));
        let all: Vec<_> = (0..LIMIT).map_while(|_| limiter.try_acquire()).collect();
        assert_eq!(all.len(), LIMIT as usize);
        assert!(limiter.try_acquire().is_none());
        assert!(all.into_iter().all(|permit| limiter.release(permit)));
        // SAFETY: it lives, and ends with this.
        assert_eq!(unsafe { libc::kill(seen.held.load(SeqCst) as libc::pid_t, libc::SIGKILL) }, 0);
    }
}
