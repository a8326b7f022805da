//! A place in the line for a permit.

use super::limiter::ConcurrencyLimiter;
use super::permit::ConcurrencyPermit;
use crate::waker::waker;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tidegate::concurrency::{ConcurrencyListener, Partition};

/// A place in the line for a permit. Dropping or cancelling it passes a permit that it was given on to the next.
#[pyclass(frozen, module = "tidegate._tidegate")]
#[derive(Debug)]
pub(crate) struct Waiter {
    limiter: Py<ConcurrencyLimiter>,
    seat: Mutex<Seat>,
}

#[derive(Debug)]
struct Seat {
    /// None while it is looked at, and at the end. The core is never called under the lock: it may call Python
    /// functions of others.
    listener: Option<ConcurrencyListener>,
    is_cancelled: bool,
}

impl Waiter {
    /// None: as many wait as may.
    pub(crate) fn new(
        limiter: &Bound<'_, ConcurrencyLimiter>,
        callback: Py<PyAny>,
        partition: Partition,
    ) -> Option<Self> {
        let listener = limiter.get().core.listen_in(partition, &waker(callback));
        if listener.is_refused() {
            return None;
        }
        let seat = Mutex::new(Seat { listener: Some(listener), is_cancelled: false });
        Some(Self { limiter: limiter.clone().unbind(), seat })
    }

    fn seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self) -> Option<ConcurrencyListener> {
        let mut seat = self.seat();
        seat.is_cancelled = true;
        seat.listener.take()
    }
}

#[pymethods]
impl Waiter {
    /// The permit, if it is there; else None, and the seconds after which to look again without having been called.
    fn poll(&self, py: Python<'_>) -> (Option<ConcurrencyPermit>, f64) {
        let Some(mut listener) = self.seat().listener.take() else { return (None, f64::INFINITY) };
        if let Some(permit) = listener.take() {
            return (Some(ConcurrencyPermit::new(self.limiter.clone_ref(py), permit)), 0.0);
        }
        let pause = listener.retry_in().map_or(f64::INFINITY, |pause| pause.as_secs_f64());
        let mut seat = self.seat();
        let rest = if seat.is_cancelled { Some(listener) } else { seat.listener.replace(listener) };
        drop(seat);
        drop(rest);
        (None, pause)
    }

    /// Leaves the line.
    fn cancel(&self) {
        drop(self.leave());
    }

    /// Leaves the line because the time for it is over.
    fn time_out(&self) {
        self.leave().into_iter().for_each(ConcurrencyListener::time_out);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.limiter)
    }
}
