//! `Decision`: the answer of a limit.

use crate::args::{nanoseconds, seconds};
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::sync::Arc;

/// What a limit decided. `bool(decision)` is `decision.allowed`; times are seconds, "never" is `math.inf`.
#[pyclass(frozen, eq, module = "tidegate")]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    /// Whether the cost was taken.
    #[pyo3(get)]
    pub(crate) allowed: bool,
    /// The most that can be taken at once (the burst; of a window its limit).
    #[pyo3(get)]
    pub(crate) limit: u32,
    /// Whole tokens left after this decision.
    #[pyo3(get)]
    pub(crate) remaining: u32,
    /// Seconds until the same cost could be admitted: 0 when allowed, `math.inf` when it exceeds the limit.
    #[pyo3(get)]
    pub(crate) retry_after: f64,
    /// Seconds until the limit is back at its full burst.
    #[pyo3(get)]
    pub(crate) reset_after: f64,
    /// Seconds to wait before acting on an admission; 0 for all but the leaky bucket.
    #[pyo3(get)]
    pub(crate) delay: f64,
    /// Which limit of a LimitSet denied, by its name; None otherwise.
    pub(crate) denied_by: Option<Arc<str>>,
}

impl From<tidegate::Decision> for Decision {
    #[inline]
    fn from(core: tidegate::Decision) -> Self {
        Self {
            allowed: core.allowed,
            limit: core.limit,
            remaining: core.remaining,
            retry_after: seconds(core.retry_after_ns),
            reset_after: seconds(core.reset_after_ns),
            delay: seconds(core.delay_ns),
            denied_by: None,
        }
    }
}

impl From<&Decision> for tidegate::Decision {
    fn from(decision: &Decision) -> Self {
        Self {
            allowed: decision.allowed,
            limit: decision.limit,
            remaining: decision.remaining,
            retry_after_ns: nanoseconds(decision.retry_after),
            reset_after_ns: nanoseconds(decision.reset_after),
            delay_ns: nanoseconds(decision.delay),
        }
    }
}

/// The arguments of `Decision`, as pickle repeats them.
type Arguments = (bool, u32, u32, f64, f64, f64, Option<String>);

#[pymethods]
impl Decision {
    #[new]
    #[pyo3(signature = (allowed, limit, remaining, retry_after, reset_after, delay = 0.0, denied_by = None))]
    fn new(
        allowed: bool,
        limit: u32,
        remaining: u32,
        retry_after: f64,
        reset_after: f64,
        delay: f64,
        denied_by: Option<String>,
    ) -> Self {
        Self { allowed, limit, remaining, retry_after, reset_after, delay, denied_by: denied_by.map(Into::into) }
    }

    /// Which limit of a LimitSet denied, by its name; None otherwise.
    #[getter]
    fn denied_by(&self) -> Option<&str> {
        self.denied_by.as_deref()
    }

    fn __bool__(&self) -> bool {
        self.allowed
    }

    fn __repr__(&self) -> String {
        let allowed = if self.allowed { "True" } else { "False" };
        let mut text = format!(
            "Decision(allowed={allowed}, limit={}, remaining={}, retry_after={:?}, reset_after={:?}",
            self.limit, self.remaining, self.retry_after, self.reset_after
        );
        if self.delay > 0.0 {
            text.push_str(&format!(", delay={:?}", self.delay));
        }
        if let Some(name) = &self.denied_by {
            text.push_str(&format!(", denied_by={name:?}"));
        }
        text + ")"
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, Arguments) {
        let d = slf.get();
        let name = d.denied_by.as_deref().map(str::to_owned);
        (slf.get_type(), (d.allowed, d.limit, d.remaining, d.retry_after, d.reset_after, d.delay, name))
    }
}
