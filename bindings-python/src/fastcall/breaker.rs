//! `CircuitBreaker.call`.
#![allow(unsafe_code)] // A C method table entry is raw pointers by nature.

use super::guarded;
use crate::breaker::CircuitBreaker;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// `METH_FASTCALL | METH_KEYWORDS`: `slf` is a `CircuitBreaker`, `args` holds the function and its arguments.
pub(super) unsafe extern "C" fn call(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let body = |py: Python<'_>| {
        // SAFETY: the descriptor has checked the type of `slf`, which the caller keeps alive.
        let breaker = unsafe { Borrowed::from_ptr(py, slf).cast_unchecked::<CircuitBreaker>() };
        // SAFETY: `args` points to `nargs` arguments, alive for the call.
        let given = |at: ffi::Py_ssize_t| unsafe { Borrowed::from_ptr(py, *args.offset(at)) };
        if nargs == 0 {
            return Err(PyTypeError::new_err("CircuitBreaker.call() needs the function to call"));
        }
        let kwargs = if names.is_null() {
            None
        } else {
            // SAFETY: `names` is a tuple of str, with a value for each after the positional arguments.
            let names = unsafe { Borrowed::from_ptr(py, names).cast_unchecked::<PyTuple>() };
            let kwargs = PyDict::new(py);
            for (at, name) in names.iter_borrowed().enumerate() {
                kwargs.set_item(name, given(nargs + at as ffi::Py_ssize_t))?;
            }
            Some(kwargs)
        };
        let rest = if nargs == 1 { PyTuple::empty(py) } else { PyTuple::new(py, (1..nargs).map(given))? };
        breaker.get().run(&given(0), &rest, kwargs.as_ref()).map(Bound::into_ptr)
    };
    // SAFETY: Python calls methods attached.
    unsafe { guarded("call", body) }
}
