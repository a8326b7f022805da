//! Host scope beside process scope: the same object in a mapped file and in memory of its own, on the same clock.

use crate::harness::{Body, Contender, Plan, Row};
use crate::keyed::{self, LIVE};
use crate::keys::Keys;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tidegate::arena::{ArenaError, HostConfig};
use tidegate::breaker::Outcome;
use tidegate::limit::{Algorithm, BucketConfig};
use tidegate::{
    Arena, BreakerConfig, CircuitBreaker, ConcurrencyConfig, ConcurrencyLimiter, OnConflict, Quota, RateLimiter,
    TokenBucket,
};

const WORKS: [&str; 5] =
    ["bucket, admit", "bucket, deny", "keyed, 10 k keys", "breaker, closed, success", "permit, acquire + release"];

pub fn rows(plan: &Plan) {
    let mine = |work: &&str| plan.wants(&row_name(work, 1)) || plan.wants(&row_name(work, 2));
    if !WORKS.iter().any(|work| mine(&work)) {
        return;
    }
    let options = HostConfig::new(format!("bench-{}", std::process::id()));
    if let Err(error) = in_arena(plan, &options) {
        let why = error.to_string().replace('\\', "/").replace('"', "'");
        println!("{{\"binding\":\"rust\",\"work\":\"host scope\",\"skipped\":\"{why}\"}}");
    }
    // Whether it was made or not.
    let _ = Arena::unlink(&options);
}

fn row_name(work: &str, threads: usize) -> String {
    match threads {
        1 => format!("host scope: {work}"),
        more => format!("host scope: {work}, {more} threads"),
    }
}

fn in_arena(plan: &Plan, options: &HostConfig) -> Result<(), ArenaError> {
    let arena = Arena::open(options)?;
    for (work, both) in WORKS.into_iter().zip([admit, deny, key, breaker, permit]) {
        // Their tables are dear to fill, and what one pushes out of the caches comes back within a small part of a
        // longer batch.
        let long = Plan { batch: Duration::from_millis(4), rounds: plan.rounds / 2, ..plan.clone() };
        let plan = if work.starts_with("keyed") { &long } else { plan };
        for threads in [1, 2] {
            let work: &'static str = row_name(work, threads).leak();
            if !plan.wants(work) {
                continue;
            }
            let [host, process] = both(&arena)?;
            plan.measure(Row {
                work,
                threads,
                floor: None,
                targets: &[("process scope, same clock", 1.1)],
                contenders: vec![
                    Contender::looping("tidegate, host scope", host),
                    Contender::looping("process scope, same clock", process),
                ],
            });
        }
    }
    Ok(())
}

/// An operation on an object that lasts: an arena's bytes are not given out twice.
type Make = Box<dyn Fn() -> Body>;

fn both<T: Send + Sync + 'static>(
    objects: [T; 2],
    operation: impl Fn(&T) -> bool + Copy + Send + Sync + 'static,
) -> [Make; 2] {
    objects.map(|object| -> Make {
        let object = Arc::new(object);
        Box::new(move || {
            let object = Arc::clone(&object);
            Box::new(move |times| {
                for _ in 0..times {
                    black_box(operation(black_box(&object)));
                }
            })
        })
    })
}

fn buckets(arena: &Arc<Arena>, name: &str, quota: Quota) -> Result<[TokenBucket; 2], ArenaError> {
    let host = TokenBucket::in_arena(arena, name, quota, BucketConfig::default(), OnConflict::Error)?;
    Ok([host, TokenBucket::with_clock(quota, arena.clock().clone())])
}

fn admit(arena: &Arc<Arena>) -> Result<[Make; 2], ArenaError> {
    let quota = Quota::new(1_000_000, Duration::from_secs(1))?.with_burst(1_000_000_000)?;
    Ok(both(buckets(arena, "admits", quota)?, |bucket| bucket.try_acquire(1)))
}

fn deny(arena: &Arc<Arena>) -> Result<[Make; 2], ArenaError> {
    let buckets = buckets(arena, "denies", Quota::new(1, Duration::from_secs(3600))?)?;
    buckets
        .iter()
        .for_each(|bucket| assert!(!bucket.try_acquire(1) || !bucket.try_acquire(1), "an empty bucket denies"));
    Ok(both(buckets, |bucket| bucket.try_acquire(1)))
}

fn key(arena: &Arc<Arena>) -> Result<[Make; 2], ArenaError> {
    let keys = Keys::new(10_000);
    let config = keyed::config(Algorithm::TokenBucket, LIVE, keys.len());
    let host = RateLimiter::in_arena(arena, "keys", config, OnConflict::Error)?;
    let process = RateLimiter::with_config(config, arena.clock().clone())?;
    Ok([host, process].map(|limiter| -> Make {
        let (limiter, keys) = (Arc::new(limiter), Arc::clone(&keys));
        Box::new(move || {
            let limiter = Arc::clone(&limiter);
            keyed::over(&keys, move |key| limiter.try_acquire(key.as_bytes(), 1))
        })
    }))
}

fn breaker(arena: &Arc<Arena>) -> Result<[Make; 2], ArenaError> {
    let config = BreakerConfig::default();
    let host = CircuitBreaker::in_arena(arena, "calls", config.clone(), OnConflict::Error)?;
    let process = CircuitBreaker::with_clock("calls", config, arena.clock().clone())?;
    Ok(both([host, process], |breaker| {
        let permit = breaker.acquire();
        permit.is_ok_and(|permit| {
            breaker.report(permit, black_box(Outcome::Success), None);
            true
        })
    }))
}

fn permit(arena: &Arc<Arena>) -> Result<[Make; 2], ArenaError> {
    let config = ConcurrencyConfig::new(64);
    let host = ConcurrencyLimiter::in_arena(arena, "permits", config, OnConflict::Error)?;
    let process = ConcurrencyLimiter::with_config(config, arena.clock().clone())?;
    Ok(both([host, process], |limiter| limiter.try_acquire().is_some_and(|permit| limiter.release(permit))))
}
