//! `Classifier`: what the end of a call says of the dependency.

use crate::args::{finite, optional, span_of};
use crate::errors::{self, config, from_core, wrong_type};
use crate::python::{self, Function};
use pyo3::exceptions::{PyBaseException, PyException, PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::type_object::PyTypeInfo;
use pyo3::types::{PyList, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use std::time::Duration;
use tidegate::breaker::{Classified, Outcome, SETTINGS};

static FUNCTION: Function = Function::new("tidegate._functions", "function");

/// What a call's end means.
pub(crate) enum Verdict {
    Report(Outcome),
    /// A failure after which the server wants to be left alone for so long.
    RetryAfter(Duration),
    /// It was cancelled.
    Release,
}

impl Verdict {
    /// The same of a call that took so long; a success of at least `limit` is slow.
    fn after(self, limit: Option<Duration>, took: Option<Duration>) -> Self {
        match (&self, limit, took) {
            (Self::Report(outcome), Some(limit), Some(took)) => {
                Self::Report(Classified::from(*outcome).slow_from(limit, took).outcome)
            }
            _ => self,
        }
    }

    fn is_neutral(&self) -> bool {
        matches!(self, Self::Report(Outcome::Ignore) | Self::Release)
    }

    /// The one that says more against the dependency; of two waits the longer.
    fn or_worse(self, other: Self) -> Self {
        let bad = |verdict: &Self| match verdict {
            Self::RetryAfter(wait) => (3, *wait),
            Self::Report(Outcome::Failure) => (2, Duration::ZERO),
            Self::Report(Outcome::Unreached) => (1, Duration::ZERO),
            _ => (0, Duration::ZERO),
        };
        if bad(&other) > bad(&self) { other } else { self }
    }

    fn outcome(&self) -> &'static str {
        match self {
            Self::Report(Outcome::Success) => "success",
            Self::Report(Outcome::Failure) | Self::RetryAfter(_) => "failure",
            Self::Report(Outcome::Ignore) => "ignore",
            Self::Report(Outcome::Unreached) => "unreached",
            Self::Report(Outcome::Slow) => "slow",
            Self::Release => "cancelled",
        }
    }
}

/// What the end of a call says of the dependency, for whoever guards calls to it.
///
/// The first that fits: what is no Exception (a cancelled task, Ctrl-C) and a cancelled future are "cancelled";
/// tidegate's own refusals and `ignore` are "ignore"; `unreached`; `failure_on` or `failure_result` are "failure";
/// unless that names it, a TypeError of the call itself (a wrong argument) is "ignore", and so is what a server's code
/// answers to its own client: an HTTPException below 500 of Starlette, werkzeug or aiohttp, a failed validation, a
/// client that has gone; `slow`; the rest is a "success", for the dependency did answer. An ExceptionGroup of which no
/// filter takes notice is what the worst of its members is.
///
/// Args:
///     failure_on: the exceptions that are failures: a class, a function of the exception, or several of these
///         (default: every Exception).
///     failure_result: the results that are failures: a function of the result, or several (default: none).
///     slow: the results that are "slow" where they are no failures: a function of the result, or several (default:
///         none). For a breaker that is a slow call, for a retry, a throttle and a limit a success.
///     ignore: exceptions that count neither way.
///     unreached: exceptions that say that the call never reached the dependency, such as an exhausted pool: a failure
///         while a circuit is closed, and of a probe it says nothing.
///     retry_after: a function of a failed exception or result that gives the seconds for which the server wants to be
///         left alone, or None.
///     slow_call_duration: a "success" that took at least so many seconds is "slow" as well (default: none is; a
///         breaker has a `slow_call_duration` of its own, which judges failures too).
///
/// Raises:
///     TypeError: a wrong type. ConfigError: a value outside what is allowed.
#[pyclass(frozen, module = "tidegate")]
#[derive(Debug, Default)]
pub(crate) struct Classifier {
    failure_on: Option<Py<PyAny>>,
    failure_result: Option<Py<PyAny>>,
    ignore: Option<Py<PyAny>>,
    unreached: Option<Py<PyAny>>,
    retry_after: Option<Py<PyAny>>,
    slow_result: Option<Py<PyAny>>,
    slow: Option<Duration>,
}

/// The filters of a breaker's own, in place of a classifier.
#[derive(Clone, Copy, Default)]
pub(super) struct Filters<'a, 'py> {
    pub(super) failure_on: Option<&'a Bound<'py, PyAny>>,
    pub(super) failure_result: Option<&'a Bound<'py, PyAny>>,
    pub(super) slow: Option<&'a Bound<'py, PyAny>>,
    pub(super) ignore: Option<&'a Bound<'py, PyAny>>,
    pub(super) unreached: Option<&'a Bound<'py, PyAny>>,
}

/// The classifier of a breaker: one that was given, or of the filters.
pub(super) fn given(
    py: Python<'_>,
    filters: Filters<'_, '_>,
    classifier: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<Classifier>> {
    let Filters { failure_on, failure_result, slow, ignore, unreached } = filters;
    let named = [
        ("failure_on", failure_on),
        ("failure_result", failure_result),
        ("slow", slow),
        ("ignore", ignore),
        ("unreached", unreached),
    ];
    match (classifier, named.iter().find(|(_, filter)| filter.is_some())) {
        (None, _) => Py::new(py, Classifier::of(filters, None, None)?),
        (Some(_), Some((name, _))) => {
            let message =
                format!("classifier, {name}: give one of them, not both; a Classifier has a {name} of its own");
            Err(config(py, message))
        }
        (Some(given), None) => match given.cast::<Classifier>() {
            Ok(given) => Ok(given.clone().unbind()),
            Err(_) => Err(wrong_type("classifier", "a Classifier, such as http()", given)),
        },
    }
}

impl Classifier {
    /// Of arguments as callers give them.
    pub(super) fn of(
        filters: Filters<'_, '_>,
        retry_after: Option<&Bound<'_, PyAny>>,
        slow_call_duration: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let slow = SETTINGS.field("slow_call_duration");
        Ok(Self {
            failure_on: filter("failure_on", filters.failure_on, true)?.filter(|filter| !is_default(filter)),
            failure_result: filter("failure_result", filters.failure_result, false)?,
            slow_result: filter("slow", filters.slow, false)?,
            ignore: filter("ignore", filters.ignore, true)?,
            unreached: filter("unreached", filters.unreached, true)?,
            retry_after: match retry_after {
                Some(asks) => {
                    let takes = "the failed exception or result";
                    Some(FUNCTION.call(asks.py(), ("retry_after", asks, takes))?.unbind())
                }
                None => None,
            },
            slow: match slow_call_duration {
                // Zero would make every call slow, as for a breaker.
                Some(given) => Some(span_of(slow, given).and_then(|span| {
                    slow.check_span(span, "").map(|()| span).map_err(|e| from_core(given.py(), &e))
                })?),
                None => None,
            },
        })
    }

    /// Whether it asks how long a call took.
    #[inline]
    pub(crate) fn times(&self) -> bool {
        self.slow.is_some()
    }

    /// What a call that is a success means after so long.
    #[inline]
    pub(super) fn success(&self, took: Option<Duration>) -> Verdict {
        Verdict::Report(Outcome::Success).after(self.slow, took)
    }

    /// Whether results are looked at.
    #[inline]
    pub(super) fn reads_results(&self) -> bool {
        self.failure_result.is_some() || self.slow_result.is_some()
    }

    /// What `error` means, which left a call after so long.
    pub(super) fn of_error(&self, error: &Bound<'_, PyAny>, took: Option<Duration>) -> PyResult<Verdict> {
        let verdict = match errors::members(error)? {
            Some(members) if error.is_instance_of::<PyException>() => self.of_group(error, &members),
            _ => self.of_one(error),
        };
        verdict.map(|verdict| verdict.after(self.slow, took))
    }

    /// What a group of exceptions means: neutral where all of them are, else what a filter says of the group itself,
    /// else what the worst of them means.
    fn of_group(&self, group: &Bound<'_, PyAny>, members: &[Bound<'_, PyAny>]) -> PyResult<Verdict> {
        let verdicts = members.iter().map(|member| self.of_one(member)).collect::<PyResult<Vec<_>>>()?;
        let own = match verdicts.iter().all(Verdict::is_neutral) {
            true => Verdict::Report(Outcome::Ignore),
            false => self.of_one(group)?,
        };
        Ok(match own {
            Verdict::Report(Outcome::Success) => verdicts.into_iter().fold(own, Verdict::or_worse),
            named => named,
        })
    }

    /// As `of_error`, of what is no group or is to be taken as a whole.
    fn of_one(&self, error: &Bound<'_, PyAny>) -> PyResult<Verdict> {
        static CANCELLED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let py = error.py();
        if !error.is_instance_of::<PyException>() {
            return Ok(Verdict::Release);
        }
        if errors::is_own(error)? || named("ignore", self.ignore.as_ref(), error)? {
            return Ok(Verdict::Report(Outcome::Ignore));
        }
        // The only one that is an Exception: what a future of threads raises.
        if error.is_instance(CANCELLED.import(py, "concurrent.futures", "CancelledError")?)? {
            return Ok(Verdict::Release);
        }
        if named("unreached", self.unreached.as_ref(), error)? {
            return Ok(Verdict::Report(Outcome::Unreached));
        }
        match &self.failure_on {
            Some(filter) if matches("failure_on", filter.bind(py), error)? => self.failure(error),
            // No call was made that anybody could have answered; or its maker answers a client of its own.
            _ if is_wrong_call(error)? || is_answered(error)? => Ok(Verdict::Report(Outcome::Ignore)),
            Some(_) => Ok(Verdict::Report(Outcome::Success)),
            None => self.failure(error),
        }
    }

    /// What `result` means, which a call returned after so long.
    pub(super) fn of_result(&self, result: &Bound<'_, PyAny>, took: Option<Duration>) -> PyResult<Verdict> {
        if named("failure_result", self.failure_result.as_ref(), result)? {
            self.failure(result)
        } else if named("slow", self.slow_result.as_ref(), result)? {
            Ok(Verdict::Report(Outcome::Slow))
        } else {
            Ok(self.success(took))
        }
    }

    fn failure(&self, failed: &Bound<'_, PyAny>) -> PyResult<Verdict> {
        let Some(asks) = &self.retry_after else { return Ok(Verdict::Report(Outcome::Failure)) };
        let wait = asked("retry_after", asks.bind(failed.py()), failed)?;
        if wait.is_none() {
            return Ok(Verdict::Report(Outcome::Failure));
        }
        finite("retry_after", &wait).map(Verdict::RetryAfter)
    }

    pub(super) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // No `__clear__`: a frozen object cannot let go, and any cycle through a predicate passes its closure, which
        // can.
        [&self.failure_on, &self.failure_result, &self.slow_result, &self.ignore, &self.unreached, &self.retry_after]
            .into_iter()
            .try_for_each(|filter| visit.call(filter))
    }
}

