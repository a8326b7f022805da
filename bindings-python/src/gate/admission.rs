//! `Admission`: a gate's answer, and the context manager that gives back what the call holds.

use super::object::Gate;
use crate::args::seconds;
use crate::breaker::permit::Permit;
use crate::errors::{config, wrong_type};
use crate::python::{self, Function};
use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tidegate::gate::{Answer, Kind, Outcome, Part, Ticket};

static OUTCOME: Function = Function::new("tidegate._gate", "outcome_of");
static REFUSAL: Function = Function::new("tidegate._gate", "refusal");
static ENTER: Function = Function::new("tidegate._gate", "enter_admission");
static EXIT: Function = Function::new("tidegate._gate", "exit_admission");

/// A gate's answer to a call, and what the call holds: `with` and `async with` give it back at their end and say what
/// became of it. True where the call may be served. One that is dropped gives back what it holds, with a
/// ResourceWarning where that is a permit.
///
/// `with` enters it once: RuntimeError. May be finished on any thread, and more than once: only the first counts. In a
/// child of fork its parent's do nothing.
#[pyclass(frozen, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct Admission {
    gate: Py<Gate>,
    core: Answer,
    ticket: Ticket,
    cost: u32,
    finished: AtomicBool,
    /// By `with`, which is for one call.
    entered: AtomicBool,
    /// The call's own permits of its dependencies.
    permits: Mutex<Vec<Py<Permit>>>,
}

/// What became of a call, by its name.
fn outcome(given: &Bound<'_, PyAny>) -> PyResult<Outcome> {
    let wanted = "\"success\", \"failure\", \"dropped\" or \"cancelled\"";
    let Ok(text) = given.cast::<PyString>() else { return Err(wrong_type("outcome", wanted, given)) };
    let text = text.to_string_lossy();
    let found = Outcome::ALL.into_iter().find(|outcome| outcome.name() == text);
    found.ok_or_else(|| config(given.py(), format!("outcome: {text:?} is not {wanted}")))
}

/// What an HTTP answer of that status says of a call: 503 and 504 are "dropped", 429 and other 5xx "failure", all else
/// "success".
#[pyfunction]
pub(crate) fn outcome_of_status(status: u16) -> &'static str {
    Outcome::of_status(status).name()
}

impl Admission {
    #[inline]
    pub(super) fn new(gate: Py<Gate>, (core, ticket): (Answer, Ticket), cost: u32) -> Self {
        Self {
            gate,
            core,
            ticket,
            cost,
            finished: AtomicBool::new(false),
            entered: AtomicBool::new(false),
            permits: Mutex::default(),
        }
    }

    /// The error of a refusal.
    pub(super) fn error(slf: &Bound<'_, Self>) -> PyErr {
        match REFUSAL.call(slf.py(), (slf,)) {
            Ok(error) => PyErr::from_value(error),
            Err(error) => error,
        }
    }

    pub(super) fn is_allowed(&self) -> bool {
        self.core.allowed
    }

    fn end(&self, outcome: Outcome) -> bool {
        // Relaxed: the swap alone decides who is first; the core orders the release itself.
        if self.finished.swap(true, Ordering::Relaxed) {
            return false;
        }
        for permit in std::mem::take(&mut *self.permits.lock().unwrap_or_else(PoisonError::into_inner)) {
            permit.get().release();
        }
        let mut ticket = self.ticket;
        self.gate.get().core.finish(&mut ticket, outcome)
    }
}

#[pymethods]
impl Admission {
    /// Whether the call may be served.
    #[getter]
    fn allowed(&self) -> bool {
        self.core.allowed
    }

    /// The name of the part that refused, the one with the longest wait; in a dry run of the one that would have. None
    /// where none did.
    #[getter]
    fn denied_by(&self) -> Option<&str> {
        self.core.denied_by.map(|part| self.gate.get().core.name_of(part))
    }

