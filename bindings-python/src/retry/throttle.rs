//! `ClientThrottle`.

use crate::args::{self, real, seconds, span_of, whole32};
use crate::clock::ManualClock;
use crate::limit::quota::mode;
use crate::python::Function;
use crate::scope::{Asked, Place};
use crate::stats::ClientThrottleStats;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use tidegate::retry::draw;
use tidegate::throttle::SETTINGS;
use tidegate::{ClientThrottleConfig, throttle};

static CALL: Function = Function::new("tidegate._retry", "call_throttled");
static CALL_ASYNC: Function = Function::new("tidegate._retry", "call_throttled_async");
static DECORATE: Function = Function::new("tidegate._retry", "decorate_throttled");
static FILTER: Function = Function::new("tidegate._retryable", "filter_of");

/// Rejects calls by chance, the more of them the fewer the backend accepts: with probability
/// `(requests - k * accepts) / (requests + 1)` over the last `window` seconds, at most `max_rejection`, and one call
/// each `force_pass` seconds passes in any case. An alternative to a circuit breaker for a backend that is overloaded
/// and not dead (Google, "Site Reliability Engineering", chapter 21).
///
///     search = ClientThrottle(k=2)
///
///     @search
///     async def find(text): ...
///
/// Args:
///     k: how many requests for each accepted one are tolerated, 1 to 1,000: lower rejects sooner.
///     window: over what requests and accepts are counted, in seconds or a timedelta.
///     min_calls: nothing is rejected below so many requests in the window.
///     max_rejection: no probability is higher, 0 < p <= 1.
///     force_pass: one call each so many seconds passes in any case.
///     failure_on: the exceptions that mean a refusal: a class, a function of the exception, or several of these
///         (default: what a RetryPolicy retries), a Classifier among them, which judges results as well. Others mean
///         that the backend did answer; tidegate's own refusals, a cancelled future, wrong arguments and what is no
///         Exception mean nothing.
///     clock: a ManualClock for tests.
///     scope: where its window lives: "process" (private), "process:NAME", "host:NAME" (all processes of this machine),
///         a HostScope or a ProcessScope; default: what TIDEGATE_SCOPE says, else private.
///     name: which object of that scope it is, that of the dependency; stands in errors.
///     on_conflict: when it was last declared there with other settings: "error", "keep" or "apply".
///     enabled: False lets every call pass and counts nothing; so does TIDEGATE_DISABLED=1 in the environment.
///     dry_run: count (`stats().would_reject`) and reject nothing.
///
/// Raises:
///     ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type; ArenaError: the scope
///         cannot be used, or holds another object of that name.
///
/// All methods may be called from any thread and any event loop at the same time; none blocks.
#[pyclass(frozen, subclass, weakref, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct ClientThrottle {
    pub(crate) core: throttle::ClientThrottle,
    clock: Option<Py<ManualClock>>,
    /// None: what a RetryPolicy retries by default.
    failure_on: Option<Py<PyAny>>,
    pub(crate) place: Place,
}

