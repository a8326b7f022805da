//! What the objects of core count: written by `cargo xtask gen write` from core's structs of these names.

use super::class::stats;
use crate::args::seconds;
use crate::breaker::views::Trip;

stats! {
    /// Counts since the bucket was made. A call that waited counts once, as its booking was answered; `peek` never
    /// does.
    BucketStats from it: tidegate::limit::BucketStats {
        /// Calls admitted, without those of `would_deny`.
        admitted: u64 = it.admitted,
        /// Calls denied.
        denied: u64 = it.denied,
        /// Calls that a dry run admitted and that would have been denied.
        would_deny: u64 = it.would_deny,
    }
}

stats! {
    /// Counts since the limiter was made.
    LimiterStats from it: tidegate::limit::LimiterStats {
        /// Calls admitted.
        admitted: u64 = it.admitted,
        /// Calls denied.
        denied: u64 = it.denied,
        /// Calls admitted by a dry run that would have been denied.
        would_deny: u64 = it.would_deny,
        /// Idle keys that made room for others.
        evictions: u64 = it.evictions,
        /// Calls that were decided by the shared sketch, because their key found no room.
        overflowed: u64 = it.overflowed,
        /// Blocks of keys that went on after being denied.
        blocked: u64 = it.blocked,
    }
}

stats! {
    /// A look at a breaker.
    BreakerStats from it: tidegate::breaker::BreakerStats {
        /// Where it stands.
        state: String = it.state.name().to_owned(),
        /// Closed, and calls come back by degrees: until somebody asks for one after the ramp's end.
        ramping: bool = it.ramping,
        /// Calls in the window.
        calls: u32 = it.calls,
        /// Failed calls in the window.
        failed: u32 = it.failed,
        /// Slow calls in the window.
        slow: u32 = it.slow,
        /// `failed / calls`, 0 without calls.
        failure_rate: f64 = it.failure_rate,
        /// `slow / calls`, 0 without calls.
        slow_call_rate: f64 = it.slow_call_rate,
        /// Calls refused since the breaker was made.
        rejected: u64 = it.rejected,
        /// How often it opened by itself since it was made.
        opened: u64 = it.opened,
        /// Seconds until a probe may be tried; 0 when not open, `math.inf` while forced open.
        retry_after: f64 = seconds(it.retry_after_ns),
        /// What last opened it by itself: the window above begins empty with every state. `None`: it never did.
        last_trip: Option<Trip> = it.last_trip.map(Trip::from),
    }
}

stats! {
    /// A look at a registry.
    RegistryStats from it: tidegate::breaker::registry::RegistryStats {
        /// Keys that have a breaker.
        breakers: u64 = it.breakers,
        /// How many can have one.
        max_breakers: u64 = it.max_breakers,
        /// Breakers that made room for others since the registry was made.
        evicted: u64 = it.evicted,
        /// How often a key found no room and shared the overflow breaker.
        overflowed: u64 = it.overflowed,
    }
}

stats! {
    /// Counts since the queue was made. Each is exact; taken together while others push and pop, they may be of
    /// slightly different moments.
    QueueStats from it: tidegate::queue::QueueStats {
        /// Items held now.
        depth: usize = it.depth,
        /// Whether pushes are accepted now.
        accepting: bool = it.accepting,
        /// Items accepted.
        pushed: u64 = it.pushed,
        /// Items popped or drained.
        popped: u64 = it.popped,
        /// Pushes refused, full or closed; a waiting form counts once, at its deadline.
        rejected: u64 = it.rejected,
        /// Items dropped, for whatever reason: `pushed` is `popped`, `dropped` and `depth`, at any moment.
        dropped: u64 = it.dropped,
        /// Of these, by their reasons: `oldest`. It had to make room for a newer one, as `on_full` says.
        dropped_oldest: u64 = it.dropped_by[0],
        /// Of these, by their reasons: `age`. It waited longer than `max_age`.
        dropped_age: u64 = it.dropped_by[1],
        /// Of these, by their reasons: `codel`. The queue is overloaded, and it waited longer than twice the target.
        dropped_codel: u64 = it.dropped_by[2],
        /// Of these, by their reasons: `deadline`. Its own deadline had passed.
        dropped_deadline: u64 = it.dropped_by[3],
        /// Of these, by their reasons: `closed`. The queue was closed by `discard`.
        dropped_closed: u64 = it.dropped_by[4],
        /// The least delay of the interval that ended last, of the lane where it is the longest; `None` without a
        /// discipline that measures it, and before the first. In seconds.
        least_delay: Option<f64> = it.least_delay.map(|it| it.as_secs_f64()),
        /// Whether that is overload.
        overloaded: bool = it.overloaded,
    }
}