    /// Its kind: "access", "deadline", "shedder", "queue", "breaker", "concurrency" or "limit".
    #[getter]
    fn kind(&self) -> Option<&'static str> {
        self.core.kind().map(Kind::name)
    }

    /// The HTTP status of a refusal: 403 of an access list, 504 of a deadline, 429 of a rate limit, else 503. None when
    /// allowed.
    #[getter]
    fn status(&self) -> Option<u16> {
        self.core.status()
    }

    /// Seconds until another try makes sense: 0 when allowed, and where nobody waits for it any more; `math.inf`.
    #[getter]
    fn retry_after(&self) -> f64 {
        seconds(self.core.retry_after_ns)
    }

    /// The most tokens at once of the limit that decided: of the one that refused, else of the one with the fewest
    /// left. 0 where no limit was asked.
    #[getter]
    fn limit(&self) -> u32 {
        self.core.limit
    }

    /// Tokens that are left of it.
    #[getter]
    fn remaining(&self) -> u32 {
        self.core.remaining
    }

    /// Seconds until that limit is full again.
    #[getter]
    fn reset_after(&self) -> f64 {
        seconds(self.core.reset_after_ns)
    }

    /// Seconds to wait before acting on an admission; 0 without a leaky bucket.
    #[getter]
    fn delay(&self) -> f64 {
        seconds(self.core.delay_ns)
    }

    /// The shedder's pressure at its last step, 0 to 1; 0 without a shedder.
    #[getter]
    fn pressure(&self) -> f64 {
        self.core.pressure
    }

    /// The gate.
    #[getter]
    fn gate(&self, py: Python<'_>) -> Py<Gate> {
        self.gate.clone_ref(py)
    }

    /// The call's own permit of a dependency, each time another: for one attempt, `with admission.breaker("payment"):`.
    /// What was not reported when the admission ends says nothing of the dependency. Raises CircuitOpenError where the
    /// circuit refuses.
    #[pyo3(signature = (dependency, /))]
    fn breaker(&self, py: Python<'_>, dependency: &str) -> PyResult<Py<Permit>> {
        let breaker = self.gate.get().breaker(py, dependency)?;
        let permit = Py::new(py, Permit::new(breaker.clone_ref(py), breaker.get().admit(py)?))?;
        // Relaxed: one that ends meanwhile leaves the permit to its own end.
        if !self.finished.load(Ordering::Relaxed) {
            self.permits.lock().unwrap_or_else(PoisonError::into_inner).push(permit.clone_ref(py));
        }
        Ok(permit)
    }

    /// The call has ended: its permit goes back, with what became of it: "success"; "failure" and "cancelled", which
    /// say nothing of the latency; "dropped", of one that timed out or was refused by what it called. Its cost goes
    /// back too, if `refund_on` says so. False, and nothing happens: it was finished before, was refused, or belongs
    /// to the parent of this process.
    #[pyo3(signature = (outcome = None), text_signature = "($self, outcome='success')")]
    fn finish(&self, outcome: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let outcome = outcome.map_or(Ok(Outcome::Success), self::outcome)?;
        Ok(self.end(outcome))
    }

    fn __bool__(&self) -> bool {
        self.core.allowed
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        python::enter("an Admission of a Gate", &slf.entered, &slf.finished)?;
        Ok(slf)
    }

    fn __exit__(
        slf: &Bound<'_, Self>,
        _exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let ended = match exc_value.is_none() {
            true => Outcome::Success,
            false => outcome(&OUTCOME.call(slf.py(), (exc_value,))?)?,
        };
        slf.get().end(ended);
        Ok(false)
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        python::enter("an Admission of a Gate", &this.entered, &this.finished)?;
        ENTER.call(slf.py(), (slf,))
    }

    fn __aexit__<'py>(
        slf: &Bound<'py, Self>,
        _exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'py, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        EXIT.call(slf.py(), (slf, exc_value))
    }

    /// The value of a Retry-After, whole seconds; None: send none.
    #[getter]
    fn _retry_after(&self) -> Option<u64> {
        self.core.retry_after_seconds()
    }

    /// Who refused what, for the error of a refusal.
    fn _subject(&self) -> String {
        self.gate.get().core.with_refusal(&self.core, self.cost, |refusal| refusal.subject().to_string())
    }

    /// The name of the breaker that refused, and what opened it.
    fn _circuit(&self, py: Python<'_>) -> PyResult<Option<Py<crate::breaker::CircuitBreaker>>> {
        match self.core.denied_by {
            Some(part @ Part::Breaker(_)) => {
                Ok(Some(self.gate.get().breaker(py, self.gate.get().core.name_of(part))?.clone_ref(py)))
            }
            _ => Ok(None),
        }
    }

    fn __repr__(&self) -> String {
        let truth = |yes| if yes { "True" } else { "False" };
        let denied_by = self.denied_by().map_or_else(|| "None".to_owned(), |name| format!("{name:?}"));
        // Relaxed: a look, nothing is decided by it.
        let finished = truth(self.finished.load(Ordering::Relaxed));
        format!("Admission(allowed={}, denied_by={denied_by}, finished={finished})", truth(self.core.allowed))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let permits = self.permits.try_lock();
        permits.iter().flat_map(|permits| permits.iter()).try_for_each(|permit| visit.call(permit))?;
        visit.call(&self.gate)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.end(Outcome::Cancelled) || !self.ticket.holds_permit() {
            return;
        }
        python::warn_dropped("an Admission of a Gate was dropped without finish(); its permit is given back");
    }
}
