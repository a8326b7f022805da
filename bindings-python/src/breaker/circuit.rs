//! `CircuitBreaker`: the object, and what the end of a call under it means.

use super::classifier::{Classifier, Verdict};
use super::listeners::Listeners;
use super::views::Trip;
use crate::args::seconds;
use crate::clock::ManualClock;
use crate::errors;
use crate::python::{self, Function};
use crate::scope::Place;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use std::sync::Arc;
use std::time::Duration;
use tidegate::breaker::overdue::Overdue;
use tidegate::breaker::{self as core, Classified, Outcome};

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
///     count_overdue: a call counts as slow when it has taken `slow_call_duration`, and not when it returns; once.
///         Somebody looks every 100 ms, as calls of this object begin, end or are refused; at most 256 are watched
///         together.
///     consecutive_failures: opens at this many failures in a row, whatever the rates.
///     cooldown, cooldown_backoff, max_cooldown, cooldown_jitter: seconds it stays open; each opening from half-open
///         multiplies it, up to `max_cooldown` (default 64 x), and jitter lengthens it by up to that fraction.
///     probes, probes_at_once: how many probes a half-open cycle takes, and how many may be under way together
///         (default: all).
///     probe_timeout, probe_failure_rate_threshold: seconds until a probe is lost; opens again when this share of a
///         cycle's probes failed (default: `failure_rate_threshold`).
///     healthy_after: a trip within so many seconds of closing counts as another opening in a row for the backoff
///         (default: the last cooldown).
///     ramp, ramp_from: seconds after closing in which a call's chance to pass grows from `ramp_from` to 1
///         (default: all pass at once).
///     failure_on: the exceptions that are failures: a class, a function of the exception, or several of these
///     (default: every
///         Exception). What it does not name counts as a success: the dependency did answer.
///     failure_result: the results that are failures: a function of the result, or several (default: none).
///     slow: the results that are slow calls where they are no failures, given like `failure_result`.
///     ignore: exceptions that count neither way, given like `failure_on`; it wins over it.
///     unreached: exceptions that say that the call never reached the dependency, such as an exhausted pool; it wins
///     over
///         `failure_on`. A failure while closed, and of a probe it says nothing.
///     classifier: in place of these five: `http()`, or a Classifier of one's own.
///     clock: a ManualClock for tests.
///     scope: where its state lives: "process" (private), "process:NAME", "host:NAME" (all processes of this machine),
///     a
///         HostScope or a ProcessScope; default: what TIDEGATE_SCOPE says, else private. There the same
///         `name` is the same breaker.
///     on_conflict: when it was last declared there with other thresholds: "error", "keep" or "apply".
///
/// Raises:
///     ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type; ArenaError: the scope
///     cannot be used, or holds another object of that name.
///
/// Never a failure: tidegate's own refusals, an HTTPException below 500 that no `failure_on` names (ignored), and what
/// is no Exception, such as a cancelled task, Ctrl-C or a closed generator (released). Windows, slow calls and
/// half-open follow Resilience4j.
///
/// All methods may be called from any thread and any event loop at the same time; none blocks.
#[pyclass(frozen, subclass, weakref, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    pub(crate) core: Arc<core::CircuitBreaker>,
    pub(super) clock: Option<Py<ManualClock>>,
    /// What the end of a call means.
    pub(super) classifier: Py<Classifier>,
    pub(crate) place: Place,
    pub(super) listeners: Listeners,
    /// Of this object's own calls.
    pub(super) overdue: Overdue,
}

impl CircuitBreaker {
    /// The core's permit, or `CircuitOpenError`.
    #[inline]
    pub(crate) fn admit(&self, py: Python<'_>) -> PyResult<core::Permit> {
        let timed = self.classifier().times();
        self.granted(py, if timed { self.core.acquire_timed() } else { self.core.acquire() })
    }

    #[inline]
    pub(super) fn granted(
        &self,
        py: Python<'_>,
        answer: Result<core::Permit, core::Rejected>,
    ) -> PyResult<core::Permit> {
        answer.map(|permit| self.overdue.begin(&self.core, permit)).map_err(|rejected| {
            self.overdue.refused(&self.core);
            let trip = rejected.trip.map(Trip::from);
            circuit_open(py, self.core.name(), seconds(rejected.retry_after_ns), trip, rejected.ramping)
        })
    }

