//! What a breaker shows of itself: state, statistics, events.

use crate::args::seconds;
use crate::stats::class::stats;
use pyo3::prelude::*;
use pyo3::types::PyType;
use tidegate::breaker as core;

/// The calls by which a circuit opened: its window as of the call that opened it, or the probes that did.
#[pyclass(frozen, eq, hash, get_all, from_py_object, module = "tidegate")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Trip {
    /// Calls in the window.
    calls: u32,
    /// Those that failed.
    failed: u32,
    /// Those that were slow.
    slow: u32,
}

impl Trip {
    pub(crate) fn counts(&self) -> (u32, u32, u32) {
        (self.calls, self.failed, self.slow)
    }
}

#[pymethods]
impl Trip {
    #[new]
    fn new(calls: u32, failed: u32, slow: u32) -> Self {
        Self { calls, failed, slow }
    }

    /// `failed / calls`, 0 without calls.
    #[getter]
    fn failure_rate(&self) -> f64 {
        rate(self.failed, self.calls)
    }

    /// `slow / calls`, 0 without calls.
    #[getter]
    fn slow_call_rate(&self) -> f64 {
        rate(self.slow, self.calls)
    }

    /// Errors carry one, and errors pickle.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (u32, u32, u32)) {
        let trip = slf.get();
        (slf.get_type(), (trip.calls, trip.failed, trip.slow))
    }

    fn __repr__(&self) -> String {
        format!("Trip(calls={}, failed={}, slow={})", self.calls, self.failed, self.slow)
    }
}

fn rate(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { f64::from(part) / f64::from(whole) }
}

impl From<core::Trip> for Trip {
    fn from(core: core::Trip) -> Self {
        Self { calls: core.calls, failed: core.failed, slow: core.slow }
    }
}

stats! {
    /// One entry of a breaker's event ring.
    Event {
        /// Running number from 0; a gap means that entries were overwritten before they were read.
        seq: u64,
        /// "closed", "opened", "half_opened", "forced_open", "disabled", "metrics_only", "probe_succeeded",
        /// "probe_failed", "probe_lost", "ramp_started", "ramp_ended" or "configured".
        kind: String,
        /// Seconds on the breaker's clock.
        at: f64,
        /// Of "opened": what opened it, a `Trip`.
        trip: Option<Trip>,
    }
}

impl From<core::Event> for Event {
    fn from(core: core::Event) -> Self {
        Self {
            seq: core.seq,
            kind: core.kind.name().to_owned(),
            at: seconds(core.at_ns),
            trip: core.trip.map(Trip::from),
        }
    }
}
