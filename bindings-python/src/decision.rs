//! `Decision`: the answer of a limit.

use crate::args::seconds;
use pyo3::prelude::*;

/// What a limit decided. `bool(decision)` is `decision.allowed`; times are seconds, "never" is `math.inf`.
#[pyclass(frozen, eq, get_all, module = "tidegate")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decision {
    /// Whether the cost was taken.
    allowed: bool,
    /// The most tokens that can be taken at once (the burst).
    pub(crate) limit: u32,
    /// Whole tokens left after this decision.
    pub(crate) remaining: u32,
    /// Seconds until the same cost could be admitted: 0 when allowed, `math.inf` when it exceeds the burst.
    retry_after: f64,
    /// Seconds until the bucket is full again.
    pub(crate) reset_after: f64,
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
        }
    }
}

#[pymethods]
impl Decision {
    #[new]
    fn new(allowed: bool, limit: u32, remaining: u32, retry_after: f64, reset_after: f64) -> Self {
        Self { allowed, limit, remaining, retry_after, reset_after }
    }

    fn __bool__(&self) -> bool {
        self.allowed
    }

    fn __repr__(&self) -> String {
        let allowed = if self.allowed { "True" } else { "False" };
        format!(
            "Decision(allowed={allowed}, limit={}, remaining={}, retry_after={:?}, reset_after={:?})",
            self.limit, self.remaining, self.retry_after, self.reset_after
        )
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, pyo3::types::PyType>, (bool, u32, u32, f64, f64)) {
        let d = slf.get();
        (slf.get_type(), (d.allowed, d.limit, d.remaining, d.retry_after, d.reset_after))
    }
}
