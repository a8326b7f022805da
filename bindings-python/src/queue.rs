//! `BoundedQueue`: the parts that do not wait, and the registration on which the waiting forms are built.

use crate::args::{self, choice, flag, object, real, seconds, span, span_of, told, whole};
use crate::clock::{self, ManualClock};
use crate::errors::{from_core, queue_closed, wrong_type};
use crate::python::{Function, call1};
use crate::stats::QueueStats;
use crate::waker::{self, Listener};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Arc;
use std::time::Duration;
use tidegate::QueueConfig;
use tidegate::http::Outflow;
use tidegate::queue::{
    self, DropReason, Interest, Place, PopError, PushError, PushErrorKind, PushOptions, SETTINGS, Taken,
};
use tidegate::refusal::Refusal;

static PUSH: Function = Function::new("tidegate._waiting", "push");
static POP: Function = Function::new("tidegate._waiting", "pop");
static PUSH_ASYNC: Function = Function::new("tidegate._waiting", "push_async");
static POP_ASYNC: Function = Function::new("tidegate._waiting", "pop_async");
static ITERATE: Function = Function::new("tidegate._waiting", "iterate");
static IS_ASYNC: Function = Function::new("tidegate._functions", "is_async");

/// A bounded queue with watermarks, lanes and disciplines, usable from threads and from several event loops at once.
///
/// Args:
///     capacity: the most items held, 1 to 2**24.
///     high_watermark, low_watermark: at high x capacity pushes start to be refused, below low x capacity they are
///         accepted again; high = 1.0 turns watermarks off.
///     on_full: "reject" the new item, or "drop_oldest" (watermarks then only steer `is_accepting`).
///     on_drop: called with each dropped item and the reason, "oldest", "age", "codel", "deadline" or "closed", in the
///         thread whose push or pop finds it. What it raises is a push's to raise; of a pop it goes to
///         `sys.unraisablehook`, and the pop goes on.
///     discipline: "fifo"; "codel": once nobody of an `interval` waited less than `target`, whoever waited longer than
///         twice that is dropped; "adaptive_lifo": that, and the newest first meanwhile.
///     lanes: 1 to 8; a push's `lane` 0 goes first, but one pop of 20 is of the others in turn.
///     max_age: seconds; what waited longer is dropped when it comes to the front.
///     sojourn: stamp items, so that `try_pop_timed` tells how long they waited.
///     retry_after: seconds to tell refused producers (QueueFullError, Retry-After); by default how long what is held
///         takes at the rate of the last ten seconds, 1 to 60 and up to a fifth more, and 1 where that is not known
///         yet.
///     clock: a ManualClock for tests of sojourn times; waiting uses the machine's time.
///
/// What was accepted is never lost: a push that races `close` is either refused or comes out of `drain`, and a
/// cancelled `pop_async` takes nothing with it. Items are not visible to the cycle collector: `drain` a queue that you
/// abandon with items that refer back to it.
#[pyclass(frozen, subclass, weakref, generic, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct BoundedQueue {
    pub(crate) core: Arc<queue::BoundedQueue<Py<PyAny>>>,
    clock: Option<Py<ManualClock>>,
    on_drop: Option<Py<PyAny>>,
    /// Seconds to tell a refused producer; none: by the rate.
    retry_after: Option<f64>,
    outflow: Outflow,
}

