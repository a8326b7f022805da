//! `RateLimiter.try_acquire` and `RateLimiter.check`.
#![allow(unsafe_code)] // A C method table entry is raw pointers by nature.

use super::{answer, guarded};
use crate::args::Cost;
use crate::errors::wrong_type;
use crate::limit::decision::Decision;
use crate::limit::key::Key;
use crate::limit::keyed::{RateLimiter, Tier};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The arguments in their order; what was not given is null.
type Given = [*mut ffi::PyObject; 3];

const NAMES: [&str; 3] = ["key", "n", "tier"];

/// `METH_FASTCALL | METH_KEYWORDS`: `slf` is a `RateLimiter` (the descriptor checks that), `args` holds `nargs`
/// arguments.
pub(super) unsafe extern "C" fn try_acquire(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls methods attached, with arguments as the calling convention has it.
    unsafe {
        guarded("try_acquire", |py| {
            let call = Call::read(py, slf, args, nargs, names)?;
            let (limiter, key) = (call.limiter.get(), Key::of(&call.key)?);
            let allowed = match call.tier {
                None => limiter.core.try_acquire(key.bytes(), call.n.0),
                Some(tier) => limiter.core.try_acquire_tier(key.bytes(), call.n.0, tier.get().of(&call.limiter)?),
            };
            Ok(answer(allowed))
        })
    }
}

/// As [`try_acquire`], with a `Decision` as its answer.
pub(super) unsafe extern "C" fn check(
    slf: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls methods attached, with arguments as the calling convention has it.
    unsafe {
        guarded("check", |py| {
            let call = Call::read(py, slf, args, nargs, names)?;
            let (limiter, key) = (call.limiter.get(), Key::of(&call.key)?);
            let decision = match call.tier {
                None => limiter.core.check(key.bytes(), call.n.0),
                Some(tier) => limiter.core.check_tier(key.bytes(), call.n.0, tier.get().of(&call.limiter)?),
            };
            Bound::new(py, Decision::from(decision)).map(Bound::into_ptr)
        })
    }
}

/// One call's arguments, borrowed from the caller for as long as it lasts.
struct Call<'a, 'py> {
    limiter: Borrowed<'a, 'py, RateLimiter>,
    key: Borrowed<'a, 'py, PyAny>,
    n: Cost,
    tier: Option<Borrowed<'a, 'py, Tier>>,
}

impl<'a, 'py> Call<'a, 'py> {
    /// # Safety
    /// `slf` is a `RateLimiter`; `args` points to `nargs` arguments, followed by one for each name in `names`; all of
    /// them live as long as `'a`.
    #[inline]
    unsafe fn read(
        py: Python<'py>,
        slf: *mut ffi::PyObject,
        args: *const *mut ffi::PyObject,
        nargs: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> PyResult<Self> {
        // SAFETY: as promised; the descriptor has checked the type.
        let limiter = unsafe { Borrowed::from_ptr(py, slf).cast_unchecked::<RateLimiter>() };
        if nargs == 1 && names.is_null() {
            // SAFETY: there is one argument.
            let key = unsafe { Borrowed::from_ptr(py, *args) };
            return Ok(Self { limiter, key, n: Cost(1), tier: None });
        }
        // SAFETY: as promised.
        let [key, n, tier] = unsafe { sorted(py, args, nargs, names) }?;
        // SAFETY: null or an argument that the caller keeps alive.
        let optional = |ptr| unsafe { Borrowed::from_ptr_or_opt(py, ptr) };
        let Some(key) = optional(key) else {
            return Err(PyTypeError::new_err("missing 1 required argument: 'key'"));
        };
        let n = optional(n).map_or(Ok(Cost(1)), |n| n.extract())?;
        let tier = match optional(tier) {
            Some(tier) if !tier.is_none() => match tier.cast::<Tier>() {
                Ok(tier) => Some(tier),
                Err(_) => return Err(wrong_type("tier", "what this limiter's tier() returned", &tier)),
            },
            _ => None,
        };
        Ok(Self { limiter, key, n, tier })
    }
}

/// Positional and named arguments in one order.
///
/// # Safety
/// `args` points to `nargs` arguments, followed by one for each name in `names`.
unsafe fn sorted(
    py: Python<'_>,
    args: *const *mut ffi::PyObject,
    nargs: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> PyResult<Given> {
    let mut given: Given = [std::ptr::null_mut(); 3];
    let positional = nargs as usize;
    if positional > given.len() {
        return Err(PyTypeError::new_err(format!("takes 1 to 3 arguments (key, n, tier), got {positional}")));
    }
    for (at, place) in given.iter_mut().enumerate().take(positional) {
        // SAFETY: `at` is below `nargs`.
        *place = unsafe { *args.add(at) };
    }
    if !names.is_null() {
        // SAFETY: `names` is a tuple of str.
        let names = unsafe { Borrowed::from_ptr(py, names).cast_unchecked::<PyTuple>() };
        for (at, name) in names.iter_borrowed().enumerate() {
            let name = name.str()?;
            let name = name.to_string_lossy();
            let Some(place) = NAMES.iter().position(|known| *known == name) else {
                return Err(PyTypeError::new_err(format!(
                    "unexpected keyword argument {name:?}; known are key, n, tier"
                )));
            };
            if !given[place].is_null() {
                return Err(PyTypeError::new_err(format!("got more than one value for argument {name:?}")));
            }
            // SAFETY: a value for each name follows the positional arguments.
            given[place] = unsafe { *args.add(positional + at) };
        }
    }
    Ok(given)
}
