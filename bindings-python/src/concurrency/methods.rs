//! `ConcurrencyLimiter`: the parts that do not wait, and the registration on which the waiting forms are built.

use super::adaptive::Settings;
use super::limiter::ConcurrencyLimiter;
use super::partition::{partition as of, partitions as shares_of};
use super::permit::ConcurrencyPermit;
use super::waiter::Waiter;
use crate::args::{self, choice, span, told, whole32};
use crate::errors::{self, from_core};
use crate::limit::quota::mode;
use crate::python::Function;
use crate::refusal::refused;
use crate::scope::{Asked, Place};
use crate::stats::{ConcurrencyStats, PartitionStats};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tidegate::ConcurrencyConfig;
use tidegate::concurrency::{SETTINGS, WaitOrder};
use tidegate::http::Outflow;
use tidegate::refusal::Refusal;

static ACQUIRE: Function = Function::new("tidegate._waiting", "acquire_permit");
static ACQUIRE_ASYNC: Function = Function::new("tidegate._waiting", "acquire_permit_async");
static DECORATE: Function = Function::new("tidegate._decorate", "decorate_limited");

static CONCURRENCY_LIMIT: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// `timeout=` of a waiting form, which may be left out.
#[derive(Default)]
enum Timeout {
    #[default]
    Own,
    Given(Py<PyAny>),
}

impl FromPyObject<'_, '_> for Timeout {
    type Error = Infallible;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> Result<Self, Infallible> {
        Ok(Self::Given(value.to_owned().unbind()))
    }
}

impl Timeout {
    /// `max_wait=` of a limiter.
    fn at_first(self, py: Python<'_>) -> PyResult<Option<Duration>> {
        match self {
            Self::Own => Ok(Some(Duration::ZERO)),
            Self::Given(wait) if wait.is_none(py) => Ok(None),
            Self::Given(wait) => span("max_wait", wait.bind(py)),
        }
    }

    /// Seconds; None: no end.
    fn or(self, py: Python<'_>, max_wait: Option<Duration>) -> PyResult<Option<f64>> {
        let wait = match self {
            Self::Own => max_wait,
            Self::Given(wait) if wait.is_none(py) => None,
            Self::Given(wait) => span("timeout", wait.bind(py))?,
        };
        Ok(wait.map(|wait| wait.as_secs_f64()))
    }
}

impl ConcurrencyLimiter {
    fn make(
        config: ConcurrencyConfig,
        max_wait: Option<Duration>,
        retry_after: Option<&Bound<'_, PyAny>>,
        asked: Asked<'_>,
        py: Python<'_>,
    ) -> PyResult<Self> {
        let retry_after = told(retry_after)?;
        let (core, place) = Place::make(
            py,
            asked,
            |arena, name, on_conflict| tidegate::ConcurrencyLimiter::in_arena(arena, name, config, on_conflict),
            |clock| tidegate::ConcurrencyLimiter::with_config(config, clock),
        )?;
        Ok(Self { core: Arc::new(core), max_wait, retry_after, outflow: Outflow::new(), place })
    }
}

