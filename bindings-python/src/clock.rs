//! `ManualClock`, and the clock argument of every constructor.

use crate::args::{count, passed};
use pyo3::prelude::*;

/// A clock that moves only when told to, for tests.
///
/// Pass it as `clock=` to any primitive. Safe to use from any thread.
#[pyclass(frozen, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct ManualClock(tidegate::ManualClock);

#[pymethods]
impl ManualClock {
    #[new]
    #[pyo3(signature = (start_ns = None), text_signature = "(start_ns=0)")]
    fn new(start_ns: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let start_ns = start_ns.map_or(Ok(0), |ns| count("start_ns", ns, u64::MAX))?;
        Ok(Self(tidegate::ManualClock::new(start_ns)))
    }

    /// Moves forward by `seconds` (a float, an int or a timedelta).
    fn advance(&self, seconds: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.advance(passed("seconds", seconds)?);
        Ok(())
    }

    /// Jumps to `now_ns` nanoseconds, backwards too: for tests of clocks that misbehave.
    fn set_ns(&self, now_ns: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.set(count("now_ns", now_ns, u64::MAX)?);
        Ok(())
    }

    /// The time it stands at, in nanoseconds.
    #[getter]
    fn now_ns(&self) -> u64 {
        self.0.now()
    }

    fn __repr__(&self) -> String {
        format!("ManualClock(start_ns={})", self.0.now())
    }
}

/// The core's clock for a `clock=` argument, and the object itself for the `clock` property.
pub(crate) fn source(clock: Option<&Bound<'_, ManualClock>>) -> tidegate::Clock {
    clock.map_or_else(tidegate::Clock::monotonic, |clock| (&clock.get().0).into())
}
