//! Calls from Rust into Python: whatever may block, give way to another thread or run a function of the user's is
//! called here.
//!
//! Before CPython 3.14 a daemon thread that gets the GIL back while the interpreter ends is ended by `pthread_exit`,
//! whose unwinding aborts the process at the first Rust frame. Such a thread stops here for ever instead, as it does in
//! CPython since 3.14. It holds no lock of ours: none is held over a call.
#![allow(unsafe_code)] // The call must be one that may unwind; each step says why it is sound.

use pyo3::exceptions::{PyResourceWarning, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{BoundObject, IntoPyObject, ffi};
#[cfg(unix)]
use std::ffi::{c_char, c_int, c_void};
use std::hint::black_box;
use std::mem::{forget, transmute};
use std::sync::atomic::{AtomicBool, Ordering};

type Object = *mut ffi::PyObject;

/// Ends no frame below it: what unwinds as far as this stops.
struct Stop;

impl Drop for Stop {
    #[cold]
    fn drop(&mut self) {
        // Anything else that unwinds through Python, such as an exception of C++, is not to be waited for: it may hold
        // the GIL.
        if !is_finalizing() {
            std::process::abort();
        }
        loop {
            std::thread::park();
        }
    }
}

/// Whether the interpreter is ending; true where it does not say so. The stable ABI has the question since 3.13 only.
#[cfg(unix)]
fn is_finalizing() -> bool {
    // RTLD_DEFAULT of Linux and of macOS.
    let everywhere = std::ptr::without_provenance_mut(if cfg!(target_os = "macos") { usize::MAX - 1 } else { 0 });
    [c"Py_IsFinalizing", c"_Py_IsFinalizing"].iter().all(|name| {
        // SAFETY: a name that ends in NUL, among all loaded objects.
        let found = unsafe { dlsym(everywhere, name.as_ptr()) };
        if found.is_null() {
            return true;
        }
        // SAFETY: CPython's function of that name, which takes nothing and may be called by any thread at any time.
        let asked = unsafe { transmute::<*mut c_void, unsafe extern "C" fn() -> c_int>(found) };
        // SAFETY: as above.
        unsafe { asked() != 0 }
    })
}

#[cfg(not(unix))]
fn is_finalizing() -> bool {
    true
}

#[cfg(unix)]
unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// Whether its class is not one of the interpreter's own, as most results' and many exceptions' are: what a framework
/// makes has to be asked for.
pub(crate) fn is_foreign(value: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a type is alive as long as its instance, and flags are plain bits.
    let flags = unsafe { ffi::PyType_GetFlags(value.get_type_ptr()) };
    flags & ffi::Py_TPFLAGS_HEAPTYPE != 0
}

/// `function(*args, **kwargs)`.
#[inline]
pub(crate) fn call<'py>(
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let named = kwargs.map_or(std::ptr::null_mut(), Bound::as_ptr);
    // Black box: known to be PyObject_Call, it would be taken for one that never unwinds, and `stop` for dead code.
    let known: unsafe extern "C" fn(Object, Object, Object) -> Object = black_box(ffi::PyObject_Call);
    // SAFETY: the same convention, but for what an unwinding does.
    let unwinding: unsafe extern "C-unwind" fn(Object, Object, Object) -> Object = unsafe { transmute(known) };
    let stop = Stop;
    // SAFETY: this thread is attached and all three are alive.
    let result = unsafe { unwinding(function.as_ptr(), args.as_ptr(), named) };
    forget(stop);
    // SAFETY: a new reference, or NULL with the error set.
    unsafe { Bound::from_owned_ptr_or_err(function.py(), result) }
}

/// `function(*args)`.
#[inline]
pub(crate) fn call1<'py, A>(function: &Bound<'py, PyAny>, args: A) -> PyResult<Bound<'py, PyAny>>
where
    A: IntoPyObject<'py, Target = PyTuple>,
    PyErr: From<A::Error>,
{
    let args = args.into_pyobject(function.py())?.into_bound();
    call(function, &args, None)
}

