//! The Python exception classes, which live in `tidegate/errors.py` so that they pickle and subclass like any other.

use crate::python::call1;
use pyo3::IntoPyObject;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
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

/// The exception of an error, with its traceback: before CPython 3.12 one that is raised is kept beside it.
pub(crate) fn raised<'py>(py: Python<'py>, error: &PyErr) -> PyResult<Bound<'py, PyAny>> {
    let value = error.value(py).clone().into_any();
    value.setattr(intern!(py, "__traceback__"), error.traceback(py))?;
    Ok(value)
}

/// Whether it is one of this package's that says nothing of what was called: a `TidegateError`, and no
/// `TimeoutExceededError` that ended a call which was under way.
pub(crate) fn is_own(error: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = error.py();
    if !error.is_instance(BASE.import(py, MODULE, "TidegateError")?)? {
        return Ok(false);
    }
    Ok(!error.is_instance(TIMEOUT.import(py, MODULE, "TimeoutExceededError")?)?
        || !error.getattr(intern!(py, "_begun"))?.is_truthy()?)
}

/// The members of an exception group, and of the groups in it; None of what is no group.
pub(crate) fn members<'py>(error: &Bound<'py, PyAny>) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
    static GROUP: PyOnceLock<Option<Py<PyType>>> = PyOnceLock::new();
    let py = error.py();
    // Python 3.10 has none of its own, but a package that anyio brings.
    let find = || {
        ["builtins", "exceptiongroup"].iter().find_map(|module| {
            py.import(*module)
                .and_then(|found| found.getattr("BaseExceptionGroup")?.extract::<Py<PyType>>().map_err(PyErr::from))
                .ok()
        })
    };
    let Some(group) = GROUP.get_or_init(py, find) else { return Ok(None) };
    let group = group.bind(py);
    if !error.is_instance(group)? {
        return Ok(None);
    }
    let (mut groups, mut members) = (vec![error.clone()], Vec::new());
    while let Some(one) = groups.pop() {
        for member in one.getattr(intern!(py, "exceptions"))?.try_iter()? {
            let member = member?;
            if member.is_instance(group)? { &mut groups } else { &mut members }.push(member);
        }
    }
    Ok(Some(members))
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