    /// One guarded call: `CircuitBreaker.call` (in `fastcall/breaker.rs`).
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
            // Attached for PyO3's books as well: `fastcall/` comes here without them, and here references are dropped.
            Err(error) => Python::attach(|py| {
                self.report_error(permit, &errors::raised(py, &error)?, None)?;
                Err(error)
            }),
        }
    }

    /// Every report goes this way: nothing where the call has been counted while it was under way.
    #[inline]
    pub(super) fn report(&self, permit: core::Permit, outcome: Outcome, duration: Option<Duration>) {
        if let Some(permit) = self.overdue.end(&self.core, permit) {
            self.core.report(permit, outcome, duration);
        }
    }

    pub(super) fn report_classified(&self, permit: core::Permit, said: Classified, duration: Option<Duration>) {
        if let Some(permit) = self.overdue.end(&self.core, permit) {
            self.core.report_classified(permit, said, duration);
        }
    }

    pub(super) fn release(&self, permit: core::Permit) {
        if let Some(permit) = self.overdue.end(&self.core, permit) {
            self.core.release(permit);
        }
    }

    /// The time since a permit was acquired, where that is known.
    pub(super) fn since(&self, permit: core::Permit) -> Option<Duration> {
        self.core.took(self.overdue.original(permit))
    }

    /// A guarded call has returned `result`.
    #[inline]
    pub(crate) fn returned<'py>(&self, permit: core::Permit, result: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if python::is_awaitable(&result) || python::is_generator(&result)? {
            // Its work is yet to come, and its outcome would be a success that nobody saw.
            self.release(permit);
            REFUSE_LAZY.call(result.py(), (&result, "breaker"))?;
            return Err(PyTypeError::new_err("call: the function gave what is to be awaited; use `call_async`"));
        }
        if self.classifier().reads_results() {
            self.report_result(permit, &result, None)?;
        } else {
            self.report_success(permit, None);
        }
        Ok(result)
    }

    /// By which it judges.
    #[inline]
    pub(super) fn classifier(&self) -> &Classifier {
        self.classifier.get()
    }

    /// Reports a call that worked, as slow where the classifier says so; no duration is the time since it was acquired.
    #[inline]
    pub(super) fn report_success(&self, permit: core::Permit, duration: Option<Duration>) {
        let outcome = match self.classifier().success(self.took(permit, duration)) {
            Verdict::Report(outcome) => outcome,
            _ => Outcome::Success,
        };
        self.report(permit, outcome, duration);
    }

    /// What the classifier is told of the duration.
    #[inline]
    fn took(&self, permit: core::Permit, duration: Option<Duration>) -> Option<Duration> {
        if self.classifier().times() { duration.or_else(|| self.since(permit)) } else { None }
    }

    /// Reports what `error` means. A predicate that itself raises counts as a failure, and its error is raised.
    pub(crate) fn report_error(
        &self,
        permit: core::Permit,
        error: &Bound<'_, PyAny>,
        duration: Option<Duration>,
    ) -> PyResult<()> {
        let verdict = self.classifier().of_error(error, self.took(permit, duration));
        self.settle(permit, verdict, duration).or_else(|raised| {
            add_context(raised.value(error.py()).as_any(), error)?;
            Err(raised)
        })
    }

    /// Reports what `result` means. A predicate that raises counts as a failure, and its error is raised.
    pub(super) fn report_result(
        &self,
        permit: core::Permit,
        result: &Bound<'_, PyAny>,
        duration: Option<Duration>,
    ) -> PyResult<()> {
        self.settle(permit, self.classifier().of_result(result, self.took(permit, duration)), duration)
    }

    fn settle(&self, permit: core::Permit, verdict: PyResult<Verdict>, duration: Option<Duration>) -> PyResult<()> {
        match &verdict {
            Ok(Verdict::Report(outcome)) => self.report(permit, *outcome, duration),
            Ok(Verdict::RetryAfter(wait)) => {
                let said = Classified { outcome: Outcome::Failure, retry_after: Some(*wait) };
                self.report_classified(permit, said, duration);
            }
            Ok(Verdict::Release) => self.release(permit),
            Err(_) => self.report(permit, Outcome::Failure, duration),
        }
        verdict.map(drop)
    }
}

static REFUSE_LAZY: Function = Function::new("tidegate._functions", "refuse_lazy");
static CIRCUIT_OPEN: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// `CircuitOpenError(name, retry_after, trip, ramping)`.
fn circuit_open(py: Python<'_>, name: &str, retry_after: f64, trip: Option<Trip>, ramping: bool) -> PyErr {
    errors::made(CIRCUIT_OPEN.import(py, errors::MODULE, "CircuitOpenError"), (name, retry_after, trip, ramping))
}

/// Makes `error` what `raised` came after, as Python does in an `except` block: at the end of its own chain, unless it
/// is there already.
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
