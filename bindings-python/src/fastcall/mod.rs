//! The hottest methods without PyO3's trampoline, whose bookkeeping and argument parsing would cost as much as the
//! decision; `CircuitBreaker.call` would pack its arguments twice.
//!
//! No `Py<T>` is dropped here outside of `Python::attach`: PyO3 would not know that this thread is attached, and wait.
#![allow(unsafe_code)] // A C method table entry is raw pointers by nature; each step says why it is sound.

mod breaker;
mod bucket;
mod keyed;

use crate::breaker::CircuitBreaker;
use crate::limit::bucket::TokenBucket;
use crate::limit::keyed::RateLimiter;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::{PyTypeInfo, ffi};
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Puts the methods into their classes.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    let doc =
        c"try_acquire($self, n=1)\n--\n\nTakes `n` tokens, or nothing. `n` = 0 takes nothing and is refused only in \
debt or under a penalty.";
    method::<TokenBucket>(py, c"try_acquire", bucket::try_acquire, doc)?;
    let doc =
        c"try_acquire($self, key, n=1, tier=None)\n--\n\nTakes `n` of the key's tokens, or nothing; of a leaky bucket \
only what needs no delay.";
    method::<RateLimiter>(py, c"try_acquire", keyed::try_acquire, doc)?;
    let doc =
        c"check($self, key, n=1, tier=None)\n--\n\nTakes `n` of the key's tokens, or nothing, and tells what is left.";
    method::<RateLimiter>(py, c"check", keyed::check, doc)?;
    let doc =
        c"call($self, func, /, *args, **kwargs)\n--\n\nRuns `func(*args, **kwargs)` under a permit and returns its \
result; raises CircuitOpenError when refused.";
    method::<CircuitBreaker>(py, c"call", breaker::call, doc)
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

/// Runs a method's body; a panic in it becomes an exception.
///
/// # Safety
/// This thread is attached to the interpreter.
#[inline]
unsafe fn guarded(
    method: &'static str,
    body: impl FnOnce(Python<'_>) -> PyResult<*mut ffi::PyObject>,
) -> *mut ffi::PyObject {
    // SAFETY: as promised, and the token does not leave this function.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| body(py))) {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => raise(error),
        Err(_) => raise(PanicException::new_err(format!("{method} panicked: a bug in tidegate"))),
    }
}

/// A new reference to True or False.
#[inline]
fn answer(yes: bool) -> *mut ffi::PyObject {
    // SAFETY: both live as long as the interpreter.
    unsafe { ffi::Py_NewRef(if yes { ffi::Py_True() } else { ffi::Py_False() }) }
}

#[cold]
fn raise(error: PyErr) -> *mut ffi::PyObject {
    Python::attach(|py| error.restore(py));
    std::ptr::null_mut()
}
