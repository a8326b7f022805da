//! The floor under every Python row: an empty method on a frozen class, built with the same flags as the extension.

use pyo3::prelude::*;

/// A class with nothing in it.
#[pyclass(frozen)]
#[derive(Debug)]
struct Empty;

#[pymethods]
impl Empty {
    #[new]
    fn new() -> Self {
        Self
    }

    /// Returns at once.
    fn empty(&self) -> bool {
        true
    }

    /// Returns at once; takes what `try_acquire` takes.
    #[pyo3(signature = (n = 1))]
    fn empty_with(&self, n: u32) -> bool {
        n > 0
    }
}

/// The module of [`Empty`].
#[pymodule(gil_used = false)]
mod floor {
    #[pymodule_export]
    use super::Empty;
}
