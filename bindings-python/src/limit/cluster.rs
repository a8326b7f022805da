//! `ClusterLimit`: what an agent of this machine has leased, spent from memory.

use super::decision::Decision;
use super::quota::{mode, quota};
use crate::args::{self, Cost, seconds, span_of, text, whole32, wrong};
use crate::errors::from_core;
use crate::scope::{Asked, Place};
use crate::stats::ClusterStats;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};
use tidegate::ConfigError;
use tidegate::lease::{self, ClusterConfig, OnUnreachable, SETTINGS};
use tidegate::limit::{BUCKET_SETTINGS, Mode};

/// A rate that many machines share. This machine's processes spend what its agent (`tidegate agent --store redis://…
/// --arena NAME`) has leased from Redis or Valkey: a decision asks nobody. Over any span of time all machines admit no
/// more than burst + rate × time, whatever happens to machines, store and network. Without an agent it denies, and
/// `stats().fault` says so.
///
/// `ClusterLimit("2000/s", burst=1000, scope="cluster:orders", name="door")`.
///
/// Args:
///     rate: what all machines together may admit: a text such as `"100/minute"`, or how many tokens come back per
///         `per`.
///     per: seconds (float or timedelta) for a rate given as a number; default 1.
///     burst: the most tokens that can be taken at once by all, at least 2; default: the count in the rate.
///     scope: "cluster:NAME", the arena NAME of this machine, or a HostScope of it with options; default: what
///         TIDEGATE_SCOPE says.
///     name: which limit of that scope it is; the same name is the same limit, on all machines.
///     sync: seconds from one question to the store to the next; default burst / rate / 4, within 0.01 to 0.1.
///     lease: how many seconds a machine may spend what it leased without hearing from the store; default 5 × sync.
///     timeout: how many seconds to wait for the store.
///     max_outstanding: the most tokens that all machines hold at once; default half of the burst.
///     on_unreachable: what a machine does when its lease has ended and the store does not answer: "deny", or "local",
///         its share, rate / hosts, for `fallback_for` seconds.
///     hosts: for "local", an upper bound of how many machines there are.
///     enabled: False admits everything and touches nothing; so does TIDEGATE_DISABLED=1 in the environment.
///     dry_run: decide and count (`stats().would_deny`), and refuse nothing.
///     on_conflict: when it was last declared there with other settings: "error", "keep" or "apply".
///
/// Raises:
///     ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type; ArenaError: the scope
///     cannot be used, or holds another object of that name.
///
/// All methods may be called from any thread and any event loop at the same time; none blocks. After `os.fork` the
/// child shares it.
#[pyclass(frozen, subclass, weakref, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct ClusterLimit {
    pub(crate) core: tidegate::ClusterLimit,
    pub(crate) place: Place,
}

