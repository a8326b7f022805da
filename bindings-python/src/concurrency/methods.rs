//! `ConcurrencyLimiter`: the parts that do not wait, and the registration on which the waiting forms are built.

use super::limiter::ConcurrencyLimiter;
use super::permit::ConcurrencyPermit;
use super::stats::ConcurrencyStats;
use super::waiter::Waiter;
use crate::args::{self, span, whole32};
use crate::errors::from_core;
use crate::limit::quota::mode;
use crate::python::Function;
use crate::refusal::refused;
use crate::scope::{Asked, Place};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tidegate::ConcurrencyConfig;
use tidegate::concurrency::SETTINGS;
use tidegate::refusal::Refusal;

static ACQUIRE: Function = Function::new("tidegate._waiting", "acquire_permit");
static ACQUIRE_ASYNC: Function = Function::new("tidegate._waiting", "acquire_permit_async");
static DECORATE: Function = Function::new("tidegate._decorate", "decorate_limited");

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

#[pymethods]
impl ConcurrencyLimiter {
    #[new]
    #[classmethod]
    #[pyo3(signature = (limit, max_wait = Timeout::Own, *, max_limit = None, scope = None, name = None,
                        on_conflict = None, enabled = None, dry_run = None, **unknown),
           text_signature = "(limit, max_wait=0, *, max_limit=None, scope=None, name=None, on_conflict='error', \
enabled=None, dry_run=False)")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn new(
        cls: &Bound<'_, PyType>,
        limit: &Bound<'_, PyAny>,
        max_wait: Timeout,
        max_limit: Option<&Bound<'_, PyAny>>,
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
        config.mode = mode(enabled, dry_run)?;
        let max_wait = match max_wait {
            Timeout::Own => Some(Duration::ZERO),
            Timeout::Given(wait) if wait.is_none(py) => None,
            Timeout::Given(wait) => span("max_wait", wait.bind(py))?,
        };
        let (core, place) = Place::make(
            py,
            Asked::of(py, scope, name, on_conflict, None)?,
            |arena, name, on_conflict| tidegate::ConcurrencyLimiter::in_arena(arena, name, config, on_conflict),
            |clock| tidegate::ConcurrencyLimiter::with_config(config, clock),
        )?;
        Ok(Self { core: Arc::new(core), max_wait, place })
    }

    /// A permit, or None when the limit is reached.
    #[inline]
    fn try_acquire(slf: &Bound<'_, Self>) -> Option<ConcurrencyPermit> {
        let permit = slf.get().core.try_acquire()?;
        Some(ConcurrencyPermit::new(slf.clone().unbind(), permit))
    }

    /// A permit, blocking this thread until one is free; Ctrl-C leaves none taken.
    ///
    /// Raises ConcurrencyLimitError after `timeout` seconds (left out: `max_wait`; None: waits as long as it takes).
    #[pyo3(signature = (timeout = Timeout::Own), text_signature = "($self, timeout=...)")]
    fn acquire<'py>(slf: &Bound<'py, Self>, timeout: Timeout) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let timeout = timeout.or(py, slf.get().max_wait)?;
        match Self::_at_once(slf) {
            Some(permit) => Ok(Bound::new(py, permit)?.into_any()),
            None => ACQUIRE.call(py, (slf, timeout)),
        }
    }

    /// A permit, suspending this task until one is free. A cancelled task passes what it was granted on to the next.
    ///
    /// Raises ConcurrencyLimitError after `timeout` seconds, as `acquire` does.
    #[pyo3(signature = (timeout = Timeout::Own), text_signature = "($self, timeout=...)")]
    fn acquire_async<'py>(slf: &Bound<'py, Self>, timeout: Timeout) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        ACQUIRE_ASYNC.call(py, (slf, timeout.or(py, slf.get().max_wait)?))
    }

    /// Decorates a function, which then runs under a permit; an `async def` stays one. Raises TypeError for generators
    /// and what is no function.
    #[pyo3(signature = (func, /))]
    fn __call__<'py>(slf: &Bound<'py, Self>, func: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        DECORATE.call(slf.py(), (slf, func))
    }

    /// A permit, unless the limit is reached or others wait; not counted as a denial.
    fn _at_once(slf: &Bound<'_, Self>) -> Option<ConcurrencyPermit> {
        let permit = slf.get().core.at_once()?;
        Some(ConcurrencyPermit::new(slf.clone().unbind(), permit))
    }

    /// Joins those who wait; `callback` is called once, from any thread, when there is a permit to take.
    fn _wait(slf: &Bound<'_, Self>, callback: Py<PyAny>) -> Waiter {
        Waiter::new(slf, callback)
    }

    /// What ConcurrencyLimitError says.
    fn _refused(&self, timeout: Option<f64>) -> String {
        refused(Refusal::of_concurrency(self.core.limit()).named(self.name()), 0.0, timeout)
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

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (class, this) = (slf.get_type().name()?, slf.get());
        let (limit, in_use, place) = (this.limit(), this.in_use(), this.place.shown());
        Ok(format!("{class}({limit}, max_wait={:?}{place}, in_use={in_use})", this.max_wait()))
    }
}

fn whole(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u32> {
    whole32(SETTINGS.field(name), value)
}
