//! Invariant: in an hour that does not end, processes that are killed and forked amid traffic admit each key no more
//! than its limit, by every algorithm and by sets; and what no dead one took, the living get.
#![allow(unsafe_code)] // a page shared with children of fork

use crate::children::{child, kill, page};
use crate::support::Place;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tidegate::limit::{Algorithm, BucketConfig, LimiterConfig, Member, Mode};
use tidegate::{Arena, LimitSet, OnConflict, RateLimiter, TokenBucket};

const KEYS: usize = 12;
const LIMIT: u64 = 300;
const KILLED: u64 = 8;
const LIVING: usize = 3;

const ALGORITHMS: [(Algorithm, usize); 8] = [
    (Algorithm::TokenBucket, 1_000),
    (Algorithm::FixedWindow, 1_000),
    (Algorithm::SlidingWindow, 1_000),
    (Algorithm::LeakyBucket, 1_000),
    (Algorithm::SlidingLog, 1_000),
    // With keys that find no room.
    (Algorithm::SlidingLog, 1),
    (Algorithm::TokenBucket, 1),
    (Algorithm::SlidingWindow, 1),
];

/// By limiter, the sets last.
type Taken = [[AtomicU64; KEYS]; ALGORITHMS.len() + 1];

struct All {
    limiters: Vec<Arc<RateLimiter>>,
    set: LimitSet,
}

fn open(arena: &Arc<Arena>) -> All {
    let quota = format!("{LIMIT}/hour").parse().expect("a quota");
    let limiter = |name: &str, algorithm, max_keys| {
        let config = LimiterConfig { max_keys, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota) };
        Arc::new(RateLimiter::in_arena(arena, name, config, OnConflict::Error).expect("a limiter"))
    };
    let limiters = ALGORITHMS
        .iter()
        .enumerate()
        .map(|(at, &(algorithm, max_keys))| limiter(&format!("limiter-{at}"), algorithm, max_keys));
    let limiters = limiters.collect();
    let options = BucketConfig { mode: Mode::Enforce, ..BucketConfig::default() };
    let bucket = TokenBucket::in_arena(arena, "bucket", quota, options, OnConflict::Error).expect("a bucket");
    let log = limiter("log", Algorithm::SlidingLog, 100);
    let members: Vec<(String, Member)> = vec![("log".into(), log.into()), ("bucket".into(), Arc::new(bucket).into())];
    All { limiters, set: LimitSet::new(members).expect("a set") }
}

impl All {
    fn round(&self, taken: &Taken) {
        let key = fastrand::usize(..KEYS);
        let name = [key as u8];
        let n = 1 + fastrand::u32(..3);
        for (limiter, taken) in self.limiters.iter().zip(taken) {
            if limiter.try_acquire(&name, n) {
                taken[key].fetch_add(n.into(), SeqCst);
            }
        }
        if self.set.check(&[&name], n).is_ok_and(|told| told.decision.allowed) {
            taken[ALGORITHMS.len()][0].fetch_add(n.into(), SeqCst);
        }
    }
}

#[test]
fn each_key_of_killed_processes_has_its_limit_once() {
    let place = Place::new();
    let arena = Arena::open(&place.options("keys")).expect("an arena");
    let all = open(&arena);
    // SAFETY: atomics only.
    let taken: &Taken = unsafe { page() };
    let start = || {
        child(|| {
            fastrand::seed(u64::from(std::process::id()));
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        loop {
                            all.round(taken);
                        }
                    });
                }
            });
            true
        })
    };
    let mut living: Vec<_> = (0..LIVING).map(|_| start()).collect();
    for _ in 0..KILLED {
        std::thread::sleep(Duration::from_micros(fastrand::u64(..6_000)));
        kill(living.swap_remove(fastrand::usize(..LIVING)));
        living.push(start());
    }
    living.into_iter().for_each(kill);
    for (limiter, taken) in all.limiters.iter().zip(taken) {
        for (key, taken) in taken.iter().enumerate() {
            while limiter.try_acquire(&[key as u8], 1) {
                taken.fetch_add(1, SeqCst);
            }
        }
    }
    let of_sets = &taken[ALGORITHMS.len()][0];
    while all.set.check(&[b"one"], 1).is_ok_and(|told| told.decision.allowed) {
        of_sets.fetch_add(1, SeqCst);
    }
    // Each dead thread had one call under way.
    let lost = 3 * 2 * (KILLED + LIVING as u64);
    for (which, of) in taken.iter().enumerate() {
        let of: Vec<_> = of.iter().map(|taken| taken.load(SeqCst)).collect();
        assert!(of.iter().all(|&taken| taken <= LIMIT), "{which}: {of:?}");
        let exact =
            ALGORITHMS.get(which).is_some_and(|&(algorithm, max)| max > 1 && algorithm != Algorithm::LeakyBucket);
        assert!(!exact || of.iter().all(|&taken| taken + lost >= LIMIT), "{which}: {of:?}");
    }
    assert!(of_sets.load(SeqCst) + lost >= LIMIT, "{of_sets:?}");
}
