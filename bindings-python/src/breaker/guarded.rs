//! A function under a breaker, as a native callable: the decorator's wrapper for plain functions.
//!
//! A Python wrapper of the same meaning spends twice the whole call on packing and unpacking its arguments. Like the
//! object that `functools.lru_cache` makes, this one binds as a method, carries what `functools.wraps` copies, and
//! pickles by its name.

use super::circuit::CircuitBreaker;
use super::permit::Permit;
use crate::errors;
use crate::python::{self, Function};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyIterator, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

static RETURNED: Function = Function::new("tidegate._sent", "returned");

static IS_STREAMED: Function = Function::new("tidegate._flask_body", "is_streamed");

/// Whether it may be a response, which may be sent later: what all of Starlette's, of Werkzeug's and of Django's have,
/// or what Flask makes one of.
fn may_be_sent_later(result: &Bound<'_, PyAny>, guarded: &Bound<'_, Guarded>) -> PyResult<bool> {
    let py = result.py();
    let first = result.cast::<PyTuple>().ok().and_then(|several| several.get_item(0).ok());
    let body = first.as_ref().unwrap_or(result);
    if body.cast::<PyIterator>().is_ok() {
        return IS_STREAMED.call(py, (result, guarded))?.is_truthy();
    }
    let has = |name| body.hasattr(name);
    if !python::is_foreign(body) {
        return Ok(false);
    }
    Ok(has(intern!(py, "init_headers"))? || has(intern!(py, "call_on_close"))? || has(intern!(py, "streaming"))?)
}

/// A function that runs under a circuit breaker.
#[pyclass(frozen, dict, weakref, module = "tidegate._tidegate")]
#[derive(Debug)]
pub(crate) struct Guarded {
    /// The breaker in charge.
    #[pyo3(get)]
    breaker: Py<CircuitBreaker>,
    func: Py<PyAny>,
}

#[pymethods]
impl Guarded {
    #[new]
    fn new(breaker: Py<CircuitBreaker>, func: Py<PyAny>) -> Self {
        Self { breaker, func }
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, own) = (args.py(), slf.get());
        let breaker = own.breaker.get();
        let permit = breaker.admit(py)?;
        match python::call(own.func.bind(py), args, kwargs) {
            // One that raises when it is asked is judged like others.
            Ok(result) if may_be_sent_later(&result, slf).unwrap_or(false) => {
                RETURNED.call(py, (Permit::new(own.breaker.clone_ref(py), permit), &result, slf))
            }
            Ok(result) => breaker.returned(permit, result),
            Err(error) => {
                breaker.report_error(permit, &errors::raised(py, &error)?, None)?;
                Err(error)
            }
        }
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: Option<&Bound<'py, PyAny>>,
        _owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        static METHOD: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        match instance {
            None => Ok(slf.clone().into_any()),
            Some(instance) => python::call1(METHOD.import(slf.py(), "types", "MethodType")?, (slf, instance)),
        }
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.getattr("__qualname__")
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<{} under circuit {:?}>", self.func.bind(py).repr()?, self.breaker.get().core.name()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.breaker)?;
        visit.call(&self.func)
    }
}
