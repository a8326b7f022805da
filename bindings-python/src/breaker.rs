//! `CircuitBreaker`: acquire, call, report.

use crate::args::{self, real, seconds, span_of, whole32};
use crate::clock::ManualClock;
use crate::errors::{self, circuit_open, config, wrong_type};
use crate::permit::Permit;
use crate::python::{self, Function};
use crate::scope::{Asked, Place};
use crate::views::{BreakerStats, Event, Trip};
use pyo3::PyTraverseError;
use pyo3::PyVisit;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};
use tidegate::breaker::{self as core, Outcome, Window};

static DECORATE: Function = Function::new("tidegate._decorate", "decorate");
static CALL_ASYNC: Function = Function::new("tidegate._decorate", "call_async");

/// A circuit breaker: closed, open after too many failures, half-open with a few probes after the cooldown.
///
/// As a decorator it guards sync and async functions alike:
///
///     payment = CircuitBreaker("payment", consecutive_failures=5)
///
///     @payment
///     async def pay(order): ...
///
/// Args:
///     name: stands in errors.
///     failure_rate_threshold: opens when failed / calls in the window reaches this, 0 < rate <= 1.
///     window_calls, window_duration: the last N calls (default 20), or the calls of the last T seconds; not both.
///     min_calls: the rates say nothing below this many calls.
///     slow_call_duration, slow_call_rate_threshold: a call this long is slow; opens at this share of slow calls.
///     consecutive_failures: opens at this many failures in a row, whatever the rates.
///     cooldown, cooldown_backoff, max_cooldown, cooldown_jitter: seconds it stays open; each opening from half-open
///         multiplies it, up to `max_cooldown` (default 64 x), and jitter lengthens it by up to that fraction.
///     probes, probe_timeout: successful probes needed to close, and the most at once; seconds until one is lost.
///     failure_on: the exceptions that are failures: a class, a function of the exception, or several of these (default: every
///         Exception). What it does not name counts as a success: the dependency did answer.
///     ignore: exceptions that count neither way, given like `failure_on`; it wins over it.
///     clock: a ManualClock for tests.
///     scope: where its state lives: "process" (private), "process:NAME", "host:NAME" (all processes of this machine), a
///         HostScope or a ProcessScope; default: what TIDEGATE_SCOPE says, else private. There the same
///         `name` is the same breaker.
///     on_conflict: when it was last declared there with other thresholds: "error", "keep" or "apply".
///
/// Raises:
///     ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type; ArenaError: the scope cannot be
///         used, or holds another object of that name.
///
/// Never a failure: tidegate's own refusals (ignored), and what is no Exception, such as a cancelled task, Ctrl-C or a
/// closed generator (released). Windows, slow calls and half-open follow Resilience4j.
///
/// All methods may be called from any thread and any event loop at the same time; none blocks.
#[pyclass(frozen, subclass, weakref, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    pub(crate) core: core::CircuitBreaker,
    clock: Option<Py<ManualClock>>,
    /// Exceptions that count as failures: a class, a predicate, or a tuple of these. None: every `Exception`.
    failure_on: Option<Py<PyAny>>,
    /// Exceptions that say nothing about the dependency.
    ignore: Option<Py<PyAny>>,
    place: Place,
}

/// What an exception that left the guarded call means.
pub(crate) enum Verdict {
    Report(Outcome),
    Release,
}

impl CircuitBreaker {
    /// The core's permit, or `CircuitOpenError`.
    #[inline]
    pub(crate) fn admit(&self, py: Python<'_>) -> PyResult<core::Permit> {
        self.core.acquire().map_err(|rejected| {
            let trip = rejected.trip.map(Trip::from);
            circuit_open(py, self.core.name(), seconds(rejected.retry_after_ns), trip)
        })
    }

