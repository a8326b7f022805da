//! What the objects of core count, as C has it: written by `cargo xtask gen write` from core's structs and
//! those here.

use crate::breaker::view::trip;

impl From<tidegate_core::limit::BucketStats> for crate::bucket::tg_bucket_snapshot {
    fn from(it: tidegate_core::limit::BucketStats) -> Self {
        Self { struct_size: size_of::<Self>(), admitted: it.admitted, denied: it.denied, would_deny: it.would_deny }
    }
}

impl From<tidegate_core::limit::LimiterStats> for crate::limiter::view::tg_limiter_snapshot {
    fn from(it: tidegate_core::limit::LimiterStats) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            admitted: it.admitted,
            denied: it.denied,
            would_deny: it.would_deny,
            evictions: it.evictions,
            overflowed: it.overflowed,
            blocked: it.blocked,
        }
    }
}

impl From<tidegate_core::breaker::BreakerStats> for crate::breaker::view::tg_breaker_snapshot {
    fn from(it: tidegate_core::breaker::BreakerStats) -> Self {
        let [has_trip, trip_calls, trip_failed, trip_slow] = trip(it.last_trip);
        Self {
            struct_size: size_of::<Self>(),
            state: it.state as i32,
            calls: it.calls,
            failed: it.failed,
            slow: it.slow,
            failure_rate: it.failure_rate,
            slow_call_rate: it.slow_call_rate,
            rejected: it.rejected,
            opened: it.opened,
            retry_after_ns: it.retry_after_ns,
            has_trip,
            trip_calls,
            trip_failed,
            trip_slow,
            ramping: it.ramping.into(),
            reserved: 0,
        }
    }
}

impl From<tidegate_core::breaker::registry::RegistryStats> for crate::breaker::registry::tg_registry_snapshot {
    fn from(it: tidegate_core::breaker::registry::RegistryStats) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            breakers: it.breakers,
            max_breakers: it.max_breakers,
            evicted: it.evicted,
            overflowed: it.overflowed,
        }
    }
}

impl From<tidegate_core::queue::QueueStats> for crate::queue::tg_queue_snapshot {
    fn from(it: tidegate_core::queue::QueueStats) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            depth: it.depth,
            accepting: it.accepting,
            pushed: it.pushed,
            popped: it.popped,
            rejected: it.rejected,
            dropped: it.dropped,
            dropped_oldest: it.dropped_by[0],
            dropped_age: it.dropped_by[1],
            dropped_codel: it.dropped_by[2],
            dropped_deadline: it.dropped_by[3],
            dropped_closed: it.dropped_by[4],
            least_delay_ns: it.least_delay.map_or(u64::MAX, |it| it.as_nanos() as u64),
            overloaded: it.overloaded.into(),
        }
    }
}

impl From<tidegate_core::concurrency::ConcurrencyStats> for crate::concurrency::view::tg_concurrency_snapshot {
    fn from(it: tidegate_core::concurrency::ConcurrencyStats) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            limit: it.limit,
            in_use: it.in_use,
            admitted: it.admitted,
            denied: it.denied,
            would_deny: it.would_deny,
            reclaimed: it.reclaimed,
            refused: it.refused,
            timed_out: it.timed_out,
            cancelled: it.cancelled,
            waiting: it.waiting,
            longest_wait_ns: u64::try_from(it.longest_wait.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

impl From<tidegate_core::concurrency::PartitionStats> for crate::concurrency::partition::tg_partition_snapshot {
    fn from(it: tidegate_core::concurrency::PartitionStats) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            share: it.share,
            admitted: it.admitted,
            denied: it.denied,
            would_deny: it.would_deny,
            guaranteed: it.guaranteed,
            in_use: it.in_use,
            called_back: it.called_back,
            reserved: 0,
        }
    }
}

impl From<tidegate_core::retry::RetryBudgetStats> for crate::retry::budget::tg_retry_budget_snapshot {
    fn from(it: tidegate_core::retry::RetryBudgetStats) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            balance: it.balance,
            deposited: it.deposited,
            withdrawn: it.withdrawn,
            denied: it.denied,
            would_deny: it.would_deny,
        }
    }
}

impl From<tidegate_core::throttle::ClientThrottleStats> for crate::throttle::tg_throttle_snapshot {
    fn from(it: tidegate_core::throttle::ClientThrottleStats) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            accepted: it.accepted,
            refused: it.refused,
            rejected: it.rejected,
            would_reject: it.would_reject,
            forced: it.forced,
            window_requests: it.window_requests,
            window_accepts: it.window_accepts,
            probability: it.probability,
        }
    }
}

impl From<tidegate_core::shed::ShedderStats> for crate::shedder::tg_shedder_snapshot {
    fn from(it: tidegate_core::shed::ShedderStats) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            admitted: it.admitted,
            shed_critical: it.shed[0],
            shed_high: it.shed[1],
            shed_normal: it.shed[2],
            shed_sheddable: it.shed[3],
            would_shed: it.would_shed,
            pressure: it.pressure,
            shed_share: it.shed_share,
        }
    }
}

impl From<tidegate_core::gate::GateStats> for crate::gate::tg_gate_snapshot {
    fn from(it: tidegate_core::gate::GateStats) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            admitted: it.admitted,
            denied: it.denied,
            would_deny: it.would_deny,
            denied_access: it.denied_by[0],
            denied_deadline: it.denied_by[1],
            denied_shedder: it.denied_by[2],
            denied_queue: it.denied_by[3],
            denied_breaker: it.denied_by[4],
            denied_concurrency: it.denied_by[5],
            denied_limit: it.denied_by[6],
        }
    }
}

impl From<tidegate_core::lease::ClusterStats> for crate::cluster::tg_cluster_limit_snapshot {
    fn from(it: tidegate_core::lease::ClusterStats) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            admitted: it.admitted,
            denied: it.denied,
            would_deny: it.would_deny,
            tokens: it.tokens.into(),
            expires_in_ns: it.expires_in_ns,
            level: it.health.level,
            granted: it.health.granted,
            syncs: it.health.syncs,
            errors: it.health.errors,
            late: it.health.late,
            epochs: it.health.epochs,
            round_trip_ns: u64::try_from(it.health.round_trip.as_nanos()).unwrap_or(u64::MAX),
            refilled: it.refilled.into(),
        }
    }
}
