//! `TokenBucket.try_acquire`.
#![allow(unsafe_code)] // A C method table entry is raw pointers by nature.

use super::{answer, guarded};
use crate::args::Cost;
use crate::limit::bucket::TokenBucket;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// `METH_FASTCALL | METH_KEYWORDS`: `slf` is a `TokenBucket` (the descriptor checks that), `args` holds `nargs`
/// arguments.
pub(super) unsafe extern "C" fn try_acquire(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls methods attached; the descriptor has checked the type of `slf`, which the caller keeps
    // alive; as the calling convention has it, `args` points to `nargs` arguments and those that `names` names.
    unsafe {
        guarded("try_acquire", |py| {
            let bucket = Borrowed::from_ptr(py, slf).cast_unchecked::<TokenBucket>();
            let n = if nargs == 0 && names.is_null() { Cost(1) } else { argument(py, args, nargs, names)? };
            Ok(answer(bucket.get().core.try_acquire(n.0)))
        })
    }
}

/// The one argument, by position or as `n=`.
///
/// # Safety
/// `args` points to `nargs` arguments, followed by one for each name in `names`.
unsafe fn argument(
    py: Python<'_>,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> PyResult<Cost> {
    let named = if names.is_null() {
        0
    } else {
        // SAFETY: `names` is a tuple of str.
        let names = unsafe { Borrowed::from_ptr(py, names).cast_unchecked::<PyTuple>() };
        for name in names.iter_borrowed() {
            if !name.eq("n")? {
                let message = format!("TokenBucket.try_acquire() got an unexpected keyword argument {}", name.repr()?);
                return Err(PyTypeError::new_err(message));
            }
        }
        names.len() as ffi::Py_ssize_t
    };
    match nargs + named {
        // SAFETY: there is one, alive for the call.
        1 => unsafe { Borrowed::from_ptr(py, *args) }.extract(),
        given => Err(PyTypeError::new_err(format!("TokenBucket.try_acquire() takes at most 1 argument, got {given}"))),
    }
}
