//! `Taken`: what one request took of one limit.

use crate::limit::decision::Decision;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use std::sync::atomic::{AtomicBool, Ordering};

/// What one request took of one limit: kept with the request for each that is served, so nothing here is made before
/// somebody asks.
#[pyclass(frozen, module = "tidegate._tidegate")]
#[derive(Debug)]
pub(crate) struct Taken {
    /// The limit.
    #[pyo3(get)]
    limit: Py<PyAny>,
    /// None, a key, or pairs of names and keys.
    #[pyo3(get)]
    keys: Py<PyAny>,
    /// The cost.
    #[pyo3(get)]
    n: u32,
    decision: Decision,
    /// What the client is told.
    #[pyo3(get)]
    fields: Py<PyList>,
    /// What Retry-After says: 0 exactly where the limit admitted.
    #[pyo3(get)]
    retry_after: u64,
    /// The name of its policy; of a set the empty one, for its limits have theirs.
    #[pyo3(get)]
    policy: Py<PyString>,
    returned: AtomicBool,
}

impl Taken {
    pub(crate) fn of(
        limit: Py<PyAny>,
        keys: Py<PyAny>,
        n: u32,
        decision: Decision,
        fields: Py<PyList>,
        retry_after: u64,
        policy: Py<PyString>,
    ) -> Self {
        Self { limit, keys, n, decision, fields, retry_after, policy, returned: AtomicBool::new(false) }
    }

    pub(crate) fn fields<'py>(&self, py: Python<'py>) -> &Bound<'py, PyList> {
        self.fields.bind(py)
    }
}

#[pymethods]
impl Taken {
    #[new]
    fn new(
        limit: Py<PyAny>,
        keys: Py<PyAny>,
        n: u32,
        decision: &Bound<'_, Decision>,
        fields: Py<PyList>,
        retry_after: u64,
        policy: Py<PyString>,
    ) -> Self {
        Self::of(limit, keys, n, decision.get().clone(), fields, retry_after, policy)
    }

    /// The limit's answer.
    #[getter]
    fn decision(&self) -> Decision {
        self.decision.clone()
    }

    /// True for the one caller that is to give the cost back; for nobody where the limit refused.
    fn claim_refund(&self) -> bool {
        // Relaxed: the swap alone decides who is first, and the limit orders the refund itself.
        self.retry_after == 0 && !self.returned.swap(true, Ordering::Relaxed)
    }
}
