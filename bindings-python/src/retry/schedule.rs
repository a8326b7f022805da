//! The arithmetic behind `RetryPolicy` in `tidegate/_retry.py`.

use crate::args::{choice, real, seconds, span_of, whole32};
use crate::errors::from_core;
use pyo3::prelude::*;
use std::time::Duration;
use tidegate::retry::{Jitter, Next, RetryConfig, RetryPolicy, SETTINGS, draw};

/// Whether another attempt is made, and when: the settings of a `RetryPolicy`, checked.
#[pyclass(frozen, module = "tidegate._tidegate")]
#[derive(Debug)]
pub(crate) struct Schedule(RetryPolicy);

#[pymethods]
impl Schedule {
    #[new]
    fn new(
        attempts: &Bound<'_, PyAny>,
        base: &Bound<'_, PyAny>,
        factor: &Bound<'_, PyAny>,
        max_delay: &Bound<'_, PyAny>,
        jitter: &Bound<'_, PyAny>,
        deadline: Option<&Bound<'_, PyAny>>,
        max_retry_after: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let py = attempts.py();
        let field = |name| SETTINGS.field(name);
        let without_end = attempts.is_none() || attempts.extract::<f64>().is_ok_and(|number| number == f64::INFINITY);
        let config = RetryConfig {
            attempts: if without_end { u32::MAX } else { whole32(field("attempts"), attempts)? },
            base: span_of(field("base"), base)?,
            factor: real(field("factor"), factor)?,
            max_delay: span_of(field("max_delay"), max_delay)?,
            jitter: choice::<Jitter>(field("jitter"), jitter)?,
            deadline: deadline.map(|deadline| span_of(field("deadline"), deadline)).transpose()?,
            max_retry_after: span_of(field("max_retry_after"), max_retry_after)?,
        };
        RetryPolicy::new(config).map(Self).map_err(|error| from_core(py, &error))
    }

    /// What follows the failed attempt number `attempts`, `elapsed` seconds after the first began: the seconds to wait,
    /// or None for no further attempt, and what the next call takes as `previous` (0 at first).
    #[pyo3(signature = (attempts, previous, retry_after, elapsed, random = None))]
    fn next(
        &self,
        attempts: u64,
        mut previous: f64,
        retry_after: f64,
        elapsed: f64,
        random: Option<f64>,
    ) -> (Option<f64>, f64) {
        let (told, elapsed) = (span(retry_after), span(elapsed));
        let random = random.unwrap_or_else(draw);
        let wait = match self.0.next(attempts, random, &mut previous, Some(told), elapsed) {
            Next::Wait(wait) => Some(seconds(wait.as_nanos() as u64)),
            Next::Exhausted | Next::PastDeadline => None,
        };
        (wait, previous)
    }

    /// The wait before retry `n`, and what the next call takes as `previous`.
    #[pyo3(signature = (n, previous, random = None))]
    fn delay(&self, n: u64, mut previous: f64, random: Option<f64>) -> (f64, f64) {
        let wait = self.0.backoff().delay_ns(n, random.unwrap_or_else(draw), &mut previous);
        (seconds(wait), previous)
    }

    /// The most attempts; None: no end.
    #[getter]
    fn attempts(&self) -> Option<u32> {
        Some(self.0.config().attempts).filter(|&attempts| attempts != u32::MAX)
    }

    #[getter]
    fn base(&self) -> f64 {
        self.0.config().base.as_secs_f64()
    }

    #[getter]
    fn factor(&self) -> f64 {
        self.0.config().factor
    }

    #[getter]
    fn max_delay(&self) -> f64 {
        self.0.config().max_delay.as_secs_f64()
    }

    #[getter]
    fn jitter(&self) -> &'static str {
        self.0.config().jitter.name()
    }

    #[getter]
    fn deadline(&self) -> Option<f64> {
        self.0.config().deadline.map(|deadline| deadline.as_secs_f64())
    }

    #[getter]
    fn max_retry_after(&self) -> f64 {
        self.0.config().max_retry_after.as_secs_f64()
    }
}

/// Whatever number a server or a clock gave.
fn span(seconds: f64) -> Duration {
    match Duration::try_from_secs_f64(seconds) {
        Ok(span) => span,
        Err(_) if seconds > 0.0 => Duration::MAX,
        Err(_) => Duration::ZERO,
    }
}
