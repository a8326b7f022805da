//! A limit per key beside governor's, both by a text of 17 bytes; and what each holds in memory.

use crate::floor;
use crate::harness::{Body, Contender, Plan, Row};
use crate::keys::Keys;
use governor::DefaultKeyedRateLimiter;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidegate::limit::{Algorithm, LimiterConfig, RateLimiter};
use tidegate::{BreakerRegistry, Clock, Quota, RegistryConfig};

/// No key uses it up, and none is idle again within the run: each call finds the key's cell and moves its state on.
pub const LIVE: Limit = Limit { count: 1, seconds: 60, burst: 500_000 };
/// For one key that gets all calls.
const FAST: Limit = Limit { count: 1_000_000, seconds: 1, burst: 500_000 };
/// Used up at once: nearly every call is denied.
const TIGHT: Limit = Limit { count: 5, seconds: 60, burst: 5 };

#[derive(Clone, Copy)]
pub struct Limit {
    pub count: u32,
    pub seconds: u64,
    pub burst: u32,
}

impl Limit {
    pub fn tidegate(self) -> Quota {
        let quota = Quota::new(u64::from(self.count), Duration::from_secs(self.seconds)).expect("a valid rate");
        quota.with_burst(u64::from(self.burst)).expect("a valid burst")
    }

    pub fn governor(self) -> governor::Quota {
        let one = Duration::from_secs(self.seconds) / self.count;
        let burst = NonZeroU32::new(self.burst).expect("not zero");
        governor::Quota::with_period(one).expect("not zero").allow_burst(burst)
    }
}

pub fn rows(plan: &Plan) {
    // Long enough that what the other contenders pushed out of the caches comes back within a small part of it.
    let few = Plan { batch: Duration::from_millis(4), rounds: plan.rounds / 2, keep: 20, ..plan.clone() };
    let many =
        Plan { batch: Duration::from_millis(20), rounds: plan.rounds / 4, keep: 25, row: plan.row * 2, ..plan.clone() };
    plan.measure(Row {
        work: "keyed by a 17-byte text, 1 key",
        threads: 1,
        floor: Some("reading the key"),
        targets: &[("governor", 0.6)],
        contenders: against_governor(1, FAST, false),
    });
    few.measure(Row {
        work: "keyed by a 17-byte text, 10 k keys",
        threads: 1,
        floor: Some("reading the key"),
        targets: &[("governor", 0.6)],
        contenders: against_governor(10_000, LIVE, false),
    });
    few.measure(Row {
        work: "keyed by a 17-byte text, 10 k keys, denied",
        threads: 1,
        floor: Some("reading the key"),
        targets: &[],
        contenders: against_governor(10_000, TIGHT, false),
    });
    few.measure(Row {
        work: "keyed by a 17-byte text, 10 k keys, 2 threads",
        threads: 2,
        floor: Some("reading the key"),
        targets: &[],
        contenders: against_governor(10_000, LIVE, false),
    });
    many.measure(Row {
        work: "keyed by a 17-byte text, 1 M keys",
        threads: 1,
        floor: Some("reading the key"),
        targets: &[("governor", 0.4)],
        contenders: against_governor(1_000_000, LIVE, false),
    });
    many.measure(Row {
        work: "keyed by a 17-byte text, 1 M keys, huge_pages = true",
        threads: 1,
        floor: Some("reading the key"),
        targets: &[("governor", 0.4)],
        contenders: against_governor(1_000_000, LIVE, true),
    });
    few.measure(Row {
        work: "breaker of a key: registry get, 10 k keys",
        threads: 1,
        floor: Some("reading the key"),
        targets: &[("RateLimiter of as many", 1.3)],
        contenders: registry(|registry, key| drop(black_box(registry.get(key)))),
    });
    few.measure(Row {
        work: "breaker of a key: registry with, 10 k keys",
        threads: 1,
        floor: Some("reading the key"),
        targets: &[("RateLimiter of as many", 1.3)],
        contenders: registry(|registry, key| registry.with(key, |breaker| _ = black_box(breaker))),
    });
    few.measure(Row {
        work: "keyed, 10 k keys, the other algorithms",
        threads: 1,
        floor: None,
        targets: &[],
        contenders: algorithms(),
    });
}