#[pymethods]
impl ClusterLimit {
    #[new]
    #[classmethod]
    #[pyo3(signature = (rate, per = None, burst = None, *, scope = None, name = None, sync = None, lease = None,
                        timeout = None, max_outstanding = None, on_unreachable = None, hosts = None,
                        fallback_for = None, enabled = None, dry_run = None, on_conflict = None, **unknown),
           text_signature = "(rate, per=None, burst=None, *, scope=None, name=None, sync=None, lease=None, \
timeout=0.1, max_outstanding=None, on_unreachable='deny', hosts=None, fallback_for=60, enabled=None, dry_run=False, \
on_conflict='error')")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn new(
        cls: &Bound<'_, PyType>,
        rate: &Bound<'_, PyAny>,
        per: Option<&Bound<'_, PyAny>>,
        burst: Option<&Bound<'_, PyAny>>,
        scope: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
        sync: Option<&Bound<'_, PyAny>>,
        lease: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        max_outstanding: Option<&Bound<'_, PyAny>>,
        on_unreachable: Option<&Bound<'_, PyAny>>,
        hosts: Option<&Bound<'_, PyAny>>,
        fallback_for: Option<&Bound<'_, PyAny>>,
        enabled: Option<&Bound<'_, PyAny>>,
        dry_run: Option<&Bound<'_, PyAny>>,
        on_conflict: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        args::known(cls, unknown)?;
        let (py, field) = (cls.py(), |name| SETTINGS.field(name));
        let mut config = ClusterConfig::new(quota(&BUCKET_SETTINGS, rate, per, burst)?);
        config.mode = mode(enabled, dry_run)?;
        config.sync = sync.map(|span| span_of(field("sync"), span)).transpose()?;
        config.lease = lease.map(|span| span_of(field("lease"), span)).transpose()?;
        if let Some(timeout) = timeout {
            config.timeout = span_of(field("timeout"), timeout)?;
        }
        config.max_outstanding = max_outstanding.map(|most| whole32(field("max_outstanding"), most)).transpose()?;
        let hosts = hosts.map(|hosts| whole32(field("hosts"), hosts)).transpose()?;
        let fallback_for = match fallback_for {
            Some(span) => span_of(field("fallback_for"), span)?,
            None => lease::FALLBACK_FOR,
        };
        let alone = match on_unreachable {
            None => "deny".to_owned(),
            Some(choice) => match choice.cast::<PyString>() {
                Ok(choice) => choice.to_string_lossy().into_owned(),
                Err(_) => return Err(wrong(field("on_unreachable"), choice)),
            },
        };
        config.on_unreachable =
            OnUnreachable::of(&alone, hosts, fallback_for).map_err(|error| from_core(py, &error))?;
        config.check().map_err(|error| from_core(py, &error))?;
        // The arena of the machine.
        let arena = text("scope", scope.filter(|scope| scope.is_instance_of::<PyString>()))?
            .map(|scope| PyString::new(py, &tidegate::Scope::of_cluster(&scope)).into_any());
        let asked = Asked::of(py, arena.as_ref().or(scope), name, on_conflict, None)?;
        let (core, place) = Place::make(
            py,
            asked,
            |arena, name, on_conflict| tidegate::ClusterLimit::in_arena(arena, name, config, on_conflict),
            |_| Err(ConfigError::out_of_range("scope", lease::NO_ARENA)),
        )?;
        Ok(Self { core, place })
    }

    /// Takes `n` tokens of what is leased, or nothing.
    #[pyo3(signature = (n = Cost(1)), text_signature = "($self, n=1)")]
    #[inline]
    fn try_acquire(&self, n: Cost) -> bool {
        self.core.try_acquire(n.0)
    }

    /// Takes `n` tokens, or nothing, and tells what this machine has left. `retry_after` is the earliest that the
    /// store's next answer could bring them.
    #[pyo3(signature = (n = Cost(1)), text_signature = "($self, n=1)")]
    #[inline]
    fn check(&self, n: Cost) -> Decision {
        self.core.check(n.0).into()
    }

    /// What `check(1)` would answer; takes nothing.
    fn peek(&self) -> Decision {
        self.core.peek().into()
    }

    /// What all processes of this machine decided, and how it goes with the store. Some system calls.
    fn stats(&self) -> ClusterStats {
        self.core.stats().into()
    }

    /// Tokens that come back per `period`, to all machines.
    #[getter]
    fn count(&self) -> u64 {
        self.core.quota().count()
    }

    /// Seconds in which `count` tokens come back.
    #[getter]
    fn period(&self) -> f64 {
        seconds(self.core.quota().period().as_nanos() as u64)
    }

    /// The most tokens that all machines can take at once.
    #[getter]
    fn burst(&self) -> u32 {
        self.core.quota().burst()
    }

    /// The part of the rate that is used where there is demand for all of it, 0 to 1: less than 1 where the burst is
    /// below 4 × rate × sync.
    #[getter]
    fn utilisation(&self) -> f64 {
        self.core.terms().utilisation()
    }

    /// What the store knows this machine as.
    #[getter]
    fn member_id(&self) -> String {
        self.core.member_id()
    }

    /// Whether it refuses what is too much: it is neither switched off nor a dry run.
    #[getter]
    fn _refuses(&self) -> bool {
        self.core.mode() == Mode::Enforce
    }

    /// Where its lease lives: "host:NAME", or "process:NAME".
    #[getter]
    fn scope(&self) -> String {
        self.place.scope()
    }

    /// The name it was given.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.place.name()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let Self { core, place } = slf.get();
        let (quota, stats) = (core.quota(), core.stats());
        let (class, per) = (slf.get_type().name()?, seconds(quota.period().as_nanos() as u64));
        let fault = stats.health.fault.map(|fault| format!(", fault={fault:?}")).unwrap_or_default();
        Ok(format!(
            "{class}({}, per={per:?}, burst={}{}, tokens={}, admitted={}, denied={}{fault})",
            quota.count(),
            quota.burst(),
            place.shown(),
            stats.tokens,
            stats.admitted,
            stats.denied
        ))
    }
}