#[pymethods]
impl ConcurrencyLimiter {
    #[new]
    #[classmethod]
    #[pyo3(signature = (limit, max_wait = Timeout::Own, *, max_limit = None, max_waiting = None, order = None,
                        partitions = None, priority = None, retry_after = None, scope = None, name = None,
                        on_conflict = None, enabled = None, dry_run = None, **unknown),
           text_signature = "(limit, max_wait=0, *, max_limit=None, max_waiting=None, order='fifo', \
partitions=None, priority=None, retry_after=None, scope=None, \
name=None, on_conflict='error', enabled=None, dry_run=False)")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn new(
        cls: &Bound<'_, PyType>,
        limit: &Bound<'_, PyAny>,
        max_wait: Timeout,
        max_limit: Option<&Bound<'_, PyAny>>,
        max_waiting: Option<&Bound<'_, PyAny>>,
        order: Option<&Bound<'_, PyAny>>,
        partitions: Option<&Bound<'_, PyAny>>,
        priority: Option<&Bound<'_, PyAny>>,
        retry_after: Option<&Bound<'_, PyAny>>,
        scope: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
        on_conflict: Option<&Bound<'_, PyAny>>,
        enabled: Option<&Bound<'_, PyAny>>,
        dry_run: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        args::known(cls, unknown)?;
        let py = limit.py();
        let mut config = ConcurrencyConfig::new(whole("limit", limit)?);
        if let Some(most) = max_limit {
            config.max_limit = whole("max_limit", most)?;
        }
        config.max_waiting = max_waiting.map(|most| whole("max_waiting", most)).transpose()?;
        config.order = wait_order(order)?;
        config.partitions = shares_of(py, partitions, priority)?;
        config.mode = mode(enabled, dry_run)?;
        Self::make(config, max_wait.at_first(py)?, retry_after, Asked::of(py, scope, name, on_conflict, None)?, py)
    }

    /// A limit that follows what calls report: it falls while they take longer than `tolerance` times the latency of an
    /// unloaded call, which is probed for, and grows while they do not. A permit's `with` reports; so do `success()`,
    /// `ignore()` and `dropped()`. In a scope that processes share they feed one estimate and obey one limit.
    ///
    /// Args:
    ///     algorithm: "gradient"; or "gradient2", "vegas", "aimd", as Netflix has them, for those who migrate.
    ///     min_limit, initial_limit, max_limit: its bounds, and where it begins.
    ///     tolerance: how many times the latency of an unloaded call the median may be.
    ///     window, samples, max_window, min_samples: when it moves, in seconds and calls.
    ///     probe, probe_every, probe_floor: whether and when an unloaded call is looked for, and with what least limit.
    ///     max_latency: a median above it always lowers the limit. base: the latency of an unloaded call, if known.
    ///     timeout, backoff_ratio: of "aimd". clock: a ManualClock for tests. The others as of a fixed limit.
    #[classmethod]
    #[pyo3(signature = (algorithm = None, *, min_limit = None, initial_limit = None, max_limit = None,
                        max_wait = Timeout::Own, max_waiting = None, order = None, partitions = None, priority = None,
                        retry_after = None,
                        tolerance = None, window = None,
                        samples = None, max_window = None, min_samples = None, probe = None, probe_every = None,
                        probe_floor = None, max_latency = None, base = None, timeout = None, backoff_ratio = None,
                        clock = None, scope = None, name = None, on_conflict = None, enabled = None,
                        dry_run = None, **unknown),
           text_signature = "($cls, algorithm='gradient', *, min_limit=1, initial_limit=20, max_limit=1000, \
max_wait=0, max_waiting=None, order='fifo', partitions=None, priority=None, retry_after=None, tolerance=2, \
window=0.5, samples=20, max_window=5, min_samples=5, probe=True, probe_every=60, probe_floor=None, \
max_latency=None, base=None, timeout=5, backoff_ratio=0.9, clock=None, scope=None, name=None, on_conflict='error', \
enabled=None, dry_run=False)")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn adaptive(
        cls: &Bound<'_, PyType>,
        algorithm: Option<&Bound<'_, PyAny>>,
        min_limit: Option<&Bound<'_, PyAny>>,
        initial_limit: Option<&Bound<'_, PyAny>>,
        max_limit: Option<&Bound<'_, PyAny>>,
        max_wait: Timeout,
        max_waiting: Option<&Bound<'_, PyAny>>,
        order: Option<&Bound<'_, PyAny>>,
        partitions: Option<&Bound<'_, PyAny>>,
        priority: Option<&Bound<'_, PyAny>>,
        retry_after: Option<&Bound<'_, PyAny>>,
        tolerance: Option<&Bound<'_, PyAny>>,
        window: Option<&Bound<'_, PyAny>>,
        samples: Option<&Bound<'_, PyAny>>,
        max_window: Option<&Bound<'_, PyAny>>,
        min_samples: Option<&Bound<'_, PyAny>>,
        probe: Option<&Bound<'_, PyAny>>,
        probe_every: Option<&Bound<'_, PyAny>>,
        probe_floor: Option<&Bound<'_, PyAny>>,
        max_latency: Option<&Bound<'_, PyAny>>,
        base: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        backoff_ratio: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
        scope: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
        on_conflict: Option<&Bound<'_, PyAny>>,
        enabled: Option<&Bound<'_, PyAny>>,
        dry_run: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        args::known(cls, unknown)?;
        let settings = Settings {
            algorithm,
            limits: [min_limit, initial_limit, max_limit],
            reals: [tolerance, backoff_ratio],
            spans: [window, max_window, probe_every, max_latency, base, timeout],
            counts: [samples, min_samples, probe_floor],
            probe,
        };
        let config = ConcurrencyConfig {
            max_waiting: max_waiting.map(|most| whole("max_waiting", most)).transpose()?,
            order: wait_order(order)?,
            partitions: shares_of(cls.py(), partitions, priority)?,
            mode: mode(enabled, dry_run)?,
            ..ConcurrencyConfig::adaptive(settings.config()?)
        };
        Self::make(
            config,
            max_wait.at_first(cls.py())?,
            retry_after,
            Asked::of(cls.py(), scope, name, on_conflict, clock)?,
            cls.py(),
        )
    }

    /// A permit, or None when the limit is reached, or what is free is kept for others. `partition`: the name of the
    /// one that the call belongs to.
    #[pyo3(signature = (partition = None))]
    #[inline]
    fn try_acquire(slf: &Bound<'_, Self>, partition: Option<&Bound<'_, PyAny>>) -> PyResult<Option<ConcurrencyPermit>> {
        let this = slf.get();
        let permit = match partition {
            None => this.core.try_acquire(),
            given => this.core.try_acquire_in(of(this, given)?),
        };
        Ok(permit.map(|permit| ConcurrencyPermit::new(slf.clone().unbind(), permit)))
    }

    /// A permit, blocking this thread until one is free; Ctrl-C leaves none taken.
    ///
    /// Raises ConcurrencyLimitError after `timeout` seconds (left out: `max_wait`; None: waits as long as it takes).
    #[pyo3(signature = (timeout = Timeout::Own, *, partition = None),
           text_signature = "($self, timeout=..., *, partition=None)")]
    fn acquire<'py>(
        slf: &Bound<'py, Self>,
        timeout: Timeout,
        partition: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let timeout = timeout.or(py, slf.get().max_wait)?;
        match Self::_at_once(slf, partition)? {
            Some(permit) => Ok(Bound::new(py, permit)?.into_any()),
            None => ACQUIRE.call(py, (slf, timeout, partition)),
        }
    }

    /// A permit, suspending this task until one is free. A cancelled task passes what it was granted on to the next.
    ///
    /// Raises ConcurrencyLimitError after `timeout` seconds, as `acquire` does.
    #[pyo3(signature = (timeout = Timeout::Own, *, partition = None),
           text_signature = "($self, timeout=..., *, partition=None)")]
    fn acquire_async<'py>(
        slf: &Bound<'py, Self>,
        timeout: Timeout,
        partition: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        // Before there is a coroutine.
        of(slf.get(), partition)?;
        ACQUIRE_ASYNC.call(py, (slf, timeout.or(py, slf.get().max_wait)?, partition))
    }

    /// Decorates a function, which then runs under a permit; an `async def` stays one. `@limiter(partition="live")`: of
    /// that partition. Raises TypeError for generators and what is no function.
    #[pyo3(signature = (func = None, /, *, partition = None))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        func: Option<&Bound<'py, PyAny>>,
        partition: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        of(slf.get(), partition)?;
        if func.is_none() && partition.is_none() {
            return Err(PyTypeError::new_err("func: missing; write @limiter, or @limiter(partition=\"…\")"));
        }
        DECORATE.call(slf.py(), (slf, func, partition))
    }

    /// A permit, unless the limit is reached or others wait; not counted as a denial.
    #[pyo3(signature = (partition = None))]
    fn _at_once(slf: &Bound<'_, Self>, partition: Option<&Bound<'_, PyAny>>) -> PyResult<Option<ConcurrencyPermit>> {
        let permit = slf.get().core.at_once_in(of(slf.get(), partition)?);
        Ok(permit.map(|permit| ConcurrencyPermit::new(slf.clone().unbind(), permit)))
    }

    /// Joins those who wait; `callback` is called once, from any thread, when there is a permit to take.
    /// ConcurrencyLimitError: `max_waiting` wait already.
    #[pyo3(signature = (callback, partition = None))]
    fn _wait(slf: &Bound<'_, Self>, callback: Py<PyAny>, partition: Option<&Bound<'_, PyAny>>) -> PyResult<Waiter> {
        Waiter::new(slf, callback, of(slf.get(), partition)?).ok_or_else(|| {
            let class = CONCURRENCY_LIMIT.import(slf.py(), errors::MODULE, "ConcurrencyLimitError");
            errors::made(class, (slf.get()._refused(None), slf.get().retry_after()))
        })
    }

    /// What ConcurrencyLimitError says.
    fn _refused(&self, timeout: Option<f64>) -> String {
        refused(Refusal::of_concurrency(self.core.limit()).named(self.name()), 0.0, timeout)
    }

    /// Seconds to tell who is refused.
    #[getter]
    fn retry_after(&self) -> f64 {
        self.retry_after.unwrap_or_else(|| {
            let stats = self.core.stats();
            let (held, waiting) = (u64::from(stats.in_use), stats.waiting);
            let left = stats.admitted.saturating_sub(held);
            self.outflow.retry_after(self.core.clock().now(), held + waiting, left) as f64
        })
    }

    /// Permits held now, in all processes of its scope.
    #[getter]
    fn in_use(&self) -> u32 {
        self.core.in_use()
    }

    /// The most at once.
    #[getter]
    fn limit(&self) -> u32 {
        self.core.limit()
    }

    /// Changes the limit, at most to `max_limit`; permits above a lower one stay until they are given back.
    fn set_limit(&self, limit: &Bound<'_, PyAny>) -> PyResult<()> {
        self.core.set_limit(whole("limit", limit)?).map_err(|error| from_core(limit.py(), &error))
    }

    /// Changes the shares of its partitions, `{"live": 0.8, "batch": 0.2}`, for all who share it. Calls under way keep
    /// their places. ConfigError for other names than it was made with.
    fn set_shares(&self, shares: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = shares.py();
        let given = shares_of(py, Some(shares), None)?;
        self.core.set_shares(given.shares()).map_err(|error| from_core(py, &error))
    }

    /// The shares of its partitions that are in force.
    #[getter]
    fn shares(&self) -> std::collections::HashMap<String, f64> {
        self.core.shares().into_iter().collect()
    }

    /// What holds an adaptive limit where it is, and what partitions have, a line for each thing; empty of a fixed one
    /// without partitions.
    fn explain(&self) -> Vec<String> {
        self.core.explain()
    }

    /// Seconds for which the waiting forms wait; `math.inf`: as long as it takes.
    #[getter]
    fn max_wait(&self) -> f64 {
        self.max_wait.map_or(f64::INFINITY, |wait| wait.as_secs_f64())
    }

    /// Where its permits live: "process", "process:NAME" or "host:NAME".
    #[getter]
    fn scope(&self) -> String {
        self.place.scope()
    }

    /// The name it was given, or None.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.place.name()
    }

    /// Counts since the limiter was made.
    fn stats(&self) -> ConcurrencyStats {
        self.core.stats().into()
    }

    /// Its partitions by name, what each has now and has counted; empty of a limiter without.
    fn partition_stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        for of in self.core.partition_stats() {
            let name = of.name.clone();
            all.set_item(name, Bound::new(py, PartitionStats::from(of))?)?;
        }
        Ok(all)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (class, this) = (slf.get_type().name()?, slf.get());
        let (limit, in_use, place) = (this.limit(), this.in_use(), this.place.shown());
        Ok(format!("{class}({limit}, max_wait={:?}{place}, in_use={in_use})", this.max_wait()))
    }
}

/// `order=`.
fn wait_order(given: Option<&Bound<'_, PyAny>>) -> PyResult<WaitOrder> {
    Ok(given.map(|order| choice(SETTINGS.field("order"), order)).transpose()?.unwrap_or_default())
}

fn whole(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u32> {
    whole32(SETTINGS.field(name), value)
}
