//! The Python exception classes, which live in `tidegate/errors.py` so that they pickle and subclass like any other.

use crate::python::call1;
use pyo3::IntoPyObject;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};
use tidegate::arena::{ArenaError, ArenaErrorKind};
use tidegate::config::PYTHON;

pub(crate) const MODULE: &str = "tidegate.errors";

static BASE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static CONFIG: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static ARENA: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static TIMEOUT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static QUEUE_CLOSED: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// `class(*args)`, made at once: its `__init__` is Python's, and not to be run by whoever raises it.
pub(crate) fn made<'py, A>(class: PyResult<&Bound<'py, PyType>>, args: A) -> PyErr
where
    A: IntoPyObject<'py, Target = PyTuple>,
    PyErr: From<A::Error>,
{
    match class.and_then(|class| call1(class, args)) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// Whether it is one of this package's that says nothing of what was called: a `TidegateError`, and no
/// `TimeoutExceededError`, which ends a call that was under way.
pub(crate) fn is_own(error: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = error.py();
    Ok(error.is_instance(BASE.import(py, MODULE, "TidegateError")?)?
        && !error.is_instance(TIMEOUT.import(py, MODULE, "TimeoutExceededError")?)?)
}

/// A value outside what is allowed: `ConfigError`, which is a `ValueError`.
pub(crate) fn config(py: Python<'_>, message: impl AsRef<str>) -> PyErr {
    made(CONFIG.import(py, MODULE, "ConfigError"), (message.as_ref(),))
}

/// The core's own sentence about a wrong argument.
pub(crate) fn from_core(py: Python<'_>, error: &tidegate::ConfigError) -> PyErr {
    config(py, error.said(&PYTHON))
}

/// An arena's trouble: `ArenaError(message, kind)`, or a `ConfigError` where an argument was wrong.
pub(crate) fn arena(py: Python<'_>, error: &ArenaError) -> PyErr {
    if error.kind() == ArenaErrorKind::Argument {
        return config(py, error.said(&PYTHON));
    }
    made(ARENA.import(py, MODULE, "ArenaError"), (error.said(&PYTHON), error.kind().name()))
}

/// An argument of the wrong type, named like Python names it.
pub(crate) fn wrong_type(field: &str, expected: &str, got: &Bound<'_, PyAny>) -> PyErr {
    let found = got.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{field}: expected {expected}, got {found}"))
}

/// `QueueClosedError()`.
pub(crate) fn queue_closed(py: Python<'_>) -> PyErr {
    made(QUEUE_CLOSED.import(py, MODULE, "QueueClosedError"), ())
}
