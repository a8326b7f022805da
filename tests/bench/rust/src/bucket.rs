//! Token bucket beside governor.

use crate::floor;
use crate::harness::{Contender, Plan, Row};
use governor::RateLimiter;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;
use tidegate::{Clock, Quota, TokenBucket};

/// A burst that no round empties, and a rate that refills little of it: every call is admitted and moves the state on.
const BURST: u32 = 1_000_000_000;
const PER_SECOND: u32 = 1_000_000;

pub fn rows(plan: &Plan) {
    plan.measure(Row {
        work: "bucket, 1 thread, admit",
        threads: 1,
        floor: Some("clock + CAS"),
        targets: &[("governor", 1.0)],
        contenders: vec![
            admit("tidegate", 1),
            governor_admit(),
            floor::clock_and_cas(),
            floor::clock(),
            floor::fetch_add(),
        ],
    });
    plan.measure(Row {
        work: "bucket, 1 thread, deny",
        threads: 1,
        floor: Some("clock"),
        targets: &[],
        contenders: vec![deny(), governor_deny(), floor::clock()],
    });
    plan.measure(Row {
        work: "bucket, 2 threads, deny",
        threads: 2,
        floor: Some("clock"),
        targets: &[("governor", 1.0)],
        contenders: vec![deny(), governor_deny(), floor::clock()],
    });
    plan.measure(Row {
        work: "bucket, 2 threads, admit",
        threads: 2,
        floor: Some("clock + CAS"),
        targets: &[("governor", 1.0)],
        contenders: vec![admit("tidegate", 1), governor_admit(), floor::clock_and_cas(), floor::fetch_add()],
    });
    plan.measure(Row {
        work: "bucket, 2 threads, admit, stripes = 2",
        threads: 2,
        floor: Some("clock + CAS"),
        targets: &[("governor", 0.5)],
        contenders: vec![admit("tidegate stripes = 2", 2), governor_admit(), floor::clock_and_cas()],
    });
}

fn admit(name: &'static str, stripes: u32) -> Contender {
    Contender::new(name, move || {
        let quota = Quota::new(u64::from(PER_SECOND), Duration::from_secs(1))
            .and_then(|quota| quota.with_burst(u64::from(BURST)))
            .expect("a valid quota");
        let bucket = match stripes {
            1 => TokenBucket::new(quota),
            k => TokenBucket::striped(quota, k, Clock::monotonic()).expect("a valid number of stripes"),
        };
        assert!(bucket.try_acquire(1), "a full bucket admits");
        move || black_box(&bucket).try_acquire(1)
    })
}

fn deny() -> Contender {
    Contender::new("tidegate", || {
        let quota = Quota::new(1, Duration::from_secs(3600)).expect("a valid quota");
        let bucket = TokenBucket::new(quota);
        assert!(bucket.try_acquire(1) && !bucket.try_acquire(1), "an empty bucket denies");
        move || black_box(&bucket).try_acquire(1)
    })
}

fn governor_admit() -> Contender {
    Contender::new("governor", || {
        let rate = NonZeroU32::new(PER_SECOND).expect("not zero");
        let burst = NonZeroU32::new(BURST).expect("not zero");
        let limiter = RateLimiter::direct(governor::Quota::per_second(rate).allow_burst(burst));
        assert!(limiter.check().is_ok(), "a full bucket admits");
        move || black_box(&limiter).check().is_ok()
    })
}

fn governor_deny() -> Contender {
    Contender::new("governor", || {
        let limiter = RateLimiter::direct(governor::Quota::per_hour(NonZeroU32::MIN));
        assert!(limiter.check().is_ok() && limiter.check().is_err(), "an empty bucket denies");
        move || black_box(&limiter).check().is_ok()
    })
}
