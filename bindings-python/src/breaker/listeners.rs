//! Who hears of a breaker's events: a list of Python's that the breaker owns.
//!
//! A listener often names its breaker. What only the two of them keep is found by the collector, which sees the list.

use pyo3::prelude::*;
use pyo3::types::PyList;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::OnceLock;

/// Made when the first one comes.
#[derive(Debug, Default)]
pub(super) struct Listeners(OnceLock<Py<PyList>>);

impl Listeners {
    pub(super) fn list<'py>(&self, py: Python<'py>) -> Bound<'py, PyList> {
        if self.0.get().is_none() {
            // Made before the lock is taken: to make it may run the collector, and another thread. Who comes second
            // drops its own.
            let _ = self.0.set(PyList::empty(py).unbind());
        }
        self.0.get().expect("set above").bind(py).clone()
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.0.get())
    }
}
