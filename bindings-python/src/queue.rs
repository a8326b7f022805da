//! `BoundedQueue`: the parts that do not wait, and the registration on which the waiting forms are built.

use crate::args::{self, choice, finite, flag, object, real, seconds, whole};
use crate::clock::{self, ManualClock};
use crate::errors::{config, from_core, queue_closed, wrong_type};
use crate::python::{Function, call1};
use crate::stats::stats;
use crate::waker::{self, Listener};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use pyo3::{PyTraverseError, PyVisit};
use tidegate::QueueConfig;
use tidegate::queue::{self, Interest, OnFull, PopError, PushError, PushErrorKind, SETTINGS};
use tidegate::refusal::Refusal;

static PUSH: Function = Function::new("tidegate._waiting", "push");
static POP: Function = Function::new("tidegate._waiting", "pop");
static PUSH_ASYNC: Function = Function::new("tidegate._waiting", "push_async");
static POP_ASYNC: Function = Function::new("tidegate._waiting", "pop_async");
static ITERATE: Function = Function::new("tidegate._waiting", "iterate");
static IS_ASYNC: Function = Function::new("tidegate._functions", "is_async");

/// A bounded FIFO with watermarks, usable from threads and from several event loops at once.
///
/// Args:
///     capacity: the most items held, 1 to 2**24.
///     high_watermark, low_watermark: at high x capacity pushes start to be refused, below low x capacity they are
///         accepted again; high = 1.0 turns watermarks off.
///     on_full: "reject" the new item, or "drop_oldest" (watermarks then only steer `is_accepting`).
///     on_drop: called with each dropped item, in the thread that pushed.
///     sojourn: stamp items, so that `try_pop_timed` tells how long they waited.
///     retry_after: seconds to tell refused producers (QueueFullError, Retry-After).
///     clock: a ManualClock for tests of sojourn times; waiting uses the machine's time.
///
/// What was accepted is never lost: a push that races `close` is either refused or comes out of `drain`, and a
/// cancelled `pop_async` takes nothing with it. Items are not visible to the cycle collector: `drain` a queue that you
/// abandon with items that refer back to it.
#[pyclass(frozen, subclass, weakref, generic, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct BoundedQueue {
    core: queue::BoundedQueue<Py<PyAny>>,
    clock: Option<Py<ManualClock>>,
    on_drop: Option<Py<PyAny>>,
    /// Seconds to tell a refused producer.
    #[pyo3(get)]
    retry_after: f64,
}

