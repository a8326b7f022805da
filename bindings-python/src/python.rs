//! The forms that wait or wrap are written in Python (`tidegate/_waiting.py`, `_decorate.py`) and reached from here: a Python
//! subclass could hold them as well, but the type check of every hot call would then cost more than the call.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// A Python function of this package, looked up once.
pub(crate) struct Function {
    module: &'static str,
    name: &'static str,
    cell: PyOnceLock<Py<PyAny>>,
}

impl Function {
    pub(crate) const fn new(module: &'static str, name: &'static str) -> Self {
        Self { module, name, cell: PyOnceLock::new() }
    }

    pub(crate) fn get<'a, 'py>(&'a self, py: Python<'py>) -> PyResult<&'a Bound<'py, PyAny>> {
        self.cell.get_or_try_init(py, || Ok(py.import(self.module)?.getattr(self.name)?.unbind())).map(|f| f.bind(py))
    }
}
