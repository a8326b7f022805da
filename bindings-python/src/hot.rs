//! The two hottest methods without PyO3's trampoline: `TokenBucket.try_acquire`, whose bookkeeping and argument parsing would
//! cost as much as the decision, and `CircuitBreaker.call`, whose arguments would be packed twice.
//!
//! No `Py<T>` is dropped here outside of `Python::attach`: PyO3 would not know that this thread is attached, and wait.
#![allow(unsafe_code)] // A C method table entry is raw pointers by nature; each step says why it is sound.

use crate::args::Cost;
use crate::breaker::CircuitBreaker;
use crate::bucket::TokenBucket;
use pyo3::exceptions::PyTypeError;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTypeInfo, ffi};
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Puts the methods into their classes.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    let doc = c"try_acquire($self, n=1)\n--\n\nTakes `n` tokens, or nothing. `n` = 0 takes nothing and is refused only in debt or \
under a penalty.";
    method::<TokenBucket>(py, c"try_acquire", try_acquire, doc)?;
    let doc = c"call($self, func, /, *args, **kwargs)\n--\n\nRuns `func(*args, **kwargs)` under a permit and returns its result; \
raises CircuitOpenError when refused.";
    method::<CircuitBreaker>(py, c"call", call, doc)
}

fn method<T: PyTypeInfo>(
    py: Python<'_>,
    name: &'static CStr,
    function: ffi::PyCFunctionFastWithKeywords,
    doc: &'static CStr,
) -> PyResult<()> {
    // Leaked: a descriptor refers to its definition for as long as the class lives, which is for ever.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: function },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: doc.as_ptr(),
    }));
    let class = py.get_type::<T>();
    // SAFETY: the class is alive, the definition lives for ever, and the result is a new reference or an error.
    let method = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(class.as_type_ptr(), definition)) }?;
    class.setattr(&*name.to_string_lossy(), method)
}

/// `METH_FASTCALL | METH_KEYWORDS`: `slf` is a `TokenBucket` (the descriptor checks that), `args` holds `nargs` arguments.
unsafe extern "C" fn try_acquire(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let decided = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: Python calls methods attached, and the token does not leave this function.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: the descriptor has checked the type of `slf`, which the caller keeps alive.
        let bucket = unsafe { Borrowed::from_ptr(py, slf).cast_unchecked::<TokenBucket>() };
        if nargs == 0 && names.is_null() {
            return Ok(bucket.get().core.try_acquire(1));
        }
        // SAFETY: as the calling convention has it, `args` points to `nargs` arguments and those that `names` names.
        let n = unsafe { argument(py, args, nargs, names) }?;
        Ok::<bool, PyErr>(bucket.get().core.try_acquire(n.0))
    }));
    match decided {
        // SAFETY: both are immortal or counted objects that live as long as the interpreter; a new reference is returned.
        Ok(Ok(true)) => unsafe { ffi::Py_NewRef(ffi::Py_True()) },
        // SAFETY: as above.
        Ok(Ok(false)) => unsafe { ffi::Py_NewRef(ffi::Py_False()) },
        Ok(Err(error)) => raise(error),
        Err(_) => raise(PanicException::new_err("try_acquire panicked: a bug in tidegate")),
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

/// `METH_FASTCALL | METH_KEYWORDS`: `slf` is a `CircuitBreaker`, `args` holds the function and its arguments.
unsafe extern "C" fn call(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let called = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: Python calls methods attached, and the token does not leave this function.
        let py = unsafe { Python::assume_attached() };
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
    }));
    match called {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => raise(error),
        Err(_) => raise(PanicException::new_err("call panicked: a bug in tidegate")),
    }
}

#[cold]
fn raise(error: PyErr) -> *mut ffi::PyObject {
    Python::attach(|py| error.restore(py));
    std::ptr::null_mut()
}