    /// One guarded call: `CircuitBreaker.call` (in `hot/breaker.rs`).
    #[inline]
    pub(crate) fn run<'py>(
        &self,
        func: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = func.py();
        let permit = self.admit(py)?;
        match python::call(func, args, kwargs) {
            Ok(result) => self.returned(permit, result),
            // Attached for PyO3's books as well: `hot.rs` comes here without them, and here references are dropped.
            Err(error) => Python::attach(|py| {
                self.report_error(permit, error.value(py).as_any())?;
                Err(error)
            }),
        }
    }

    /// A guarded call has returned `result`.
    #[inline]
    pub(crate) fn returned<'py>(&self, permit: core::Permit, result: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if is_coroutine(&result)? {
            self.core.release(permit);
            result.call_method0("close")?;
            return Err(PyTypeError::new_err("call: the function is async; use `await breaker.call_async(…)`"));
        }
        self.core.report(permit, Outcome::Success, None);
        Ok(result)
    }

    /// Tidegate's own refusals and `ignore=` are ignored; what is no `Exception` (a cancelled task, Ctrl-C, an exit) is
    /// neutral; what `failure_on=` does not name is a success, for the dependency did answer.
    pub(crate) fn judge(&self, error: &Bound<'_, PyAny>) -> PyResult<Verdict> {
        let py = error.py();
        if !error.is_instance_of::<PyException>() {
            return Ok(Verdict::Release);
        }
        if error.is_instance(errors::base(py)?)? {
            return Ok(Verdict::Report(Outcome::Ignore));
        }
        if let Some(ignore) = &self.ignore
            && matches(ignore.bind(py), error)?
        {
            return Ok(Verdict::Report(Outcome::Ignore));
        }
        Ok(Verdict::Report(match &self.failure_on {
            Some(filter) if !matches(filter.bind(py), error)? => Outcome::Success,
            _ => Outcome::Failure,
        }))
    }

    /// Reports what `error` means. A predicate that itself raises counts as a failure, and its error is raised.
    pub(crate) fn report_error(&self, permit: core::Permit, error: &Bound<'_, PyAny>) -> PyResult<()> {
        let verdict = self.judge(error);
        match &verdict {
            Ok(Verdict::Report(outcome)) => self.core.report(permit, *outcome, None),
            Ok(Verdict::Release) => self.core.release(permit),
            Err(raised) => {
                self.core.report(permit, Outcome::Failure, None);
                add_context(raised.value(error.py()).as_any(), error)?;
            }
        }
        verdict.map(drop)
    }
}

/// Makes `error` what `raised` came after, as Python does in an `except` block: at the end of its own chain, unless it is there already.
fn add_context(raised: &Bound<'_, PyAny>, error: &Bound<'_, PyAny>) -> PyResult<()> {
    // Chains that anybody can write may be circular; who has one this long keeps it.
    const MOST: usize = 100;
    let mut last = raised.clone();
    for _ in 0..MOST {
        if last.is(error) {
            return Ok(());
        }
        let next = last.getattr("__context__")?;
        if next.is_none() {
            return last.setattr("__context__", error);
        }
        last = next;
    }
    Ok(())
}

