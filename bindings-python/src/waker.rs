//! A core waker that calls a Python function, and the registration it belongs to.

use crate::python::call1;
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Calls a Python function (`lock.release`, `loop.call_soon_threadsafe`) when the queue may have changed.
struct PyWaker(Py<PyAny>);

impl Wake for PyWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // None while the interpreter shuts down: nobody is left to be woken.
        let _ = Python::try_attach(|py| {
            if let Err(error) = call1(self.0.bind(py), ()) {
                error.write_unraisable(py, Some(self.0.bind(py)));
            }
        });
    }
}

/// The waker of a Python callable.
pub(crate) fn waker(callback: Py<PyAny>) -> Waker {
    Waker::from(Arc::new(PyWaker(callback)))
}

/// A registered waiter of a queue. Dropping or cancelling it passes a wake-up that it already consumed on to the next.
#[pyclass(frozen, module = "tidegate._tidegate")]
#[derive(Debug)]
pub(crate) struct Listener(Mutex<Option<tidegate::queue::Listener>>);

impl Listener {
    pub(crate) fn new(core: tidegate::queue::Listener) -> Self {
        Self(Mutex::new(Some(core)))
    }
}

#[pymethods]
impl Listener {
    /// Takes the registration back.
    fn cancel(&self) {
        // Taken out first, dropped after the lock: the drop may call another waiter's Python function.
        let core = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(core);
    }
}