#[pymethods]
impl BoundedQueue {
    #[new]
    #[classmethod]
    #[pyo3(signature = (
        capacity, *, high_watermark = None, low_watermark = None, on_full = None, on_drop = None, sojourn = None,
        discipline = None, target = None, interval = None, lanes = None, max_age = None, retry_after = None,
        clock = None, **unknown
    ), text_signature = "(capacity, *, high_watermark=0.8, low_watermark=0.5, on_full='reject', on_drop=None, \
        sojourn=False, discipline='fifo', target=0.005, interval=0.1, lanes=1, max_age=None, retry_after=None, \
        clock=None)")]
    #[allow(clippy::too_many_arguments)]
    fn new(
        cls: &Bound<'_, PyType>,
        capacity: &Bound<'_, PyAny>,
        high_watermark: Option<&Bound<'_, PyAny>>,
        low_watermark: Option<&Bound<'_, PyAny>>,
        on_full: Option<&Bound<'_, PyAny>>,
        on_drop: Option<&Bound<'_, PyAny>>,
        sojourn: Option<&Bound<'_, PyAny>>,
        discipline: Option<&Bound<'_, PyAny>>,
        target: Option<&Bound<'_, PyAny>>,
        interval: Option<&Bound<'_, PyAny>>,
        lanes: Option<&Bound<'_, PyAny>>,
        max_age: Option<&Bound<'_, PyAny>>,
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
        if let Some(discipline) = discipline {
            cfg.discipline = choice(field("discipline"), discipline)?;
        }
        if let Some(target) = target {
            cfg.target = span_of(field("target"), target)?;
        }
        if let Some(interval) = interval {
            cfg.interval = span_of(field("interval"), interval)?;
        }
        if let Some(lanes) = lanes {
            cfg.lanes = whole(field("lanes"), lanes)? as usize;
        }
        cfg.max_age = max_age.map(|age| span_of(field("max_age"), age)).transpose()?;
        let clock = clock.map(|clock| object("clock", "a ManualClock", clock)).transpose()?;
        if let Some(on_drop) = on_drop {
            if !on_drop.is_callable() {
                return Err(wrong_type("on_drop", "a function of the dropped item and the reason", on_drop));
            }
            // Neither a push nor a pop would await it.
            if IS_ASYNC.call(py, (on_drop,))?.is_truthy()? {
                return Err(wrong_type("on_drop", "a function that is not async", on_drop));
            }
        }
        let retry_after = told(retry_after)?;
        let core = queue::BoundedQueue::with_clock(cfg, clock::source(clock)).map_err(|error| from_core(py, &error))?;
        Ok(Self {
            core: Arc::new(core),
            clock: clock.map(|clock| clock.clone().unbind()),
            on_drop: on_drop.map(|on_drop| on_drop.clone().unbind()),
            retry_after,
            outflow: Outflow::new(),
        })
    }

    /// Puts `item` in: True, or False when full. Raises `QueueClosedError` when closed.
    ///
    /// Args:
    ///     lane: 0, the most urgent, to `lanes` - 1.
    ///     deadline: seconds, or a `Deadline`; when it comes to the front later, it is dropped.
    #[pyo3(signature = (item, *, lane = None, deadline = None),
        text_signature = "($self, item, *, lane=0, deadline=None)")]
    #[inline]
    fn try_push(
        &self,
        item: &Bound<'_, PyAny>,
        lane: Option<&Bound<'_, PyAny>>,
        deadline: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        if lane.is_none() && deadline.is_none() {
            return self.pushed(item.py(), self.core.try_push(item.clone().unbind()));
        }
        let place = self.place(lane, deadline)?;
        self.pushed(item.py(), self.core.try_push_in(item.clone().unbind(), place))
    }

    /// Lane and deadline of a push that may look more than once.
    fn _place(&self, lane: Option<&Bound<'_, PyAny>>, deadline: Option<&Bound<'_, PyAny>>) -> PyResult<(usize, u64)> {
        self.place(lane, deadline).map(|place| (place.lane, place.due))
    }

    /// `try_push` of a push that waits, and so looks again: a full queue is not counted as a rejection.
    fn _look_push(&self, item: &Bound<'_, PyAny>, place: (usize, u64)) -> PyResult<bool> {
        let place = Place { lane: place.0, due: place.1 };
        self.pushed(item.py(), self.core.look_push(item.clone().unbind(), place))
    }

    /// The last look of a push that waited.
    fn _last_push(&self, item: &Bound<'_, PyAny>, place: (usize, u64)) -> PyResult<bool> {
        let place = Place { lane: place.0, due: place.1 };
        self.pushed(item.py(), self.core.try_push_in(item.clone().unbind(), place))
    }

    /// Takes the next item, or `default` when empty. Raises `QueueClosedError` when closed and empty.
    #[pyo3(signature = (default = None))]
    #[inline]
    fn try_pop(&self, default: Option<Py<PyAny>>, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.popped(py) {
            Ok((item, _)) => Ok(Some(item)),
            Err(PopError::Empty) => Ok(default),
            Err(PopError::Closed) => Err(queue_closed(py)),
        }
    }

    /// Takes the next item with the seconds it spent here (0 unless `sojourn=True`), or None when empty.
    fn try_pop_timed(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>, f64)>> {
        match self.popped(py) {
            Ok((item, ns)) => Ok(Some((item, seconds(ns)))),
            Err(PopError::Empty) => Ok(None),
            Err(PopError::Closed) => Err(queue_closed(py)),
        }
    }

    /// Puts `item` in, blocking this thread for room. Raises QueueFullError at the timeout, QueueClosedError. `lane`
    /// and `deadline` as in `try_push`; a deadline counts from the call.
    #[pyo3(signature = (item, timeout = None, *, lane = None, deadline = None),
        text_signature = "($self, item, timeout=None, *, lane=0, deadline=None)")]
    fn push<'py>(
        slf: &Bound<'py, Self>,
        item: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
        lane: Option<&Bound<'py, PyAny>>,
        deadline: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let place = slf.get()._place(lane, deadline)?;
        PUSH.call(slf.py(), (slf, item, timeout, place))
    }

    /// Takes the next item, blocking this thread. Raises QueueEmptyError at the timeout, QueueClosedError.
    #[pyo3(signature = (timeout = None))]
    fn pop<'py>(slf: &Bound<'py, Self>, timeout: Option<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        POP.call(slf.py(), (slf, timeout))
    }

    /// Puts `item` in, suspending this task for room. A cancelled push has put nothing in. `lane` and `deadline` as in
    /// `try_push`; a deadline counts from the call.
    #[pyo3(signature = (item, timeout = None, *, lane = None, deadline = None),
        text_signature = "($self, item, timeout=None, *, lane=0, deadline=None)")]
    fn push_async<'py>(
        slf: &Bound<'py, Self>,
        item: &Bound<'py, PyAny>,
        timeout: Option<Bound<'py, PyAny>>,
        lane: Option<&Bound<'py, PyAny>>,
        deadline: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let place = slf.get()._place(lane, deadline)?;
        PUSH_ASYNC.call(slf.py(), (slf, item, timeout, place))
    }

    /// Takes the next item, suspending this task. A cancelled pop has taken nothing out.
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

    /// Closes, and takes out everything that was accepted, by lanes, oldest first, whatever its age.
    fn drain(&self) -> Vec<Py<PyAny>> {
        self.core.drain()
    }

    /// Closes, and drops everything that was accepted ("closed"); tells how many items.
    fn discard(&self, py: Python<'_>) -> usize {
        self.core.close();
        let mut count = 0;
        while let Some(item) = self.core.discard_next() {
            self.give_back(py, item, DropReason::Closed);
            count += 1;
        }
        count
    }

    /// Seconds to tell a refused producer.
    #[getter]
    fn retry_after(&self) -> f64 {
        self.retry_after.unwrap_or_else(|| {
            let stats = self.core.stats();
            let left = stats.popped + stats.dropped;
            self.outflow.retry_after(self.core.clock().now(), stats.depth as u64, left) as f64
        })
    }

    /// The part of the capacity that is in use, 0 to 1.
    #[getter]
    fn fill(&self) -> f64 {
        self.core.fill()
    }

    /// The seconds that everybody waits at least, as of the interval that ended last, in the lane where it is the
    /// longest; 0 while it is empty, None where it is not measured (discipline="fifo"), or not yet.
    #[getter]
    fn least_delay(&self) -> Option<f64> {
        self.core.least_delay().map(|least| least.as_secs_f64())
    }

    /// Whether that is overload.
    #[getter]
    fn is_overloaded(&self) -> bool {
        self.core.is_overloaded()
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
        self.core.stats().into()
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
                    call1(on_drop.bind(py), (oldest, DropReason::Oldest.name()))?;
                }
                Ok(true)
            }
            Err(refused) => match refused.kind {
                // Lanes are checked before.
                PushErrorKind::Full | PushErrorKind::NoLane => Ok(false),
                PushErrorKind::Closed => Err(queue_closed(py)),
            },
        }
    }

    /// The next item; what is dropped before it goes to its owner one at a time, while no item is on its way out.
    #[inline]
    fn popped(&self, py: Python<'_>) -> Result<(Py<PyAny>, u64), PopError> {
        loop {
            match self.core.take()? {
                Taken::Item(item, sojourn_ns) => return Ok((item, sojourn_ns)),
                Taken::Dropped(item, reason) => self.give_back(py, item, reason),
            }
        }
    }

    #[cold]
    fn give_back(&self, py: Python<'_>, item: Py<PyAny>, reason: DropReason) {
        if let Some(on_drop) = &self.on_drop {
            let on_drop = on_drop.bind(py);
            if let Err(error) = call1(on_drop, (item, reason.name())) {
                error.write_unraisable(py, Some(on_drop));
            }
        }
    }

    fn place(&self, lane: Option<&Bound<'_, PyAny>>, deadline: Option<&Bound<'_, PyAny>>) -> PyResult<Place> {
        let most = self.core.config().lanes as u64 - 1;
        let lane = lane.map_or(Ok(0), |lane| args::count("lane", lane, most))? as usize;
        let deadline = deadline.map(|given| self.deadline(given)).transpose()?.flatten();
        Ok(PushOptions { lane, deadline }.place(|| self.core.clock().now()))
    }

    /// Seconds from now, or what is left of a `Deadline`; `None`: no end.
    fn deadline(&self, given: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
        let name = PyString::intern(given.py(), "remaining");
        match given.getattr_opt(&name)? {
            Some(remaining) => span("deadline", &call1(&remaining, ())?),
            None => span("deadline", given),
        }
    }

    fn listen(&self, interest: Interest, callback: Py<PyAny>) -> Listener {
        Listener::new(self.core.listen(interest, &waker::waker(callback)))
    }
}
