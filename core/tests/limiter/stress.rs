//! Many threads: exactly what the quota allows, and never more while keys come, go and share.

use super::{MS, S, limiter};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use tidegate::limit::{Algorithm, RateLimiter};
use tidegate_model::keyed::{Algorithm as ModelAlgorithm, Limiter as Model, Quota, Settings};

pub(crate) const THREADS: u64 = 8;
/// Calls of each thread: a million where the compiler optimises.
pub(crate) const CALLS: u64 = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };
const ROUNDS: u64 = 20;

pub(crate) fn on_all_threads<T: Send>(work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(THREADS as usize);
    let (work, start) = (&work, &start);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    start.wait();
                    work(thread)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

fn model(algorithm: Algorithm, count: u64, period_ns: u64, burst: u32) -> Model {
    let algorithm = match algorithm {
        Algorithm::TokenBucket => ModelAlgorithm::TokenBucket,
        Algorithm::FixedWindow => ModelAlgorithm::FixedWindow,
        Algorithm::SlidingWindow => ModelAlgorithm::SlidingWindow,
        Algorithm::SlidingLog => ModelAlgorithm::SlidingLog,
        _ => ModelAlgorithm::LeakyBucket,
    };
    Model::new(Settings::new(algorithm, Quota { count, period_ns, burst }), 0).expect("a quota that fits")
}

/// Eight threads and eight million calls on one key: in each round of one instant exactly what the model has left.
#[test]
fn racing_threads_admit_exactly_the_quota() {
    for algorithm in Algorithm::ALL {
        let burst = if algorithm == Algorithm::SlidingLog { 50 } else { 1_000 };
        let core = limiter(algorithm, burst, 3 * S, burst, 100);
        let mut model = model(algorithm, burst, 3 * S, burst as u32);
        let (mut now, mut total) = (0, 0);
        for round in 0..ROUNDS {
            let admitted: u64 = on_all_threads(|_| {
                (0..CALLS / ROUNDS).filter(|_| core.check_at(now, b"one and all", 1).allowed).count() as u64
            })
            .into_iter()
            .sum();
            let left = model.peek(now, b"one and all", None).remaining;
            assert_eq!(admitted, u64::from(left), "{algorithm} round {round}");
            assert!(model.check(now, b"one and all", left, None).allowed);
            total += admitted;
            now += 700 * MS + round * 13 * MS;
        }
        assert!(total >= 3 * burst, "{algorithm}: {total}");
        let stats = core.stats();
        assert_eq!((stats.admitted, stats.admitted + stats.denied), (total, THREADS * (CALLS / ROUNDS) * ROUNDS));
    }
}

/// xorshift64 (Marsaglia 2003): any mixture will do.
pub(crate) fn shuffle(pick: &mut u64) -> u64 {
    *pick ^= *pick << 13;
    *pick ^= *pick >> 7;
    *pick ^= *pick << 17;
    *pick
}

/// An admission: whose, and between which two readings of the clock it was made.
type Use = (usize, u64, u64);

/// One thread's share: a few real users among ever new keys.
fn crowd(limiter: &RateLimiter, now: &AtomicU64, seed: u64, calls: u64) -> Vec<Use> {
    let mut pick = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uses = Vec::new();
    for _ in 0..calls {
        let random = shuffle(&mut pick);
        // Relaxed: a time only. Threads hold times of different age, as readers of a real clock do.
        let at = now.fetch_add(random >> 32 & 0xf_ffff, Ordering::Relaxed);
        if random & 3 == 0 {
            let user = (random >> 8) as usize % USERS;
            if limiter.check_at(at, format!("user {user}").as_bytes(), 1).allowed {
                uses.push((user, at, now.load(Ordering::Relaxed)));
            }
        } else {
            let _ = limiter.try_acquire_at(at, &(random >> 4).to_le_bytes(), 1);
        }
    }
    uses
}

const USERS: usize = 3;

/// No span of time holds more than the algorithm promises. What was surely within it counts: a thread that holds an old
/// reading may be served as of a later one.
fn check_spans(algorithm: Algorithm, mut times: Vec<(u64, u64)>, limit: u64, period: u64) {
    times.sort_unstable();
    for (i, &(from, _)) in times.iter().enumerate() {
        let mut ends: Vec<u64> = times[i..].iter().take(200).map(|&(_, to)| to).collect();
        ends.sort_unstable();
        match algorithm {
            // Burst + rate x time.
            Algorithm::TokenBucket | Algorithm::LeakyBucket => {
                for (admitted, to) in (1_u128..).zip(ends) {
                    // A tick, as of which is decided, is at most 2^-14 of a token's interval.
                    let time = u128::from(to - from + ((period / limit) >> 14));
                    let refilled = time * u128::from(limit) / u128::from(period);
                    assert!(admitted <= u128::from(limit) + refilled, "{algorithm}: {admitted} in {} ns", to - from);
                }
            }
            _ => {
                let within = ends.into_iter().take_while(|&to| to < from + period).count() as u64;
                // Windows that begin when they like hold twice their limit across an edge; a log never.
                let most = if algorithm == Algorithm::SlidingLog { limit } else { 2 * limit };
                assert!(within <= most, "{algorithm}: {within} in one period");
            }
        }
    }
}

/// The same keys inserted by eight threads at once into a tiny table, evicted, and inserted again.
#[test]
fn nobody_gets_more_while_keys_come_and_go() {
    for algorithm in Algorithm::ALL {
        let (mut admitted, mut evictions, mut overflowed) = (0, 0, 0);
        for round in 0..30 {
            // So short a memory that real users are evicted too between their calls.
            let (limit, period) = (3, 4 * MS);
            let limiter = limiter(algorithm, limit, period, limit, 8);
            let now = AtomicU64::new(0);
            let calls = CALLS / 100;
            let uses = on_all_threads(|thread| crowd(&limiter, &now, round * THREADS + thread, calls)).concat();
            admitted += uses.len();
            evictions += limiter.stats().evictions;
            overflowed += limiter.stats().overflowed;
            for user in 0..USERS {
                let times = uses.iter().filter(|(who, ..)| *who == user).map(|&(_, from, to)| (from, to)).collect();
                check_spans(algorithm, times, limit, period);
            }
        }
        println!("{algorithm}: {admitted} admitted, {evictions} evictions, {overflowed} shared");
        assert!(admitted > 1_000 && evictions > 1_000, "{algorithm}: {admitted} admitted, {evictions} evictions");
    }
}