#[pymethods]
impl ClientThrottle {
    #[new]
    #[classmethod]
    #[pyo3(signature = (k = None, window = None, min_calls = None, max_rejection = None, force_pass = None, *,
                        failure_on = None, clock = None, scope = None, name = None, on_conflict = None,
                        enabled = None, dry_run = None, **unknown),
           text_signature = "(k=2, window=30, min_calls=10, max_rejection=0.9, force_pass=1, *, failure_on=None, \
clock=None, scope=None, name=None, on_conflict='error', enabled=None, dry_run=False)")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn new(
        cls: &Bound<'_, PyType>,
        k: Option<&Bound<'_, PyAny>>,
        window: Option<&Bound<'_, PyAny>>,
        min_calls: Option<&Bound<'_, PyAny>>,
        max_rejection: Option<&Bound<'_, PyAny>>,
        force_pass: Option<&Bound<'_, PyAny>>,
        failure_on: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
        scope: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
        on_conflict: Option<&Bound<'_, PyAny>>,
        enabled: Option<&Bound<'_, PyAny>>,
        dry_run: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        args::known(cls, unknown)?;
        let (py, field) = (cls.py(), |name| SETTINGS.field(name));
        let mut config = ClientThrottleConfig { mode: mode(enabled, dry_run)?, ..ClientThrottleConfig::default() };
        if let Some(k) = k {
            config.k = real(field("k"), k)?;
        }
        if let Some(window) = window {
            config.window = span_of(field("window"), window)?;
        }
        if let Some(calls) = min_calls {
            config.min_calls = whole32(field("min_calls"), calls)?;
        }
        if let Some(most) = max_rejection {
            config.max_rejection = real(field("max_rejection"), most)?;
        }
        if let Some(each) = force_pass {
            config.force_pass = span_of(field("force_pass"), each)?;
        }
        let failure_on = match failure_on {
            Some(filter) => Some(FILTER.call(py, ("failure_on", filter))?.unbind()),
            None => None,
        };
        let asked = Asked::of(py, scope, name, on_conflict, clock)?;
        let clock = asked.clock();
        let (core, place) = Place::make(
            py,
            asked,
            |arena, name, on_conflict| throttle::ClientThrottle::in_arena(arena, name, config, on_conflict),
            |clock| throttle::ClientThrottle::with_clock(config, clock),
        )?;
        Ok(Self { core, clock, failure_on, place })
    }

    /// Whether a call may be made. One that may reports once: `accepted()` or `refused()`.
    #[inline]
    fn try_acquire(&self) -> bool {
        self.core.try_acquire(draw())
    }

    /// As `try_acquire`, by a random number from 0 up to, but not including, 1.
    fn _try_acquire(&self, random: f64) -> bool {
        self.core.try_acquire(random)
    }

    /// The backend accepted a call.
    fn accepted(&self) {
        self.core.accepted();
    }

    /// The backend refused a call: overloaded, out of time, not there.
    fn refused(&self) {
        self.core.refused();
    }

    /// Calls `func` and reports; raises ThrottledError where the call is rejected.
    #[pyo3(signature = (func, /, *args, **kwargs))]
    fn call<'py>(
        slf: &Bound<'py, Self>,
        func: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        CALL.call(slf.py(), (slf, func, args, kwargs))
    }

    /// As `call`, for an async function.
    #[pyo3(signature = (func, /, *args, **kwargs))]
    fn call_async<'py>(
        slf: &Bound<'py, Self>,
        func: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        CALL_ASYNC.call(slf.py(), (slf, func, args, kwargs))
    }

    /// Decorates a function; an `async def` stays one. Raises TypeError for generators and what is no function.
    #[pyo3(signature = (func, /))]
    fn __call__<'py>(slf: &Bound<'py, Self>, func: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        DECORATE.call(slf.py(), (slf, func))
    }

    /// The exceptions that mean a refusal, as they were checked.
    #[getter]
    fn _failure_on(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.failure_on.as_ref().map(|filter| filter.clone_ref(py))
    }

    /// The probability with which a call would be rejected now.
    #[getter]
    fn probability(&self) -> f64 {
        self.core.probability()
    }

    /// Seconds until the next call that passes in any case.
    #[getter]
    fn retry_after(&self) -> f64 {
        seconds(self.core.retry_after_ns())
    }

    /// Counts since the throttle was made, and what its window holds.
    fn stats(&self) -> ClientThrottleStats {
        self.core.stats().into()
    }

    /// The clock it was given, or None.
    #[getter]
    fn clock(&self, py: Python<'_>) -> Option<Py<ManualClock>> {
        self.clock.as_ref().map(|clock| clock.clone_ref(py))
    }

    /// Where its window lives: "process", "process:NAME" or "host:NAME".
    #[getter]
    fn scope(&self) -> String {
        self.place.scope()
    }

    /// The name it was given, or None.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.place.name()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (class, this, config) = (slf.get_type().name()?, slf.get(), slf.get().core.config());
        let (place, probability) = (this.place.shown(), this.probability());
        let window = config.window.as_secs_f64();
        Ok(format!("{class}(k={}, window={window}{place}, probability={probability})", config.k))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.failure_on)
    }
}
