//! The concurrency limiter under real threads: never more than the limit, all of it to be had, nobody left asleep.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::Waker;
use std::thread;
use std::time::Duration;
use tidegate::concurrency::{ConcurrencyConfig, ConcurrencyLimiter};
use tidegate::limit::Mode;
use tidegate::{Arena, Clock, OnConflict};

const THREADS: usize = 8;
const EACH: usize = 20_000;
/// Long enough for the slowest machine; only a failing test waits for it.
const GENEROUS: Option<Duration> = Some(Duration::from_secs(120));

fn config(limit: u32, max_limit: u32) -> ConcurrencyConfig {
    ConcurrencyConfig { max_limit, mode: Mode::Enforce, ..ConcurrencyConfig::new(limit) }
}

/// In both places where state can live.
fn limiters(limit: u32, max_limit: u32) -> [ConcurrencyLimiter; 2] {
    let arena = Arena::private("stress", 1 << 20, Clock::monotonic()).unwrap();
    [
        ConcurrencyLimiter::with_config(config(limit, max_limit), Clock::monotonic()).unwrap(),
        ConcurrencyLimiter::in_arena(&arena, "places", config(limit, max_limit), OnConflict::Error).unwrap(),
    ]
}

/// How many are inside, and the most there ever were.
#[derive(Default)]
struct Inside {
    now: AtomicU32,
    most: AtomicU32,
}

impl Inside {
    fn enter(&self) {
        self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
    }

    fn leave(&self) {
        self.now.fetch_sub(1, SeqCst);
    }
}

#[test]
fn never_more_than_the_limit() {
    for limit in [1, 2, 5, 7] {
        for limiter in limiters(limit, limit) {
            let (inside, admitted) = (Inside::default(), AtomicUsize::new(0));
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        for n in 0..EACH {
                            let Some(permit) = limiter.try_acquire() else { continue };
                            inside.enter();
                            admitted.fetch_add(1, SeqCst);
                            if n % 64 == 0 {
                                thread::yield_now();
                            }
                            inside.leave();
                            assert!(limiter.release(permit));
                            assert!(!limiter.release(permit), "a second time");
                        }
                    });
                }
            });
            assert!(inside.most.load(SeqCst) <= limit, "{} of {limit}", inside.most.load(SeqCst));
            let stats = limiter.stats();
            assert_eq!((stats.in_use, stats.admitted), (0, admitted.load(SeqCst) as u64));
            assert_eq!(stats.admitted + stats.denied, (THREADS * EACH) as u64);
            let all: Vec<_> = std::iter::from_fn(|| limiter.try_acquire()).collect();
            assert_eq!(all.len(), limit as usize, "all of it is to be had");
        }
    }
}

/// From the moment at which no more than a new limit are held, there are never more.
#[test]
fn never_more_than_a_limit_that_changes() {
    for limiter in limiters(6, 6) {
        let (over, now) = (AtomicBool::new(false), AtomicU32::new(0));
        // `round:32 | bound:32`: what held at both ends of a look held in between.
        let bound = AtomicU64::new(6);
        let judged = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !over.load(SeqCst) {
                        let enter = |_| {
                            let permit = limiter.try_acquire()?;
                            let before = bound.load(SeqCst);
                            let inside = now.fetch_add(1, SeqCst) + 1;
                            if bound.load(SeqCst) == before {
                                assert!(inside <= before as u32, "{inside} of {}", before as u32);
                                judged.fetch_add(1, SeqCst);
                            }
                            Some(permit)
                        };
                        let permits: Vec<_> = (0..3).filter_map(enter).collect();
                        for permit in permits.into_iter().rev() {
                            now.fetch_sub(1, SeqCst);
                            assert!(limiter.release(permit));
                        }
                    }
                });
            }
            for round in 1..400_u64 {
                let limit = 1 + (round * 5 % 6) as u32;
                bound.store(round << 32 | 6, SeqCst);
                limiter.set_limit(limit).unwrap();
                while limiter.in_use() > limit {
                    thread::yield_now();
                }
                bound.store(round << 32 | u64::from(limit), SeqCst);
                (0..round % 300).for_each(|_| std::hint::spin_loop());
                if round % 16 == 0 {
                    thread::yield_now();
                }
            }
            over.store(true, SeqCst);
        });
        assert!(judged.load(SeqCst) > 100, "{} looks", judged.load(SeqCst));
        assert_eq!(limiter.in_use(), 0);
    }
}

#[test]
fn waiters_all_get_in_and_never_too_many() {
    for limiter in limiters(3, 3) {
        let inside = Inside::default();
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (limiter, inside) = (&limiter, &inside);
                scope.spawn(move || {
                    for n in 0..EACH / 10 {
                        match (thread + n) % 4 {
                            // Comes and goes.
                            0 => drop(limiter.listen(Waker::noop())),
                            1 => {
                                if let Some(permit) = limiter.acquire(Some(Duration::from_micros(20))) {
                                    inside.enter();
                                    inside.leave();
                                    assert!(limiter.release(permit));
                                }
                            }
                            _ => {
                                let permit = limiter.acquire(GENEROUS).expect("left asleep");
                                inside.enter();
                                inside.leave();
                                assert!(limiter.release(permit));
                            }
                        }
                    }
                });
            }
        });
        assert!(inside.most.load(SeqCst) <= 3);
        assert_eq!(limiter.in_use(), 0);
    }
}
