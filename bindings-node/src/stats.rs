//! What the objects of core count, as the numbers that `lib/stats.cjs` reads: written by `cargo xtask gen
//! write` from core's structs.

use crate::breaker::trip;
use crate::convert::ms;
use std::time::Duration;

fn millis(duration: Duration) -> f64 {
    ms(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

pub(crate) fn bucket(it: &tidegate::limit::BucketStats) -> [f64; 3] {
    [it.admitted as f64, it.denied as f64, it.would_deny as f64]
}

pub(crate) fn limiter(it: &tidegate::limit::LimiterStats) -> [f64; 6] {
    [
        it.admitted as f64,
        it.denied as f64,
        it.would_deny as f64,
        it.evictions as f64,
        it.overflowed as f64,
        it.blocked as f64,
    ]
}

pub(crate) fn breaker(it: &tidegate::breaker::BreakerStats) -> [f64; 14] {
    let trip = trip(it.last_trip);
    [
        f64::from(it.state as u32),
        f64::from(it.ramping),
        it.calls as f64,
        it.failed as f64,
        it.slow as f64,
        it.failure_rate,
        it.slow_call_rate,
        it.rejected as f64,
        it.opened as f64,
        ms(it.retry_after_ns),
        trip[0],
        trip[1],
        trip[2],
        trip[3],
    ]
}

pub(crate) fn registry(it: &tidegate::breaker::registry::RegistryStats) -> [f64; 4] {
    [it.breakers as f64, it.max_breakers as f64, it.evicted as f64, it.overflowed as f64]
}

pub(crate) fn queue(it: &tidegate::queue::QueueStats) -> [f64; 13] {
    [
        it.depth as f64,
        f64::from(it.accepting),
        it.pushed as f64,
        it.popped as f64,
        it.rejected as f64,
        it.dropped as f64,
        it.dropped_by[0] as f64,
        it.dropped_by[1] as f64,
        it.dropped_by[2] as f64,
        it.dropped_by[3] as f64,
        it.dropped_by[4] as f64,
        it.least_delay.map_or(f64::NAN, millis),
        f64::from(it.overloaded),
    ]
}

pub(crate) fn concurrency(it: &tidegate::concurrency::ConcurrencyStats) -> [f64; 11] {
    [
        it.limit as f64,
        it.in_use as f64,
        it.admitted as f64,
        it.denied as f64,
        it.refused as f64,
        it.timed_out as f64,
        it.cancelled as f64,
        it.waiting as f64,
        millis(it.longest_wait),
        it.would_deny as f64,
        it.reclaimed as f64,
    ]
}

pub(crate) fn partition(it: &tidegate::concurrency::PartitionStats) -> [f64; 7] {
    [
        it.share,
        it.guaranteed as f64,
        it.in_use as f64,
        it.called_back as f64,
        it.admitted as f64,
        it.denied as f64,
        it.would_deny as f64,
    ]
}

pub(crate) fn retry_budget(it: &tidegate::retry::RetryBudgetStats) -> [f64; 5] {
    [it.deposited as f64, it.withdrawn as f64, it.denied as f64, it.would_deny as f64, it.balance as f64]
}

pub(crate) fn throttle(it: &tidegate::throttle::ClientThrottleStats) -> [f64; 8] {
    [
        it.accepted as f64,
        it.refused as f64,
        it.rejected as f64,
        it.would_reject as f64,
        it.forced as f64,
        it.window_requests as f64,
        it.window_accepts as f64,
        it.probability,
    ]
}

pub(crate) fn shedder(it: &tidegate::shed::ShedderStats) -> [f64; 8] {
    [
        it.admitted as f64,
        it.shed[0] as f64,
        it.shed[1] as f64,
        it.shed[2] as f64,
        it.shed[3] as f64,
        it.would_shed as f64,
        it.pressure,
        it.shed_share,
    ]
}

pub(crate) fn gate(it: &tidegate::gate::GateStats) -> [f64; 10] {
    [
        it.admitted as f64,
        it.denied as f64,
        it.would_deny as f64,
        it.denied_by[0] as f64,
        it.denied_by[1] as f64,
        it.denied_by[2] as f64,
        it.denied_by[3] as f64,
        it.denied_by[4] as f64,
        it.denied_by[5] as f64,
        it.denied_by[6] as f64,
    ]
}

pub(crate) fn cluster_limit(it: &tidegate::lease::ClusterStats) -> [f64; 13] {
    [
        it.admitted as f64,
        it.denied as f64,
        it.would_deny as f64,
        it.tokens as f64,
        ms(it.expires_in_ns),
        f64::from(it.refilled),
        it.health.syncs as f64,
        it.health.errors as f64,
        it.health.late as f64,
        it.health.epochs as f64,
        it.health.granted as f64,
        millis(it.health.round_trip),
        it.health.level as f64,
    ]
}
