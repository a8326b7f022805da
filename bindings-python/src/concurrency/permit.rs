//! `ConcurrencyPermit`: the right to run one call, and the context manager that gives it back.

use super::limiter::ConcurrencyLimiter;
use crate::args::finite;
use crate::python::{self, Function};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate::concurrency::{self, Outcome};

static ENTER: Function = Function::new("tidegate._waiting", "enter_permit");
static FAILED: Function = Function::new("tidegate._outcome", "report_error");
static EXIT: Function = Function::new("tidegate._waiting", "exit_permit");

/// The right to run one call: `with` and `async with` give it back at their end. One that is dropped gives itself back,
/// with a ResourceWarning. Of an adaptive limiter `with` says what became of the call: `success`, unless it raised; a
/// timeout and a refusal are `dropped`, any other error is `ignore`. In a child of fork its parent's permits do
/// nothing.
///
/// May be given back on any thread, and more than once: only the first counts. `with` enters it once: RuntimeError.
#[pyclass(frozen, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct ConcurrencyPermit {
    limiter: Py<ConcurrencyLimiter>,
    core: concurrency::ConcurrencyPermit,
    released: AtomicBool,
    /// By `with`, which is for one call.
    entered: AtomicBool,
}

impl ConcurrencyPermit {
    #[inline]
    pub(crate) fn new(limiter: Py<ConcurrencyLimiter>, core: concurrency::ConcurrencyPermit) -> Self {
        Self { limiter, core, released: AtomicBool::new(false), entered: AtomicBool::new(false) }
    }

    fn report(&self, outcome: Outcome, latency: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let latency = latency.map(|latency| finite("latency", latency)).transpose()?;
        // Relaxed: as in `release`.
        if self.released.swap(true, Ordering::Relaxed) {
            return Ok(false);
        }
        let limiter = &self.limiter.get().core;
        Ok(match latency {
            Some(latency) => limiter.report_latency(self.core, outcome, latency),
            None => limiter.report(self.core, outcome),
        })
    }
}

#[pymethods]
impl ConcurrencyPermit {
    /// Gives it back. False where nothing was: it is back already, was taken back from a process that died, belongs to
    /// the parent of this process, or comes from a limiter that is switched off or only watching.
    #[inline]
    fn release(&self) -> bool {
        // Relaxed: the swap alone decides who is first; the core orders the release itself.
        !self.released.swap(true, Ordering::Relaxed) && self.limiter.get().core.release(self.core)
    }

    /// Gives it back; of an adaptive limiter the latency from asking for it to now counts, or `latency` in seconds as
    /// you have measured it. False as of `release`, and then it does not count.
    #[pyo3(signature = (latency = None))]
    fn success(&self, latency: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.report(Outcome::Success, latency)
    }

    /// Gives it back; the call says nothing of the latency. What `release` does.
    fn ignore(&self) -> PyResult<bool> {
        self.report(Outcome::Ignore, None)
    }

    /// Gives it back; the call timed out, or was refused downstream.
    #[pyo3(signature = (latency = None))]
    fn dropped(&self, latency: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.report(Outcome::Dropped, latency)
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        python::enter("a permit of a ConcurrencyLimiter", &slf.entered, &slf.released)?;
        Ok(slf)
    }

    fn __exit__(
        slf: &Bound<'_, Self>,
        _exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let this = slf.get();
        if exc_value.is_none() {
            this.report(Outcome::Success, None)?;
        } else if this.limiter.get().core.config().adaptive.is_some() {
            FAILED.call(slf.py(), (slf, exc_value))?;
        } else {
            this.release();
        }
        Ok(false)
    }

    fn __aenter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        python::enter("a permit of a ConcurrencyLimiter", &this.entered, &this.released)?;
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

    fn __repr__(&self) -> String {
        // Relaxed: a look, nothing is decided by it.
        let released = if self.released.load(Ordering::Relaxed) { "True" } else { "False" };
        format!("ConcurrencyPermit(released={released})")
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.limiter)
    }
}

impl Drop for ConcurrencyPermit {
    fn drop(&mut self) {
        if !self.release() {
            return;
        }
        python::warn_dropped("a permit of a ConcurrencyLimiter was dropped without release(); it is given back");
    }
}
