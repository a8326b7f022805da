//! Bodies of refusals, and the seconds of Retry-After.

use crate::args::nanoseconds;
use crate::errors::{config, from_core};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tidegate::gate::Kind;
use tidegate::http::problem::{self, ProblemType};

/// The status and the problem+json body of a refusal: `kind` is "quota_exceeded", "temporary_reduced_capacity",
/// "abnormal_usage_detected", "forbidden" or "timeout"; a status and a detail of None are that kind's own.
#[pyfunction]
pub(crate) fn problem_body<'py>(
    py: Python<'py>,
    kind: &str,
    status: Option<u16>,
    detail: Option<&str>,
    violated: Vec<String>,
) -> PyResult<(u16, Bound<'py, PyBytes>)> {
    let kind: ProblemType = kind.parse().map_err(|error| from_core(py, &error))?;
    let (status, detail) = (status.unwrap_or(kind.status()), detail.unwrap_or(kind.detail()));
    let violated: Vec<&str> = violated.iter().map(String::as_str).collect();
    Ok((status, PyBytes::new(py, problem::body(kind, status, detail, &violated).as_bytes())))
}

/// The problem type of a refusal by such a part: "access", "deadline", "shedder", "queue", "breaker", "concurrency" or
/// "limit".
#[pyfunction]
pub(crate) fn problem_of(py: Python<'_>, part: &str) -> PyResult<&'static str> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == part);
    let kind =
        kind.ok_or_else(|| config(py, format!("part: {part:?} is none of {}", Kind::ALL.map(Kind::name).join(", "))))?;
    Ok(kind.problem().name())
}

/// A Retry-After value: whole seconds, rounded up, at least 1; "never" (`math.inf`) reads as an hour.
#[pyfunction]
pub(crate) fn retry_after_seconds(seconds: f64) -> u64 {
    tidegate::http::retry_after_seconds(nanoseconds(seconds))
}
