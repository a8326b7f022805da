//! `Permit`: the right to make one call, and the context manager that reports it.

use super::circuit::CircuitBreaker;
use crate::args::{finite, optional};
use crate::errors::wrong_type;
use crate::python;
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate::breaker::{self as core, Classified, Outcome};

/// The right to make one call. The first report counts, later ones do nothing, so that `with` and an explicit report
/// go together; a permit that is dropped unreported is released. `with` enters it once, and not once reported:
/// RuntimeError.
#[pyclass(frozen, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct Permit {
    breaker: Py<CircuitBreaker>,
    core: core::Permit,
    reported: AtomicBool,
    /// By `with`, which is for one call.
    entered: AtomicBool,
}

impl Permit {
    #[inline]
    pub(crate) fn new(breaker: Py<CircuitBreaker>, core: core::Permit) -> Self {
        Self { breaker, core, reported: AtomicBool::new(false), entered: AtomicBool::new(false) }
    }

    /// True for the one caller that may report.
    #[inline]
    fn claim(&self) -> bool {
        // Relaxed: the swap alone decides who is first; the core orders the report itself.
        !self.reported.swap(true, Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.claim() {
            self.breaker.get().release(self.core);
        }
    }
}

#[pymethods]
impl Permit {
    /// The call worked, in `duration` seconds (None: the time since the permit was acquired).
    #[pyo3(signature = (duration = None))]
    fn success(&self, duration: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let duration = optional("duration", duration)?;
        if self.claim() {
            self.breaker.get().report(self.core, Outcome::Success, duration);
        }
        Ok(())
    }

    /// The call worked, and was slow, whatever its duration.
    #[pyo3(signature = (duration = None))]
    fn slow(&self, duration: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let duration = optional("duration", duration)?;
        if self.claim() {
            self.breaker.get().report(self.core, Outcome::Slow, duration);
        }
        Ok(())
    }

    /// The call failed. `retry_after` is the server's own Retry-After in seconds: if this failure opens the circuit,
    /// the cooldown lasts at least that long.
    #[pyo3(signature = (duration = None, retry_after = None))]
    fn failure(&self, duration: Option<&Bound<'_, PyAny>>, retry_after: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let duration = optional("duration", duration)?;
        let retry_after = retry_after.map(|wait| finite("retry_after", wait)).transpose()?;
        if self.claim() {
            let said = Classified { outcome: Outcome::Failure, retry_after };
            self.breaker.get().report_classified(self.core, said, duration);
        }
        Ok(())
    }

    /// The call says nothing about the dependency: not counted, a probe slot is given back.
    fn ignore(&self) {
        if self.claim() {
            self.breaker.get().report(self.core, Outcome::Ignore, None);
        }
    }

    /// The call returned `value`, after `duration` seconds (None: the time since the permit was acquired): what the
    /// breaker's classifier says of it.
    #[pyo3(signature = (value, duration = None))]
    fn result(&self, value: &Bound<'_, PyAny>, duration: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let duration = optional("duration", duration)?;
        if self.claim() {
            self.breaker.get().report_result(self.core, value, duration)?;
        }
        Ok(())
    }

    /// The call raised `error`, after `duration` seconds (None: the time since the permit was acquired): what the
    /// breaker's classifier says of it.
    #[pyo3(signature = (error, duration = None))]
    fn error(&self, error: &Bound<'_, PyAny>, duration: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let duration = optional("duration", duration)?;
        if !error.is_instance_of::<PyBaseException>() {
            return Err(wrong_type("error", "an exception", error));
        }
        if self.claim() {
            self.breaker.get().report_error(self.core, error, duration)?;
        }
        Ok(())
    }

    /// The call never reached the dependency (no connection was free): a failure while the circuit is closed; of a
    /// probe it says nothing, and the slot is given back.
    #[pyo3(signature = (duration = None))]
    fn unreached(&self, duration: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let duration = optional("duration", duration)?;
        if self.claim() {
            self.breaker.get().report(self.core, Outcome::Unreached, duration);
        }
        Ok(())
    }

    /// The call was not made or was cancelled: neutral.
    pub(crate) fn release(&self) {
        if self.claim() {
            self.breaker.get().release(self.core);
        }
    }

    /// The seconds since the permit was acquired; None where nothing asked for the time.
    fn _took(&self) -> Option<f64> {
        self.breaker.get().since(self.core).map(|took| took.as_secs_f64())
    }

    fn __enter__(slf: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        python::enter("a permit of a CircuitBreaker", &slf.entered, &slf.reported)?;
        Ok(slf)
    }

    fn __exit__(
        &self,
        _exc_type: &Bound<'_, PyAny>,
        exc_value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        if self.claim() {
            let breaker = self.breaker.get();
            if exc_value.is_none() {
                breaker.report_success(self.core, None);
            } else {
                breaker.report_error(self.core, exc_value, None)?;
            }
        }
        Ok(false)
    }

    fn __repr__(&self) -> String {
        // Relaxed: a look, nothing is decided by it.
        let reported = if self.reported.load(Ordering::Relaxed) { "True" } else { "False" };
        format!("Permit({:?}, reported={reported})", self.breaker.get().core.name())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.breaker)
    }
}