fn against_governor(keys: usize, limit: Limit, huge_pages: bool) -> Vec<Contender> {
    let keys = Keys::new(keys);
    let config = LimiterConfig { huge_pages, ..config(Algorithm::TokenBucket, limit, keys.len()) };
    vec![tidegate("tidegate", config, &keys), governor_keyed("governor", limit, &keys), floor::read(&keys)]
}

/// A key's breaker is found, and given up again: by a handle to keep, or lent for a closure.
fn registry(find: fn(&BreakerRegistry, &[u8])) -> Vec<Contender> {
    let keys = Keys::new(10_000);
    let known = Arc::clone(&keys);
    let found = Contender::looping("tidegate", move || {
        let config = RegistryConfig { max_breakers: known.len() as u32, ..RegistryConfig::default() };
        let registry = BreakerRegistry::new(config).expect("a valid registry");
        over(&known, move |key| {
            find(&registry, key.as_bytes());
            true
        })
    });
    let limiter = config(Algorithm::TokenBucket, LIVE, keys.len());
    vec![found, tidegate("RateLimiter of as many", limiter, &keys), floor::read(&keys)]
}

/// A window's limit is all there is: as many as it can count. The log remembers each admission, so its limit is small
/// and it mostly denies.
fn algorithms() -> Vec<Contender> {
    let keys = Keys::new(10_000);
    let of = |name, algorithm, limit| tidegate(name, config(algorithm, limit, keys.len()), &keys);
    let window = Limit { count: 260_000, seconds: 60, burst: 260_000 };
    vec![
        of("tidegate token bucket", Algorithm::TokenBucket, LIVE),
        of("tidegate fixed window", Algorithm::FixedWindow, window),
        of("tidegate sliding window", Algorithm::SlidingWindow, window),
        of("tidegate leaky bucket, denied", Algorithm::LeakyBucket, TIGHT),
        of("tidegate sliding log, denied", Algorithm::SlidingLog, TIGHT),
        of("tidegate token bucket, denied", Algorithm::TokenBucket, TIGHT),
    ]
}

pub fn config(algorithm: Algorithm, limit: Limit, max_keys: usize) -> LimiterConfig {
    // The least that a table is made for is one line; a limit on one key is a table of a hundred here.
    LimiterConfig { max_keys: max_keys.max(100), ..LimiterConfig::new(algorithm, limit.tidegate()) }
}

fn tidegate(name: &'static str, config: LimiterConfig, keys: &Arc<Keys>) -> Contender {
    let keys = Arc::clone(keys);
    Contender::looping(name, move || {
        let limiter = RateLimiter::with_config(config, Clock::monotonic()).expect("a valid limiter");
        over(&keys, move |key| limiter.try_acquire(key.as_bytes(), 1))
    })
}

fn governor_keyed(name: &'static str, limit: Limit, keys: &Arc<Keys>) -> Contender {
    let keys = Arc::clone(keys);
    Contender::looping(name, move || {
        let limiter = DefaultKeyedRateLimiter::<String>::keyed(limit.governor());
        over(&keys, move |key| limiter.check_key(key).is_ok())
    })
}

/// The operation on one key after the other in random order, after it has met each key once.
pub fn over(keys: &Arc<Keys>, operation: impl Fn(&String) -> bool + Send + Sync + 'static) -> Body {
    let admitted = keys.all().iter().filter(|key| operation(key)).count();
    assert_eq!(admitted, keys.len(), "a new key is admitted");
    let (keys, at) = (Arc::clone(keys), AtomicUsize::new(0));
    Box::new(move |times| {
        // Relaxed: each measurement goes on where the last one ended; it publishes nothing.
        let from = at.fetch_add(times as usize, Ordering::Relaxed);
        for key in keys.shuffled(from, times as usize) {
            black_box(operation(black_box(key)));
        }
    })
}
