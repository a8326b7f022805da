//! What a gate is made of.

use super::Outcomes;
use crate::breaker::CircuitBreaker;
use crate::concurrency::ConcurrencyLimiter;
use crate::http::AccessList;
use crate::limit::LimitSet;
use crate::mode::Mode;
use crate::queue::BoundedQueue;
use crate::shed::LoadShedder;
use crate::{Clock, ConfigError, ConfigErrorKind};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most dependencies of a gate.
pub const MOST_DEPENDENCIES: usize = 64;

/// What a gate asks a queue; a [`BoundedQueue`] of anything answers.
pub trait QueueView: Send + Sync {
    /// Whether items are welcome.
    fn is_accepting(&self) -> bool;
    /// How long everybody waits in it at least, where it measures that.
    fn delay(&self) -> Option<Duration>;
    /// Items in it.
    fn depth(&self) -> usize;
    /// How many it holds.
    fn capacity(&self) -> usize;
    /// How many have left it since it was made.
    fn left(&self) -> u64;
    /// Its clock.
    fn clock(&self) -> Clock;
}

impl<T: Send> QueueView for BoundedQueue<T> {
    fn is_accepting(&self) -> bool {
        Self::is_accepting(self)
    }

    fn delay(&self) -> Option<Duration> {
        self.least_delay()
    }

    fn depth(&self) -> usize {
        Self::depth(self)
    }

    fn capacity(&self) -> usize {
        self.config().capacity
    }

    fn left(&self) -> u64 {
        let stats = self.stats();
        stats.popped + stats.dropped
    }

    fn clock(&self) -> Clock {
        Self::clock(self).clone()
    }
}

/// What a [`Gate`](super::Gate) is made of; each part but the limits with the name that refusals tell.
#[derive(Clone)]
pub struct GateConfig {
    /// Its name.
    pub name: String,
    /// Who passes without being counted, and who is always refused.
    pub access: Option<AccessList>,
    /// What is not taken when there is too much to do.
    pub shedder: Option<(String, Arc<LoadShedder>)>,
    /// Where the calls put what is to be done: none is let in while it takes nothing. They put it there themselves.
    pub queue: Option<(String, Arc<dyn QueueView>)>,
    /// How many calls may be under way.
    pub concurrency: Option<(String, Arc<ConcurrencyLimiter>)>,
    /// How many calls may come.
    pub limits: Option<Arc<LimitSet>>,
    /// What calls may depend on, each named for itself in a [`Request`](super::Request).
    pub dependencies: Vec<(String, Arc<CircuitBreaker>)>,
    /// After which outcomes a call's cost is given back to the limits. By default none: who gives up a call could
    /// otherwise make as many as it likes.
    pub refund_on: Outcomes,
    /// Off, or only watching. By default [`Mode::from_env`].
    pub mode: Mode,
}

impl GateConfig {
    /// Without any part.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            access: None,
            shedder: None,
            queue: None,
            concurrency: None,
            limits: None,
            dependencies: Vec::new(),
            refund_on: Outcomes::NONE,
            mode: Mode::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let named = [
            ("name", Some(&self.name)),
            ("shedder", self.shedder.as_ref().map(|it| &it.0)),
            ("queue", self.queue.as_ref().map(|it| &it.0)),
            ("concurrency", self.concurrency.as_ref().map(|it| &it.0)),
        ];
        for (field, name) in named {
            if name.is_some_and(String::is_empty) {
                let message = "a name is empty; give each part one: it stands in refusals";
                return Err(ConfigError::syntax(field, message));
            }
        }
        let wrong = |message| Err(ConfigError::new(ConfigErrorKind::Conflict, "dependencies", message));
        if self.dependencies.len() > MOST_DEPENDENCIES {
            return wrong(format!(
                "{} dependencies given; a gate has at most {MOST_DEPENDENCIES}",
                self.dependencies.len()
            ));
        }
        for (place, (name, _)) in self.dependencies.iter().enumerate() {
            if name.is_empty() {
                return wrong("a dependency without a name; give each one, by which calls ask for it".to_owned());
            }
            if self.dependencies[..place].iter().any(|(other, _)| other == name) {
                return wrong(format!("{name:?} comes twice; give each dependency a name of its own"));
            }
        }
        Ok(())
    }

    /// That of the limits, else of the first part that has one.
    pub(super) fn clock(&self) -> Clock {
        let of_limits = self.limits.as_ref().map(|it| it.clock().clone());
        let of_concurrency = || self.concurrency.as_ref().map(|(_, it)| it.clock().clone());
        let of_breakers = || self.dependencies.first().map(|(_, it)| it.clock().clone());
        let of_shedder = || self.shedder.as_ref().map(|(_, it)| it.clock().clone());
        let of_queue = || self.queue.as_ref().map(|(_, it)| it.clock());
        let others = || of_concurrency().or_else(of_breakers).or_else(of_shedder).or_else(of_queue);
        of_limits.or_else(others).unwrap_or_default()
    }
}

impl fmt::Debug for GateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateConfig").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(super) fn no_dependency<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> ConfigError {
    let known: Vec<_> = known.collect();
    let message = match known.as_slice() {
        [] => format!("{name:?} is none; the gate was made without dependencies"),
        known => format!("{name:?} is none; the gate has {}", known.join(", ")),
    };
    ConfigError::new(ConfigErrorKind::Conflict, "dependencies", message)
}

/// A part in its place.
pub(super) struct Placed<T> {
    pub(super) name: String,
    pub(super) part: T,
    /// Its own clock, where that is another than the gate's.
    other_clock: Option<Clock>,
}

impl<T> Placed<T> {
    pub(super) fn new(name: String, own: &Clock, gates: &Clock, part: T) -> Self {
        Self { name, part, other_clock: (!own.is_same(gates)).then(|| own.clone()) }
    }

    /// `now` of the gate's clock, or the time of its own.
    #[inline]
    pub(super) fn at(&self, now: u64) -> u64 {
        self.other_clock.as_ref().map_or(now, Clock::now)
    }
}
