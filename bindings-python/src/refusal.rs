//! What the refusals in `tidegate/errors.py` say: the core's texts.

use crate::args::nanoseconds;
use crate::breaker::views::Trip;
use pyo3::prelude::*;
use std::time::Duration;
use tidegate::refusal::{Again, Refusal};

/// Who refused what; the exception itself says when to try again.
pub(crate) fn refused(refusal: Refusal<'_>, retry_after: f64, timeout: Option<f64>) -> String {
    // What no Duration holds is no end.
    let timeout = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    refusal.retry_after_ns(nanoseconds(retry_after)).within(timeout).subject().to_string()
}

/// "try again in 0.5 s", or what is said of 0 and `math.inf`.
#[pyfunction]
pub(crate) fn try_again(retry_after: f64) -> String {
    Again(nanoseconds(retry_after)).to_string()
}

/// What CircuitOpenError says.
#[pyfunction]
#[pyo3(signature = (breaker, retry_after, trip, ramping = false))]
pub(crate) fn circuit_refused(
    breaker: &str,
    retry_after: f64,
    trip: Option<&Bound<'_, Trip>>,
    ramping: bool,
) -> String {
    let (calls, failed, slow) = trip.map_or((0, 0, 0), |trip| trip.get().counts());
    let refusal = Refusal::of_circuit(calls, failed, slow).ramping(ramping).named(Some(breaker));
    refusal.retry_after_ns(nanoseconds(retry_after)).to_string()
}
