//! The families: each one's name, type and help, once for all languages.

/// What a family's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FamilyType {
    /// Never falls.
    Counter,
    /// Rises and falls.
    Gauge,
}

impl FamilyType {
    /// The name in every format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

macro_rules! families {
    ($($family:ident = $name:literal, $kind:ident, $text:literal;)+) => {
        /// Values of one meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Family { $(#[doc = $text] $family),+ }

        impl Family {
            /// All of them, in the order in which they are written.
            pub const ALL: &'static [Self] = &[$(Self::$family),+];
            pub(super) const COUNT: usize = Self::ALL.len();

            /// Its name; a counter's without `_total`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$family => concat!("tidegate_", $name)),+ }
            }

            /// What its values are.
            pub fn kind(self) -> FamilyType {
                match self { $(Self::$family => FamilyType::$kind),+ }
            }

            /// What it says, for people.
            pub fn help(self) -> &'static str {
                match self { $(Self::$family => $text),+ }
            }
        }
    };
}

families! {
    Decisions = "decisions", Counter, "Decisions: admitted, denied, or would_deny in a dry run.";
    GateDenied = "gate_denied", Counter, "Calls that a gate refused, by the kind of the part that it named.";
    Keys = "keys", Gauge, "Live keys of a rate limiter.";
    Evictions = "evictions", Counter, "Idle keys that made room for others.";
    Overflowed = "overflowed", Counter, "Decisions for keys that found no room.";
    Blocked = "blocked", Counter, "Blocks of keys that went on after being denied.";
    ConcurrencyLimit = "concurrency_limit", Gauge, "The concurrency limit in force.";
    ConcurrencyLimitMin = "concurrency_limit_min", Gauge, "The least that an adaptive concurrency limit falls to.";
    ConcurrencyInFlight = "concurrency_in_flight", Gauge, "Permits held.";
    ConcurrencyWaiting = "concurrency_waiting", Gauge, "Calls that wait for a permit.";
    ConcurrencyDenied = "concurrency_denied", Counter, "Calls that got no permit: refused, timed_out or cancelled.";
    ConcurrencyReclaimed = "concurrency_reclaimed", Counter, "Permits taken back from processes that died.";
    BreakerState = "breaker_state", Gauge, "1 for the state in which a circuit breaker is, 0 for the others.";
    BreakerCalls = "calls", Counter, "Calls of a circuit breaker, by what became of them.";
    Transitions = "transitions", Counter, "How often a circuit breaker came to each state.";
    BreakerFailureRate = "breaker_failure_rate", Gauge, "Failed calls in a circuit breaker's window, 0 to 1.";
    BreakerSlowCallRate = "breaker_slow_call_rate", Gauge, "Slow calls in a circuit breaker's window, 0 to 1.";
    RegistryBreakers = "registry_breakers", Gauge, "Circuit breakers of a registry, by their states.";
    RegistryEvictions = "registry_evictions", Counter, "Circuit breakers that made room for others.";
    RegistryOverflowed = "registry_overflowed", Counter, "Lookups of keys that shared the overflow breaker.";
    RegistryRejected = "registry_rejected", Counter, "Calls that a registry's circuit breakers rejected.";
    Retries = "retries", Counter, "Retries that asked a budget: retried, or budget where it was empty.";
    RetryBalance = "retry_balance", Gauge, "Whole retries that could be withdrawn.";
    RetryDeposits = "retry_deposits", Counter, "Calls paid into a retry budget.";
    ThrottleCalls = "throttle_calls", Counter, "Calls of a client throttle: accepted, refused, rejected.";
    ThrottleProbability = "throttle_probability", Gauge, "The probability that a client throttle rejects, 0 to 1.";
    Shed = "shed", Counter, "Calls that were shed.";
    Pressure = "pressure", Gauge, "The pressure of a load shedder's signal, 0 to 1.";
    ShedShare = "shed_share", Gauge, "The part of the calls that a load shedder refuses, 0 to 1.";
    QueueDepth = "queue_depth", Gauge, "Items in a queue.";
    QueueCapacity = "queue_capacity", Gauge, "Items that a queue can hold.";
    QueueAccepting = "queue_accepting", Gauge, "1 while a queue accepts items, else 0.";
    QueueItems = "queue_items", Counter, "Items of a queue: pushed, popped or rejected.";
    ClusterTokens = "cluster_tokens", Gauge, "Leased tokens of a cluster limit that this machine may spend.";
    ClusterLevel = "cluster_level", Gauge, "What a cluster limit's store had left for all machines.";
    ClusterRefilled = "cluster_refilled", Gauge, "1 while an agent keeps the leases of a cluster limit, else 0.";
    ClusterGranted = "cluster_granted", Counter, "Tokens of a cluster limit that the store has granted.";
    ClusterEpochs = "cluster_epochs", Counter, "Times that a cluster limit's store was another, or had forgotten.";
    ClusterSyncs = "cluster_syncs", Counter, "Questions of a cluster limit to its store: asked, error, late.";
    ClusterRoundTrip = "cluster_round_trip_seconds", Gauge, "How long the store's latest answer took.";
    PolicyInfo = "policy_info", Gauge, "1 for the hash of the policy in force: of this process, and of an arena.";
    PolicyReloads = "policy_reloads", Counter, "Reloads of a policy: ok, or failed where nothing of it was applied.";
    Dropped = "dropped", Counter, "Accepted items that a queue dropped.";
}
