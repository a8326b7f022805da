//! What a server's answer says of the call.

use crate::args::span_of;
use pyo3::prelude::*;
use std::time::{Duration, SystemTime};
use tidegate::http::Answer;
use tidegate::retry::SETTINGS;

/// Whether an answer of this status failed, and the seconds that its fields ask for, at most `most`; `now` is the time
/// of day in seconds.
#[pyfunction]
pub(crate) fn http_answer(
    status: u16,
    retry_after: Option<&str>,
    retry_after_ms: Option<&str>,
    date: Option<&str>,
    now: f64,
    most: f64,
) -> (bool, Option<f64>) {
    let bytes = |text: Option<&'_ str>| text.map(str::to_owned).map(String::into_bytes);
    let [retry_after, retry_after_ms, date] = [retry_after, retry_after_ms, date].map(bytes);
    let answer = Answer {
        status,
        retry_after: retry_after.as_deref(),
        retry_after_ms: retry_after_ms.as_deref(),
        date: date.as_deref(),
    };
    let span = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let now = SystemTime::UNIX_EPOCH.checked_add(span(now)).unwrap_or(SystemTime::UNIX_EPOCH);
    (answer.failed(), answer.retry_after(now, span(most)).map(|wait| wait.as_secs_f64()))
}

/// The seconds of a `max_retry_after`, which a classifier has as a `RetryPolicy` has.
#[pyfunction]
pub(crate) fn max_retry_after_seconds(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    span_of(SETTINGS.field("max_retry_after"), value).map(|span| span.as_secs_f64())
}