stats! {
    /// Counts since the limiter was made.
    ConcurrencyStats from it: tidegate::concurrency::ConcurrencyStats {
        /// The limit in force.
        limit: u32 = it.limit,
        /// Permits held now.
        in_use: u32 = it.in_use,
        /// Calls admitted.
        admitted: u64 = it.admitted,
        /// Calls that got no permit: `refused`, `timed_out` and `cancelled` together.
        denied: u64 = it.denied,
        /// Calls refused without a wait.
        refused: u64 = it.refused,
        /// Waits that ended at their deadline.
        timed_out: u64 = it.timed_out,
        /// Waits that were given up before: a future dropped, a task cancelled, a signal aborted. In C none can be.
        cancelled: u64 = it.cancelled,
        /// Calls that wait now; in a named scope those of all processes, as each said when it last looked, in the last
        /// second.
        waiting: u64 = it.waiting,
        /// The longest wait so far, of those that have ended and of those who wait now. In seconds.
        longest_wait: f64 = it.longest_wait.as_secs_f64(),
        /// Calls admitted by a dry run that would have been denied.
        would_deny: u64 = it.would_deny,
        /// Permits taken back from processes that died (host scope).
        reclaimed: u64 = it.reclaimed,
    }
}

stats! {
    /// A partition now, and its counts since the limiter was made.
    PartitionStats from it: tidegate::concurrency::PartitionStats {
        /// Its share of the limit.
        share: f64 = it.share,
        /// The places that it is guaranteed of the limit in force.
        guaranteed: u32 = it.guaranteed,
        /// Permits that it holds now.
        in_use: u32 = it.in_use,
        /// Places beside those that are kept for it now, as calls of it have been refused: nobody else has more of what
        /// is free.
        called_back: u32 = it.called_back,
        /// Calls admitted.
        admitted: u64 = it.admitted,
        /// Calls that got no permit, at once or after a wait.
        denied: u64 = it.denied,
        /// Calls admitted by a dry run that would have been denied.
        would_deny: u64 = it.would_deny,
    }
}

stats! {
    /// Counts since the budget was made.
    RetryBudgetStats from it: tidegate::retry::RetryBudgetStats {
        /// Calls paid in.
        deposited: u64 = it.deposited,
        /// Retries paid for, without those of `would_deny`.
        withdrawn: u64 = it.withdrawn,
        /// Retries refused.
        denied: u64 = it.denied,
        /// Retries that a dry run let through and that would have been refused.
        would_deny: u64 = it.would_deny,
        /// Whole retries that could be withdrawn now.
        balance: u64 = it.balance,
    }
}

stats! {
    /// Counts since the throttle was made, and what its window holds.
    ClientThrottleStats from it: tidegate::throttle::ClientThrottleStats {
        /// Calls that the backend accepted.
        accepted: u64 = it.accepted,
        /// Calls that the backend refused.
        refused: u64 = it.refused,
        /// Calls rejected here.
        rejected: u64 = it.rejected,
        /// Calls that a dry run let through and that would have been rejected.
        would_reject: u64 = it.would_reject,
        /// Calls that passed because one each `force_pass` does.
        forced: u64 = it.forced,
        /// Requests in the window, own rejections among them.
        window_requests: u64 = it.window_requests,
        /// Of these, accepted.
        window_accepts: u64 = it.window_accepts,
        /// The probability of a rejection now.
        probability: f64 = it.probability,
    }
}