#[pymethods]
impl BoundedQueue {
    #[new]
    #[classmethod]
    #[pyo3(signature = (
        capacity, *, high_watermark = None, low_watermark = None, on_full = None, on_drop = None, sojourn = None,
        retry_after = None, clock = None, **unknown
    ), text_signature = "(capacity, *, high_watermark=0.8, low_watermark=0.5, on_full='reject', on_drop=None, \
        sojourn=False, retry_after=1.0, clock=None)")]
    #[allow(clippy::too_many_arguments)]
    fn new(
        cls: &Bound<'_, PyType>,
        capacity: &Bound<'_, PyAny>,
        high_watermark: Option<&Bound<'_, PyAny>>,
        low_watermark: Option<&Bound<'_, PyAny>>,
        on_full: Option<&Bound<'_, PyAny>>,
        on_drop: Option<&Bound<'_, PyAny>>,
        sojourn: Option<&Bound<'_, PyAny>>,
        retry_after: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        args::known(cls, unknown)?;
        let py = capacity.py();
        let field = |name| SETTINGS.field(name);
        let mut cfg = QueueConfig::new(whole(field("capacity"), capacity)? as usize);
        cfg.sojourn = flag("sojourn", sojourn)?.unwrap_or(cfg.sojourn);
        if let Some(fraction) = high_watermark {
            cfg.high_watermark = real(field("high_watermark"), fraction)?;
        }
        if let Some(fraction) = low_watermark {
            cfg.low_watermark = real(field("low_watermark"), fraction)?;
        }
        if let Some(on_full) = on_full {
            cfg.on_full = choice(field("on_full"), on_full)?;
        }
        let clock = clock.map(|clock| object("clock", "a ManualClock", clock)).transpose()?;
        if let Some(on_drop) = on_drop {
            if !on_drop.is_callable() {
                return Err(wrong_type("on_drop", "a function of the dropped item", on_drop));
            }
            if cfg.on_full != OnFull::DropOldest {
                return Err(config(py, "on_drop: only on_full=\"drop_oldest\" drops items"));
            }
            // A push is not async, so that nobody would await it.
            if IS_ASYNC.call(py, (on_drop,))?.is_truthy()? {
                return Err(wrong_type("on_drop", "a function that is not async", on_drop));
            }
        }
        let retry_after = match retry_after {
            Some(wait) => finite("retry_after", wait)?.as_secs_f64(),
            None => 1.0,
        };
        let core = queue::BoundedQueue::with_clock(cfg, clock::source(clock)).map_err(|error| from_core(py, &error))?;
        Ok(Self {
            core,
            clock: clock.map(|clock| clock.clone().unbind()),
            on_drop: on_drop.map(|on_drop| on_drop.clone().unbind()),
            retry_after,
        })
    }

    /// Puts `item` in: True, or False when full. Raises `QueueClosedError` when closed.
    #[inline]
    fn try_push(&self, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.pushed(item.py(), self.core.try_push(item.clone().unbind()))
    }

    /// `try_push` of a push that waits, and so looks again: a full queue is not counted as a rejection.
    fn _look_push(&self, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.pushed(item.py(), self.core.look_push(item.clone().unbind()))
    }

    /// Takes the oldest item, or `default` when empty. Raises `QueueClosedError` when closed and empty.
    #[pyo3(signature = (default = None))]
    #[inline]
    fn try_pop(&self, default: Option<Py<PyAny>>, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.core.try_pop() {
            Ok(item) => Ok(Some(item)),
            Err(PopError::Empty) => Ok(default),
            Err(PopError::Closed) => Err(queue_closed(py)),
        }
    }

    /// Takes the oldest item with the seconds it spent here (0 unless `sojourn=True`), or None when empty.
    fn try_pop_timed(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>, f64)>> {
        match self.core.try_pop_timed() {
            Ok((item, ns)) => Ok(Some((item, seconds(ns)))),
            Err(PopError::Empty) => Ok(None),
            Err(PopError::Closed) => Err(queue_closed(py)),
        }
    }

    /// Puts `item` in, blocking this thread for room. Raises QueueFullError at the timeout, QueueClosedError.
    #[pyo3(signature = (item, timeout = None))]
    fn push<'py>(
        slf: &Bound<'py, Self>,
        item: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        PUSH.call(slf.py(), (slf, item, timeout))
    }

    /// Takes the oldest item, blocking this thread. Raises QueueEmptyError at the timeout, QueueClosedError.
    #[pyo3(signature = (timeout = None))]
    fn pop<'py>(slf: &Bound<'py, Self>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        POP.call(slf.py(), (slf, timeout))
    }

    /// Puts `item` in, suspending this task for room. A cancelled push has put nothing in.
    #[pyo3(signature = (item, timeout = None))]
    fn push_async<'py>(
        slf: &Bound<'py, Self>,
        item: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        PUSH_ASYNC.call(slf.py(), (slf, item, timeout))
    }

    /// Takes the oldest item, suspending this task. A cancelled pop has taken nothing out.
    #[pyo3(signature = (timeout = None))]
    fn pop_async<'py>(slf: &Bound<'py, Self>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        POP_ASYNC.call(slf.py(), (slf, timeout))
    }

    /// Pops until the queue is closed and empty.
    fn __aiter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        ITERATE.call(slf.py(), (slf,))
    }

    /// What QueueFullError says.
    fn _refused(&self) -> String {
        Refusal::of_queue(self.core.depth(), self.core.config().capacity).subject().to_string()
    }

    /// Calls `callback` once, from any thread, when a push may succeed; at once if it may already.
    fn _listen_push(&self, callback: Py<PyAny>) -> Listener {
        self.listen(Interest::Push, callback)
    }

    /// Calls `callback` once, from any thread, when a pop may succeed; at once if it may already.
    fn _listen_pop(&self, callback: Py<PyAny>) -> Listener {
        self.listen(Interest::Pop, callback)
    }

    /// Refuses pushes from now on and wakes all waiters; what was accepted can still be popped.
    fn close(&self) {
        self.core.close();
    }

    /// Closes, and takes out everything that was accepted, oldest first.
    fn drain(&self) -> Vec<Py<PyAny>> {
        self.core.drain()
    }

    /// Items held now.
    #[getter]
    fn depth(&self) -> usize {
        self.core.depth()
    }

    /// The most items held.
    #[getter]
    fn capacity(&self) -> usize {
        self.core.config().capacity
    }

    /// Whether a push would be accepted as far as watermarks and the close go.
    #[getter]
    fn is_accepting(&self) -> bool {
        self.core.is_accepting()
    }

    /// Whether it was closed.
    #[getter]
    fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// The `ManualClock` it was made with, or None.
    #[getter]
    fn clock(&self, py: Python<'_>) -> Option<Py<ManualClock>> {
        self.clock.as_ref().map(|clock| clock.clone_ref(py))
    }

    /// Counts since the queue was made.
    fn stats(&self) -> QueueStats {
        let core = self.core.stats();
        QueueStats {
            depth: core.depth,
            accepting: core.accepting,
            pushed: core.pushed,
            popped: core.popped,
            rejected: core.rejected,
            dropped: core.dropped,
        }
    }

    fn __len__(&self) -> usize {
        self.core.depth()
    }

    fn __bool__(&self) -> bool {
        // Without this an empty queue would be falsy, and `if queue:` a trap.
        true
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let core = &slf.get().core;
        let class = slf.get_type().name()?;
        let accepting = if core.is_accepting() { "True" } else { "False" };
        Ok(format!("{class}({}, depth={}, accepting={accepting})", core.config().capacity, core.depth()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.on_drop)
    }
}

impl BoundedQueue {
    #[inline]
    fn pushed(&self, py: Python<'_>, answer: Result<Option<Py<PyAny>>, PushError<Py<PyAny>>>) -> PyResult<bool> {
        match answer {
            Ok(None) => Ok(true),
            Ok(Some(oldest)) => {
                if let Some(on_drop) = &self.on_drop {
                    call1(on_drop.bind(py), (oldest,))?;
                }
                Ok(true)
            }
            Err(refused) => match refused.kind {
                PushErrorKind::Full => Ok(false),
                PushErrorKind::Closed => Err(queue_closed(py)),
            },
        }
    }

    fn listen(&self, interest: Interest, callback: Py<PyAny>) -> Listener {
        Listener::new(self.core.listen(interest, &waker::waker(callback)))
    }
}

stats! {
    /// Counts since a queue was made.
    QueueStats {
        /// Items held now.
        depth: usize,
        /// Whether pushes are accepted now.
        accepting: bool,
        /// Items accepted.
        pushed: u64,
        /// Items popped or drained.
        popped: u64,
        /// Pushes refused.
        rejected: u64,
        /// Items dropped by `on_full="drop_oldest"`.
        dropped: u64,
    }
}