#[pymethods]
impl Classifier {
    #[new]
    #[pyo3(signature = (
        *, failure_on = None, failure_result = None, slow = None, ignore = None, unreached = None, retry_after = None,
        slow_call_duration = None
    ))]
    fn new(
        failure_on: Option<&Bound<'_, PyAny>>,
        failure_result: Option<&Bound<'_, PyAny>>,
        slow: Option<&Bound<'_, PyAny>>,
        ignore: Option<&Bound<'_, PyAny>>,
        unreached: Option<&Bound<'_, PyAny>>,
        retry_after: Option<&Bound<'_, PyAny>>,
        slow_call_duration: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let filters = Filters { failure_on, failure_result, slow, ignore, unreached };
        Self::of(filters, retry_after, slow_call_duration)
    }

    /// The seconds from which a success is slow, or None.
    #[getter]
    fn slow_call_duration(&self) -> Option<f64> {
        self.slow.map(|span| span.as_secs_f64())
    }

    /// What an exception means that left a call after `duration` seconds (None: not known): "success", "failure",
    /// "slow", "ignore", "unreached" or "cancelled", and the seconds that it asks for, or None.
    #[pyo3(signature = (error, duration = None))]
    fn error(
        &self,
        error: &Bound<'_, PyAny>,
        duration: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(&'static str, Option<f64>)> {
        let took = optional("duration", duration)?;
        if !error.is_instance_of::<PyBaseException>() {
            return Err(wrong_type("error", "an exception", error));
        }
        self.of_error(error, took).map(|verdict| told(&verdict))
    }

    /// What a result means that a call returned after `duration` seconds (None: not known): "success", "failure" or
    /// "slow", and the seconds that it asks for, or None.
    #[pyo3(signature = (result, duration = None))]
    fn result(
        &self,
        result: &Bound<'_, PyAny>,
        duration: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(&'static str, Option<f64>)> {
        self.of_result(result, optional("duration", duration)?).map(|verdict| told(&verdict))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.visit(&visit)
    }
}

/// Whether it is the caller's mistake: arguments that the function does not take, or no function to be called so.
fn is_wrong_call(error: &Bound<'_, PyAny>) -> PyResult<bool> {
    static IS_WRONG_CALL: Function = Function::new("tidegate._retryable", "is_wrong_call");
    Ok(error.is_instance_of::<PyTypeError>() && IS_WRONG_CALL.call(error.py(), (error,))?.is_truthy()?)
}

/// Whether it is an answer of this program to its own client, or says that the client has gone. Of Python's own those
/// of the system may be of the client's connection.
fn is_answered(error: &Bound<'_, PyAny>) -> PyResult<bool> {
    static IS_ANSWERED: Function = Function::new("tidegate._classify", "is_answered");
    let may_be = python::is_foreign(error) || error.is_instance_of::<PyOSError>();
    Ok(may_be && IS_ANSWERED.call(error.py(), (error,))?.is_truthy()?)
}

fn told(verdict: &Verdict) -> (&'static str, Option<f64>) {
    let wait = if let Verdict::RetryAfter(wait) = verdict { Some(wait.as_secs_f64()) } else { None };
    (verdict.outcome(), wait)
}

/// Whether a filter that may be absent names this exception or result.
fn named(field: &str, filter: Option<&Py<PyAny>>, subject: &Bound<'_, PyAny>) -> PyResult<bool> {
    filter.map_or(Ok(false), |filter| matches(field, filter.bind(subject.py()), subject))
}

/// Whether a filter (classes or a predicate, checked by [`filter`]) names this exception or result.
fn matches(field: &str, filter: &Bound<'_, PyAny>, subject: &Bound<'_, PyAny>) -> PyResult<bool> {
    if let Ok(several) = filter.cast::<PyTuple>() {
        for one in several.iter() {
            if matches(field, &one, subject)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    if filter.is_instance_of::<PyType>() {
        return subject.is_instance(filter);
    }
    asked(field, filter, subject)?.is_truthy()
}

/// Whether it is the default, spelt out: it names no exception in particular.
fn is_default(filter: &Py<PyAny>) -> bool {
    Python::attach(|py| {
        [PyException::type_object(py), PyBaseException::type_object(py)].iter().any(|all| filter.is(all))
    })
}

/// What a function of the user's says of this exception or result.
fn asked<'py>(field: &str, says: &Bound<'py, PyAny>, subject: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let answer = python::call1(says, (subject,))?;
    if python::close_unawaited(&answer)? {
        return Err(PyTypeError::new_err(format!("{field}: a function of the outcome cannot be async")));
    }
    Ok(answer)
}

/// Checks an argument that names exceptions, or results.
fn filter(field: &str, value: Option<&Bound<'_, PyAny>>, of_errors: bool) -> PyResult<Option<Py<PyAny>>> {
    let (expected, takes) = if of_errors {
        ("an exception class, a function of the exception, or a tuple or list of these", "the exception")
    } else {
        ("a function of the result, or a tuple or list of these", "the result")
    };
    let Some(value) = value else { return Ok(None) };
    let check = |one: &Bound<'_, PyAny>| match one.cast::<PyType>() {
        Ok(class) if of_errors && class.is_subclass_of::<PyBaseException>()? => Ok(()),
        Err(_) if one.is_callable() => FUNCTION.call(one.py(), (field, one, takes)).map(drop),
        Err(_) if one.is_instance_of::<Classifier>() => {
            Err(wrong_type(field, &format!("{expected} (a breaker takes a Classifier as classifier=)"), one))
        }
        _ => Err(wrong_type(field, expected, one)),
    };
    if !value.is_instance_of::<PyTuple>() && !value.is_instance_of::<PyList>() {
        return check(value).map(|()| Some(value.clone().unbind()));
    }
    // A tuple of its own: a list may change later.
    let several = value.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    several.iter().try_for_each(check)?;
    Ok(Some(PyTuple::new(value.py(), several)?.into_any().unbind()))
}