stats! {
    /// Counts since the shedder was made, of all who share it.
    ShedderStats from it: tidegate::shed::ShedderStats {
        /// Calls that were admitted.
        admitted: u64 = it.admitted,
        /// Calls that were refused, of each priority: `critical`. Shed last, and only while the pressure has been at
        /// `critical_at` for `critical_after`.
        shed_critical: u64 = it.shed[0],
        /// Calls that were refused, of each priority: `high`. What users wait for.
        shed_high: u64 = it.shed[1],
        /// Calls that were refused, of each priority: `normal`. Where nothing is said.
        shed_normal: u64 = it.shed[2],
        /// Calls that were refused, of each priority: `sheddable`. What can be done later, or again.
        shed_sheddable: u64 = it.shed[3],
        /// Calls that a dry run let through and that would have been refused.
        would_shed: u64 = it.would_shed,
        /// The largest pressure at the last step.
        pressure: f64 = it.pressure,
        /// The part of the calls that the threshold refuses, by what was asked for of late.
        shed_share: f64 = it.shed_share,
    }
}

stats! {
    /// Counts since the gate was made, of this process.
    GateStats from it: tidegate::gate::GateStats {
        /// Calls that were let in, with those of `would_deny`.
        admitted: u64 = it.admitted,
        /// Calls that were refused.
        denied: u64 = it.denied,
        /// Calls that a dry run let in and would have refused.
        would_deny: u64 = it.would_deny,
        /// Those that were refused, by the kind of the part that the answer named: `access`. The access list: the
        /// client is on its deny list.
        denied_access: u64 = it.denied_by[0],
        /// Those that were refused, by the kind of the part that the answer named: `deadline`. The call's own time is
        /// over, or shorter than calls wait behind the gate.
        denied_deadline: u64 = it.denied_by[1],
        /// Those that were refused, by the kind of the part that the answer named: `shedder`. The load shedder.
        denied_shedder: u64 = it.denied_by[2],
        /// Those that were refused, by the kind of the part that the answer named: `queue`. The queue takes nothing
        /// now.
        denied_queue: u64 = it.denied_by[3],
        /// Those that were refused, by the kind of the part that the answer named: `breaker`. The circuit of a
        /// dependency is open.
        denied_breaker: u64 = it.denied_by[4],
        /// Those that were refused, by the kind of the part that the answer named: `concurrency`. The concurrency limit
        /// is reached.
        denied_concurrency: u64 = it.denied_by[5],
        /// Those that were refused, by the kind of the part that the answer named: `limit`. A rate limit.
        denied_limit: u64 = it.denied_by[6],
    }
}

stats! {
    /// What was decided, and how it goes with the store.
    ClusterStats from it: tidegate::lease::ClusterStats {
        /// Calls admitted, by all processes of this machine.
        admitted: u64 = it.admitted,
        /// Calls denied.
        denied: u64 = it.denied,
        /// Calls that a dry run let through and that would have been denied.
        would_deny: u64 = it.would_deny,
        /// Tokens that this machine may spend now.
        tokens: u32 = it.tokens,
        /// Seconds until they are lost unless the store answers again; 0: they are, or there are none.
        expires_in: f64 = seconds(it.expires_in_ns),
        /// Whether an agent keeps the lease.
        refilled: bool = it.refilled,
        /// Questions to the store.
        syncs: u64 = it.health.syncs,
        /// Questions without an answer.
        errors: u64 = it.health.errors,
        /// Questions that ran too late, or when the store's clock had leapt.
        late: u64 = it.health.late,
        /// Times that the store was another one, or had forgotten.
        epochs: u64 = it.health.epochs,
        /// Tokens granted to this machine.
        granted: u64 = it.health.granted,
        /// How long the latest answer took. In seconds.
        round_trip: f64 = it.health.round_trip.as_secs_f64(),
        /// What the store had left for all machines, by its latest answer.
        level: u64 = it.health.level,
        /// What is wrong, if something is. Never the store's URL.
        fault: Option<String> = it.health.fault,
    }
}
