//! The gate itself: its parts.

use super::config::{GateConfig, Placed};
use super::pause::Pause;
use super::stats::Counts;
use super::ticket::Outcomes;
use super::{Dependencies, QueueView};
use crate::breaker::CircuitBreaker;
use crate::concurrency::{ConcurrencyLimiter, Partition};
use crate::http::AccessList;
use crate::limit::LimitSet;
use crate::mode::Mode;
use crate::shed::LoadShedder;
use crate::{Clock, ConfigError, ConfigErrorKind, sys};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// Access list, load shedder, queue, circuit breakers, concurrency limit and rate limits as one decision.
///
/// First a look at all, without a write: the switch, the access list, the deadline, the shedder, the queue, the
/// breakers of what the call depends on, the limits. If one refuses, nothing was taken, and the answer names the
/// part with the longest wait. Then the taking: a permit of the concurrency limit, and all limits at once; whoever
/// loses a race there gives the permit back. So:
/// - a refused call leaves every part as it was, but for what a [`LimitSet`] leaves of a lost race;
/// - an admitted one is charged once, and [`finish`](Self::finish) gives back what is to be given back, once;
/// - a look leases no probe, and an open breaker that has a probe free does not refuse: the call asks for its
///   permit where it calls, [`Admission::breaker`](super::Admission::breaker).
///
/// Each part counts a call that it refused. A client on the allow list passes without being counted, by any part.
///
/// Parts stay in use by themselves, and may stand in several gates. Those of one clock are asked for one moment.
///
/// Thread safety: all methods may be called from any thread at any time; decisions take no lock and allocate
/// nothing, and make no system call but for what a shedder reads whose turn it is.
///
/// ```
/// use std::sync::Arc;
/// use tidegate::gate::{Outcome, Request};
/// use tidegate::limit::{LimitSet, Member};
/// use tidegate::{Algorithm, ConcurrencyLimiter, Gate, GateConfig, RateLimiter};
///
/// let client = RateLimiter::new(Algorithm::TokenBucket, "2/min".parse()?, 1_000)?;
/// let gate = Gate::new(GateConfig {
///     limits: Some(Arc::new(LimitSet::new([("client", Member::from(Arc::new(client)))])?)),
///     concurrency: Some(("database".into(), Arc::new(ConcurrencyLimiter::new(10)?))),
///     ..GateConfig::new("orders")
/// })?;
///
/// let call = gate.admit(&Request::new(&[b"ann"]))?;
/// assert!(call.is_allowed());
/// call.finish(Outcome::Success);
///
/// assert!(gate.admit(&Request::new(&[b"ann"]))?.is_allowed());
/// let denied = gate.admit(&Request::new(&[b"ann"]))?;
/// assert_eq!((denied.denied_by(), denied.status()), (Some("client"), Some(429)));
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
pub struct Gate {
    pub(super) name: String,
    pub(super) access: Option<AccessList>,
    pub(super) shedder: Option<Placed<Arc<LoadShedder>>>,
    pub(super) queue: Option<(Placed<Arc<dyn QueueView>>, Pause)>,
    pub(super) concurrency: Option<(Placed<Arc<ConcurrencyLimiter>>, Pause)>,
    pub(super) limits: Option<Arc<LimitSet>>,
    pub(super) dependencies: Box<[Placed<Arc<CircuitBreaker>>]>,
    pub(super) refund_on: Outcomes,
    pub(super) mode: Mode,
    pub(super) clock: Clock,
    pub(super) counts: Counts,
}

// What its parts share is atomics, and no function of a caller's is called while one of them is half changed.
impl UnwindSafe for Gate {}
impl RefUnwindSafe for Gate {}

impl Gate {
    /// Of these parts.
    ///
    /// Errors: `name` or a part's name when it is empty, `dependencies` when two have one name or there are more
    /// than [`MOST_DEPENDENCIES`](super::MOST_DEPENDENCIES).
    pub fn new(config: GateConfig) -> Result<Self, ConfigError> {
        config.check()?;
        // Forks are counted from here on: what an admission of the parent holds is not the child's to give back.
        sys::watch();
        let clock = config.clock();
        let GateConfig { name, access, shedder, queue, concurrency, limits, dependencies, refund_on, mode } = config;
        Ok(Self {
            name,
            access: access.filter(|list| !list.is_empty()),
            shedder: shedder.map(|(name, it)| Placed::new(name, it.clock(), &clock, it.clone())),
            queue: queue.map(|(name, it)| (Placed::new(name, &it.clock(), &clock, it.clone()), Pause::default())),
            concurrency: concurrency
                .map(|(name, it)| (Placed::new(name, it.clock(), &clock, it.clone()), Pause::default())),
            limits,
            dependencies: dependencies
                .into_iter()
                .map(|(name, it)| Placed::new(name, it.clock(), &clock, it.clone()))
                .collect(),
            refund_on,
            mode,
            clock,
            counts: Counts::new()?,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The clock of the plain forms: that of the limits, else of the first part that has one.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Off, or only watching.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The limits.
    pub fn limits(&self) -> Option<&Arc<LimitSet>> {
        self.limits.as_ref()
    }

    /// The breaker of a dependency.
    pub fn breaker(&self, dependency: &str) -> Option<&Arc<CircuitBreaker>> {
        self.dependencies.iter().find(|it| it.name == dependency).map(|it| &it.part)
    }

    /// The names of the dependencies, in order.
    pub fn dependency_names(&self) -> impl Iterator<Item = &str> {
        self.dependencies.iter().map(|it| it.name.as_str())
    }

    /// Those of these names, for a [`Request`](super::Request): made once, not with each call.
    ///
    /// Errors: `dependencies` when the gate has none of a name.
    pub fn dependencies<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<Dependencies, ConfigError> {
        names.into_iter().try_fold(Dependencies::NONE, |all, name| {
            let place = self.dependencies.iter().position(|it| it.name == name);
            let place = place.ok_or_else(|| super::config::no_dependency(name, self.dependency_names()))?;
            Ok(all.with(place))
        })
    }

    /// The partition of the concurrency limit of this name, for a [`Request`](super::Request).
    ///
    /// Errors: `partition` when there is none.
    pub fn partition(&self, name: &str) -> Result<Partition, ConfigError> {
        match &self.concurrency {
            Some((concurrency, _)) => concurrency.part.partition(name),
            None => Err(no_concurrency()),
        }
    }

    /// As [`partition`](Self::partition), by its [number](Partition::number), for who crosses a border with numbers.
    ///
    /// Errors: as [`partition`](Self::partition).
    pub fn partition_numbered(&self, number: u32) -> Result<Partition, ConfigError> {
        match &self.concurrency {
            Some((concurrency, _)) => concurrency.part.partition_numbered(number),
            None if number == 0 => Ok(Partition::default()),
            None => Err(no_concurrency()),
        }
    }

    /// One of another limit, perhaps.
    #[inline]
    pub(super) fn check_partition(&self, partition: Partition) -> Result<(), ConfigError> {
        if partition == Partition::default() {
            return Ok(());
        }
        self.partition_numbered(partition.number()).map(drop)
    }
}

#[cold]
fn no_concurrency() -> ConfigError {
    let message = "the gate has no concurrency limit, whose partitions calls belong to; leave it out";
    ConfigError::new(ConfigErrorKind::Conflict, "partition", message)
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.parts().map(|(part, name)| (part.kind().name(), name)).collect();
        f.debug_struct("Gate").field("name", &self.name).field("parts", &parts).finish_non_exhaustive()
    }
}
