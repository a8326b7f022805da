//! What each kind of object says at a scrape.

use super::family::Family;
use super::{Metrics, Sample, Value};
use crate::breaker::{CallOutcome, State};
use crate::gate::{Gate, Kind};
use crate::queue::DropReason;
use crate::shed::Priority;
use crate::{
    BoundedQueue, BreakerRegistry, CircuitBreaker, ClientThrottle, ClusterLimit, ConcurrencyLimiter, LoadShedder,
    RateLimiter, RetryBudget, TokenBucket,
};

pub(super) type Labels = Vec<(&'static str, String)>;

/// Something whose counts can be read.
pub trait Measured: sealed::Measure {
    /// What the label `kind` says of it: `"token_bucket"`.
    fn kind(&self) -> &'static str;
}

impl<T: sealed::Measure> Measured for T {
    fn kind(&self) -> &'static str {
        T::KIND
    }
}

/// Where an object writes its values: as one of a scope, under a name.
#[derive(Debug)]
pub struct Page<'a> {
    pub(super) metrics: &'a mut Metrics,
    pub(super) scope: &'a str,
    pub(super) name: &'a str,
}

pub(super) mod sealed {
    use super::Page;

    pub trait Measure {
        const KIND: &'static str;

        /// Writes its values.
        fn measure(&self, page: &mut Page<'_>);
    }
}

use sealed::Measure;

impl Page<'_> {
    fn put(&mut self, family: Family, labels: &[(&'static str, &str)], value: Value) {
        let own = labels.iter().map(|(label, value)| (*label, (*value).to_owned()));
        let labels = [("scope", self.scope.to_owned())].into_iter().chain(own).collect();
        self.metrics.samples[family as usize].push(Sample { labels, value });
    }

    /// A value of this object alone.
    fn gauge(&mut self, family: Family, value: f64) {
        self.put(family, &[("name", self.name)], Value::Real(value));
    }

    fn whole(&mut self, family: Family, value: u64) {
        self.put(family, &[("name", self.name)], Value::Whole(value));
    }

    /// Values of this object that one more label tells apart.
    fn each(&mut self, family: Family, label: &'static str, values: &[(&str, u64)]) {
        for &(which, value) in values {
            self.put(family, &[("name", self.name), (label, which)], Value::Whole(value));
        }
    }

    fn decisions(&mut self, kind: &'static str, [admitted, denied, would_deny]: [u64; 3]) {
        for (decision, count) in [("admitted", admitted), ("denied", denied), ("would_deny", would_deny)] {
            let labels = [("kind", kind), ("name", self.name), ("decision", decision)];
            self.put(Family::Decisions, &labels, Value::Whole(count));
        }
    }
}

impl Measure for TokenBucket {
    const KIND: &'static str = "token_bucket";

    fn measure(&self, page: &mut Page<'_>) {
        let stats = self.stats();
        page.decisions(Self::KIND, [stats.admitted, stats.denied, stats.would_deny]);
    }
}

impl Measure for RateLimiter {
    const KIND: &'static str = "rate_limiter";

    fn measure(&self, page: &mut Page<'_>) {
        let stats = self.stats();
        page.decisions(Self::KIND, [stats.admitted, stats.denied, stats.would_deny]);
        page.whole(Family::Keys, self.len() as u64);
        page.whole(Family::Evictions, stats.evictions);
        page.whole(Family::Overflowed, stats.overflowed);
        page.whole(Family::Blocked, stats.blocked);
    }
}

impl Measure for ConcurrencyLimiter {
    const KIND: &'static str = "concurrency_limiter";

    fn measure(&self, page: &mut Page<'_>) {
        let stats = self.stats();
        page.decisions(Self::KIND, [stats.admitted, stats.denied, stats.would_deny]);
        page.whole(Family::ConcurrencyLimit, stats.limit.into());
        if let Some(adaptive) = &self.config().adaptive {
            page.whole(Family::ConcurrencyLimitMin, adaptive.min_limit.into());
        }
        page.whole(Family::ConcurrencyInFlight, stats.in_use.into());
        page.whole(Family::ConcurrencyWaiting, stats.waiting);
        let denied = [("refused", stats.refused), ("timed_out", stats.timed_out), ("cancelled", stats.cancelled)];
        page.each(Family::ConcurrencyDenied, "reason", &denied);
        page.whole(Family::ConcurrencyReclaimed, stats.reclaimed);
    }
}

impl Measure for CircuitBreaker {
    const KIND: &'static str = "circuit_breaker";

    fn measure(&self, page: &mut Page<'_>) {
        let stats = self.stats();
        page.each(
            Family::BreakerState,
            "state",
            &State::ALL.map(|state| (state.name(), u64::from(state == stats.state))),
        );
        let counts = self.counts();
        let calls = CallOutcome::ALL.map(|outcome| (outcome.name(), counts.calls[outcome as usize]));
        page.each(Family::BreakerCalls, "outcome", &calls);
        let transitions = State::ALL.map(|to| (to.name(), counts.transitions[to as usize]));
        page.each(Family::Transitions, "to", &transitions);
        page.gauge(Family::BreakerFailureRate, stats.failure_rate);
        page.gauge(Family::BreakerSlowCallRate, stats.slow_call_rate);
    }
}

impl Measure for BreakerRegistry {
    const KIND: &'static str = "breaker_registry";

    fn measure(&self, page: &mut Page<'_>) {
        let mut by_state = [0; State::ALL.len()];
        let mut rejected = self.overflow().stats().rejected;
        let mut from = 0;
        while let Some(item) = self.next_item(&mut from) {
            let stats = item.breaker.stats();
            by_state[stats.state as usize] += 1;
            rejected += stats.rejected;
        }
        let counted = State::ALL.map(|state| (state.name(), by_state[state as usize]));
        page.each(Family::RegistryBreakers, "state", &counted);
        page.whole(Family::RegistryEvictions, self.stats().evicted);
        page.whole(Family::RegistryOverflowed, self.stats().overflowed);
        page.whole(Family::RegistryRejected, rejected);
    }
}

impl Measure for RetryBudget {
    const KIND: &'static str = "retry_budget";

    fn measure(&self, page: &mut Page<'_>) {
        let stats = self.stats();
        page.each(Family::Retries, "result", &[("retried", stats.withdrawn), ("budget", stats.denied)]);
        page.whole(Family::RetryBalance, stats.balance);
        page.whole(Family::RetryDeposits, stats.deposited);
    }
}

impl Measure for ClientThrottle {
    const KIND: &'static str = "client_throttle";

    fn measure(&self, page: &mut Page<'_>) {
        let stats = self.stats();
        let calls = [("accepted", stats.accepted), ("refused", stats.refused), ("rejected", stats.rejected)];
        page.each(Family::ThrottleCalls, "outcome", &calls);
        page.gauge(Family::ThrottleProbability, stats.probability);
    }
}

impl Measure for LoadShedder {
    const KIND: &'static str = "load_shedder";

    fn measure(&self, page: &mut Page<'_>) {
        let stats = self.stats();
        page.decisions(Self::KIND, [stats.admitted, stats.shed.iter().sum(), stats.would_shed]);
        let shed = Priority::ALL.map(|priority| (priority.name(), stats.shed[priority as usize]));
        page.each(Family::Shed, "priority", &shed);
        for signal in self.signals() {
            let labels = [("name", page.name), ("signal", signal.name.as_str())];
            page.put(Family::Pressure, &labels, Value::Real(signal.pressure));
        }
        page.gauge(Family::ShedShare, stats.shed_share);
    }
}

impl Measure for Gate {
    const KIND: &'static str = "gate";

    fn measure(&self, page: &mut Page<'_>) {
        let stats = self.stats();
        // A call is one of the three.
        let admitted = stats.admitted - stats.would_deny;
        page.decisions(Self::KIND, [admitted, stats.denied, stats.would_deny]);
        let denied = Kind::ALL.map(|kind| (kind.name(), stats.denied_by[kind as usize]));
        page.each(Family::GateDenied, "part", &denied);
    }
}

impl Measure for ClusterLimit {
    const KIND: &'static str = "cluster_limit";

    fn measure(&self, page: &mut Page<'_>) {
        let stats = self.stats();
        page.decisions(Self::KIND, [stats.admitted, stats.denied, stats.would_deny]);
        page.whole(Family::ClusterTokens, stats.tokens.into());
        page.whole(Family::ClusterLevel, stats.health.level);
        page.whole(Family::ClusterRefilled, stats.refilled.into());
        page.whole(Family::ClusterGranted, stats.health.granted);
        page.whole(Family::ClusterEpochs, stats.health.epochs);
        let syncs = [("asked", stats.health.syncs), ("error", stats.health.errors), ("late", stats.health.late)];
        page.each(Family::ClusterSyncs, "event", &syncs);
        page.gauge(Family::ClusterRoundTrip, stats.health.round_trip.as_secs_f64());
    }
}

impl<T: Send> Measure for BoundedQueue<T> {
    const KIND: &'static str = "bounded_queue";

    fn measure(&self, page: &mut Page<'_>) {
        let stats = self.stats();
        let queue = [("queue", page.name)];
        page.put(Family::QueueDepth, &queue, Value::Whole(stats.depth as u64));
        page.put(Family::QueueCapacity, &queue, Value::Whole(self.config().capacity as u64));
        page.put(Family::QueueAccepting, &queue, Value::Whole(stats.accepting.into()));
        for (what, count) in [("pushed", stats.pushed), ("popped", stats.popped), ("rejected", stats.rejected)] {
            page.put(Family::QueueItems, &[("queue", page.name), ("event", what)], Value::Whole(count));
        }
        for (reason, count) in DropReason::ALL.into_iter().zip(stats.dropped_by) {
            let labels = [("queue", page.name), ("reason", reason.name())];
            page.put(Family::Dropped, &labels, Value::Whole(count));
        }
    }
}