/// Whether a filter (classes or a predicate, checked by [`filter`]) names this exception.
fn matches(filter: &Bound<'_, PyAny>, error: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(several) = filter.cast::<PyTuple>() {
        for one in several.iter() {
            if matches(&one, error)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    if filter.is_instance_of::<PyType>() {
        return error.is_instance(filter);
    }
    let answer = python::call1(filter, (error,))?;
    if is_coroutine(&answer)? {
        answer.call_method0("close")?;
        return Err(PyTypeError::new_err("failure_on, ignore: a function of the exception cannot be async"));
    }
    answer.is_truthy()
}

/// Checks a `failure_on=` or `ignore=` argument.
fn filter(field: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Py<PyAny>>> {
    const EXPECTED: &str = "an exception class, a function of the exception, or a tuple or list of these";
    let Some(value) = value else { return Ok(None) };
    let fits = |one: &Bound<'_, PyAny>| match one.cast::<PyType>() {
        Ok(class) => class.is_subclass_of::<pyo3::exceptions::PyBaseException>(),
        Err(_) => Ok(one.is_callable()),
    };
    if !value.is_instance_of::<PyTuple>() && !value.is_instance_of::<PyList>() {
        return if fits(value)? { Ok(Some(value.clone().unbind())) } else { Err(wrong_type(field, EXPECTED, value)) };
    }
    // A tuple of its own: a list may change later.
    let several = value.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    for one in &several {
        if !fits(one)? {
            return Err(wrong_type(field, EXPECTED, one));
        }
    }
    Ok(Some(PyTuple::new(value.py(), several)?.into_any().unbind()))
}

#[pymethods]
impl CircuitBreaker {
    #[new]
    #[classmethod]
    #[pyo3(signature = (
        name = None, *, failure_rate_threshold = None, window_calls = None, window_duration = None, min_calls = None,
        slow_call_duration = None, slow_call_rate_threshold = None, consecutive_failures = None, cooldown = None,
        cooldown_backoff = None, max_cooldown = None, cooldown_jitter = None, probes = None, probe_timeout = None,
        failure_on = None, ignore = None, clock = None, scope = None, on_conflict = None, **unknown
    ), text_signature = "(name='default', *, failure_rate_threshold=0.5, window_calls=20, window_duration=None, min_calls=10, \
        slow_call_duration=None, slow_call_rate_threshold=1, consecutive_failures=None, cooldown=30, \
        cooldown_backoff=1, max_cooldown=None, cooldown_jitter=0, probes=1, probe_timeout=60, failure_on=None, \
        ignore=None, clock=None, scope=None, on_conflict='error')")]
    #[allow(clippy::too_many_arguments)]
    fn new(
        cls: &Bound<'_, PyType>,
        name: Option<&Bound<'_, PyAny>>,
        failure_rate_threshold: Option<&Bound<'_, PyAny>>,
        window_calls: Option<&Bound<'_, PyAny>>,
        window_duration: Option<&Bound<'_, PyAny>>,
        min_calls: Option<&Bound<'_, PyAny>>,
        slow_call_duration: Option<&Bound<'_, PyAny>>,
        slow_call_rate_threshold: Option<&Bound<'_, PyAny>>,
        consecutive_failures: Option<&Bound<'_, PyAny>>,
        cooldown: Option<&Bound<'_, PyAny>>,
        cooldown_backoff: Option<&Bound<'_, PyAny>>,
        max_cooldown: Option<&Bound<'_, PyAny>>,
        cooldown_jitter: Option<&Bound<'_, PyAny>>,
        probes: Option<&Bound<'_, PyAny>>,
        probe_timeout: Option<&Bound<'_, PyAny>>,
        failure_on: Option<&Bound<'_, PyAny>>,
        ignore: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
        scope: Option<&Bound<'_, PyAny>>,
        on_conflict: Option<&Bound<'_, PyAny>>,
        py: Python<'_>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        args::known(cls, unknown)?;
        let mut cfg = tidegate::BreakerConfig::default();
        let field = |name| core::SETTINGS.field(name);
        let whole = |name, value| whole32(field(name), value);
        let span = |name, value: Option<&Bound<'_, PyAny>>| value.map(|value| span_of(field(name), value)).transpose();
        let real = |name, value| real(field(name), value);
        match (window_calls, window_duration) {
            (Some(_), Some(_)) => {
                let message = "window_calls, window_duration: give one of the two windows, not both";
                return Err(config(py, message));
            }
            (Some(calls), None) => cfg.window = Window::Calls(whole("window_calls", calls)?),
            (None, Some(span)) => cfg.window = Window::Duration(span_of(field("window_duration"), span)?),
            (None, None) => {}
        }
        if let Some(rate) = failure_rate_threshold {
            cfg.failure_rate_threshold = real("failure_rate_threshold", rate)?;
        }
        if let Some(rate) = slow_call_rate_threshold {
            cfg.slow_call_rate_threshold = real("slow_call_rate_threshold", rate)?;
        }
        if let Some(n) = min_calls {
            cfg.min_calls = whole("min_calls", n)?;
        }
        if let Some(n) = probes {
            cfg.probes = whole("probes", n)?;
        }
        if let Some(factor) = cooldown_backoff {
            cfg.cooldown_backoff = real("cooldown_backoff", factor)?;
        }
        if let Some(fraction) = cooldown_jitter {
            cfg.cooldown_jitter = real("cooldown_jitter", fraction)?;
        }
        if let Some(span) = span("cooldown", cooldown)? {
            cfg.cooldown = span;
        }
        if let Some(span) = span("probe_timeout", probe_timeout)? {
            cfg.probe_timeout = span;
        }
        cfg.consecutive_failures = consecutive_failures.map(|n| whole("consecutive_failures", n)).transpose()?;
        cfg.slow_call_duration = span("slow_call_duration", slow_call_duration)?;
        cfg.max_cooldown = span("max_cooldown", max_cooldown)?;
        let (failure_on, ignore) = (filter("failure_on", failure_on)?, filter("ignore", ignore)?);
        let asked = Asked::of(py, scope, name, on_conflict, clock)?;
        let (called, clock) = (asked.name.clone(), asked.clock());
        let (core, place) = Place::make(
            py,
            asked,
            |arena, name, on_conflict| core::CircuitBreaker::in_arena(arena, name, cfg.clone(), on_conflict),
            |clock| core::CircuitBreaker::with_clock(called.unwrap_or("default".into()), cfg.clone(), clock),
        )?;
        Ok(Self { core, clock, failure_on, ignore, place })
    }

    /// Asks for one call; raises `CircuitOpenError` when refused.
    #[inline]
    fn acquire(slf: &Bound<'_, Self>) -> PyResult<Permit> {
        let permit = slf.get().admit(slf.py())?;
        Ok(Permit::new(slf.clone().unbind(), permit))
    }

    /// Asks for one call; None when refused.
    #[inline]
    fn try_acquire(slf: &Bound<'_, Self>) -> Option<Permit> {
        slf.get().core.acquire().ok().map(|permit| Permit::new(slf.clone().unbind(), permit))
    }

    /// Awaits `func(*args, **kwargs)` under a permit; raises `CircuitOpenError` when refused.
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

    /// Its name, as errors show it.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::new(py, self.core.name())
    }

    /// Where its state lives: "process", "process:NAME" or "host:NAME".
    #[getter]
    fn scope(&self) -> String {
        self.place.scope()
    }

    /// "closed", "open", "half_open", "forced_open", "disabled" or "metrics_only".
    #[getter]
    fn state(&self) -> &'static str {
        self.core.state().name()
    }

    /// Seconds until a probe may be tried: 0 when calls pass, `math.inf` while forced open.
    #[getter]
    fn retry_after(&self) -> f64 {
        seconds(self.core.retry_after_ns())
    }

    /// The `ManualClock` it was made with, or None.
    #[getter]
    fn clock(&self, py: Python<'_>) -> Option<Py<ManualClock>> {
        self.clock.as_ref().map(|clock| clock.clone_ref(py))
    }

    /// The window and counters.
    fn stats(&self) -> BreakerStats {
        self.core.stats().into()
    }

    /// Transitions and probe outcomes from number `since` on, oldest first, as many as the ring still holds.
    #[pyo3(signature = (since = 0))]
    fn events(&self, since: u64) -> Vec<Event> {
        self.core.events_since(since).into_iter().map(Event::from).collect()
    }

    /// Refuses every call until `reset`.
    fn force_open(&self) {
        self.core.force_open();
    }

    /// Lets every call pass and counts nothing, until `reset`.
    fn disable(&self) {
        self.core.disable();
    }

    /// Counts and never opens, until `reset`.
    fn metrics_only(&self) {
        self.core.metrics_only();
    }

    /// Closed, with an empty window and the first cooldown.
    fn reset(&self) {
        self.core.reset();
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let core = &slf.get().core;
        Ok(format!("{}({:?}, state={:?})", slf.get_type().name()?, core.name(), core.state().name()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // No `__clear__`: a frozen object cannot let go, and any cycle through a predicate passes its closure, which can.
        visit.call(&self.failure_on)?;
        visit.call(&self.ignore)
    }
}

/// Whether `result` is the coroutine of an `async def` (its exact type, so the check is one comparison).
#[inline]
fn is_coroutine(result: &Bound<'_, PyAny>) -> PyResult<bool> {
    static COROUTINE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = COROUTINE.import(result.py(), "types", "CoroutineType")?;
    Ok(result.get_type_ptr() == class.as_type_ptr())
}