/// A Python function that is not written here, looked up once: the forms that wait or wrap (`tidegate/_waiting.py`,
/// `_decorate.py`), for one. A Python subclass could hold those as well, but the type check of every hot call would
/// then cost more than the call.
pub(crate) struct Function {
    module: &'static str,
    name: &'static str,
    cell: PyOnceLock<Py<PyAny>>,
}

impl Function {
    pub(crate) const fn new(module: &'static str, name: &'static str) -> Self {
        Self { module, name, cell: PyOnceLock::new() }
    }

    /// Calls it with `args`.
    #[inline]
    pub(crate) fn call<'py, A>(&self, py: Python<'py>, args: A) -> PyResult<Bound<'py, PyAny>>
    where
        A: IntoPyObject<'py, Target = PyTuple>,
        PyErr: From<A::Error>,
    {
        // All of these modules were loaded with the package, so that nothing is waited for.
        let look_up = || Ok::<_, PyErr>(py.import(self.module)?.getattr(self.name)?.unbind());
        call1(self.cell.get_or_try_init(py, look_up)?.bind(py), args)
    }
}

/// Whether `result` is to be awaited: a coroutine, a Task, a Future or what else has `__await__`. What has it not, as
/// nearly all results, is told by one slot of its type.
#[inline]
pub(crate) fn is_awaitable(result: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a type is alive as long as its instance, and since 3.10 it may be of either kind; the slot is a number
    // that every version knows.
    let slot = unsafe { ffi::PyType_GetSlot(result.get_type_ptr(), ffi::Py_am_await) };
    // The class of a proxy has all methods; what it stands for is asked, and may not be there.
    !slot.is_null() && result.hasattr("__await__").unwrap_or(false)
}

static CLOSE_UNAWAITED: Function = Function::new("tidegate._functions", "close_unawaited");

/// As `is_awaitable`, of what nobody will await: a coroutine is closed.
pub(crate) fn close_unawaited(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(is_awaitable(value) && CLOSE_UNAWAITED.call(value.py(), (value,))?.is_truthy()?)
}

/// The sentence of a permit that is entered twice, or after it was given back.
pub(crate) fn enter(what: &str, entered: &AtomicBool, used: &AtomicBool) -> PyResult<()> {
    // Relaxed: the swap alone decides who is first.
    if used.load(Ordering::Relaxed) {
        return Err(PyRuntimeError::new_err(format!(
            "{what}: it is given back already, and is for one call; take another"
        )));
    }
    if entered.swap(true, Ordering::Relaxed) {
        return Err(PyRuntimeError::new_err(format!(
            "{what}: a `with` has entered it already, and it is for one call; take another"
        )));
    }
    Ok(())
}

static WARN: Function = Function::new("warnings", "warn");

/// Warns of a permit that was dropped: what became of it.
pub(crate) fn warn_dropped(message: &str) {
    // None while the interpreter shuts down.
    let _ = Python::try_attach(|py| {
        // Whoever drops it may be on the way out with an exception of its own.
        let pending = PyErr::take(py);
        if let Err(error) = WARN.call(py, (message, py.get_type::<PyResourceWarning>())) {
            // The interpreter at its end drops what modules hold, when nothing can be imported any more: the process
            // gives all of it back.
            if imports(py) {
                error.write_unraisable(py, None);
            }
        }
        if let Some(error) = pending {
            error.restore(py);
        }
    });
}

/// Whether modules can still be imported: at its end the interpreter takes `sys.meta_path` away before all else.
fn imports(py: Python<'_>) -> bool {
    // SAFETY: attached, and a name that ends in NUL; the reference is borrowed, and only looked at.
    let path = unsafe { ffi::PySys_GetObject(c"meta_path".as_ptr()) };
    !path.is_null() && path != py.None().as_ptr()
}

/// Whether `result` is what a generator function gives, async or not.
#[inline]
pub(crate) fn is_generator(result: &Bound<'_, PyAny>) -> PyResult<bool> {
    static GENERATOR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static ASYNC_GENERATOR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let (py, class) = (result.py(), result.get_type_ptr());
    Ok(class == GENERATOR.import(py, "types", "GeneratorType")?.as_type_ptr()
        || class == ASYNC_GENERATOR.import(py, "types", "AsyncGeneratorType")?.as_type_ptr())
}
