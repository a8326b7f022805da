//! `CircuitBreaker`: acquire, call, report.

use super::changes;
use super::circuit::CircuitBreaker;
use super::classifier::{self, Filters};
use super::listeners::Listeners;
use super::permit::Permit;
use super::views::Event;
use crate::args::{self, seconds};
use crate::clock::ManualClock;
use crate::errors::{config, from_core};
use crate::python::Function;
use crate::scope::{Asked, Place};
use crate::stats::BreakerStats;
use pyo3::PyTraverseError;
use pyo3::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};
use std::sync::Arc;
use tidegate::breaker as core;
use tidegate::breaker::overdue::Overdue;

static DECORATE: Function = Function::new("tidegate._decorate", "decorate");
static EVENTS_ASYNC: Function = Function::new("tidegate._events", "events_async");
static ON_EVENT: Function = Function::new("tidegate._events", "on_event");
static CALL_ASYNC: Function = Function::new("tidegate._decorate", "call_async");

#[pymethods]
impl CircuitBreaker {
    #[new]
    #[classmethod]
    #[pyo3(signature = (
        name = None, *, count_overdue = None, failure_on = None, failure_result = None, slow = None, ignore = None,
        unreached = None, classifier = None, clock = None, scope = None, on_conflict = None, **settings
    ), text_signature = "(name='default', *, failure_rate_threshold=0.5, window_calls=20, window_duration=None, \
        min_calls=10, slow_call_duration=None, slow_call_rate_threshold=1, consecutive_failures=None, cooldown=30, \
        cooldown_backoff=1, max_cooldown=None, cooldown_jitter=0, probes=1, probe_timeout=60, \
        probe_failure_rate_threshold=None, probes_at_once=None, healthy_after=None, ramp=None, ramp_from=0.1, \
        count_overdue=False, failure_on=None, failure_result=None, slow=None, ignore=None, unreached=None, \
        classifier=None, clock=None, scope=None, \
        on_conflict='error')")]
    #[allow(clippy::too_many_arguments)]
    fn new(
        cls: &Bound<'_, PyType>,
        name: Option<&Bound<'_, PyAny>>,
        count_overdue: Option<&Bound<'_, PyAny>>,
        failure_on: Option<&Bound<'_, PyAny>>,
        failure_result: Option<&Bound<'_, PyAny>>,
        slow: Option<&Bound<'_, PyAny>>,
        ignore: Option<&Bound<'_, PyAny>>,
        unreached: Option<&Bound<'_, PyAny>>,
        classifier: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
        scope: Option<&Bound<'_, PyAny>>,
        on_conflict: Option<&Bound<'_, PyAny>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = cls.py();
        let mut cfg = tidegate::BreakerConfig::default();
        if let Some(settings) = settings {
            args::known(cls, Some(&changes::others(settings)?))?;
            cfg = changes::begin(settings, "CircuitBreaker()")?;
        }
        let count_overdue = changes::switch(py, count_overdue, cfg.slow_call_duration)?;
        let classifier =
            classifier::given(py, Filters { failure_on, failure_result, slow, ignore, unreached }, classifier)?;
        let asked = Asked::of(py, scope, name, on_conflict, clock)?;
        let (called, clock) = (asked.name.clone(), asked.clock());
        let (core, place) = Place::make(
            py,
            asked,
            |arena, name, on_conflict| core::CircuitBreaker::in_arena(arena, name, cfg.clone(), on_conflict),
            |clock| core::CircuitBreaker::with_clock(called.unwrap_or("default".into()), cfg.clone(), clock),
        )?;
        let overdue = Overdue::default();
        overdue.switch(count_overdue);
        Ok(Self { core: Arc::new(core), clock, classifier, place, listeners: Listeners::default(), overdue })
    }

    /// Asks for one call; raises `CircuitOpenError` when refused.
    #[inline]
    fn acquire(slf: &Bound<'_, Self>) -> PyResult<Permit> {
        let permit = slf.get().admit(slf.py())?;
        Ok(Permit::new(slf.clone().unbind(), permit))
    }

    /// Asks for one call by a draw of one's own, 0 <= draw <= 1: in a ramp it passes where the draw is below the
    /// chance. Otherwise the draw plays no part. Raises `CircuitOpenError` when refused.
    fn acquire_with(slf: &Bound<'_, Self>, draw: f64) -> PyResult<Permit> {
        if !(0.0..=1.0).contains(&draw) {
            return Err(config(slf.py(), format!("draw: {draw} is not within 0 to 1")));
        }
        let breaker = slf.get();
        let permit = breaker.granted(slf.py(), breaker.core.acquire_with(draw))?;
        Ok(Permit::new(slf.clone().unbind(), permit))
    }

    /// Asks for one call; None when refused.
    #[inline]
    fn try_acquire(slf: &Bound<'_, Self>) -> Option<Permit> {
        let breaker = slf.get();
        let timed = breaker.classifier().times();
        let answer = if timed { breaker.core.acquire_timed() } else { breaker.core.acquire() };
        let Ok(permit) = answer else {
            breaker.overdue.refused(&breaker.core);
            return None;
        };
        let permit = breaker.overdue.begin(&breaker.core, permit);
        Some(Permit::new(slf.clone().unbind(), permit))
    }

    /// As `acquire`, with a permit that knows how long ago that was: for a classifier that is not the breaker's.
    fn _acquire_timed(slf: &Bound<'_, Self>) -> PyResult<Permit> {
        let breaker = slf.get();
        let permit = breaker.granted(slf.py(), breaker.core.acquire_timed())?;
        Ok(Permit::new(slf.clone().unbind(), permit))
    }

    /// Awaits `func(*args, **kwargs)` under a permit; raises `CircuitOpenError` when refused.
    #[pyo3(signature = (func, /, *args, **kwargs))]
    fn call_async<'py>(
        slf: &Bound<'py, Self>,
        func: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        CALL_ASYNC.call(slf.py(), (slf, func, args, kwargs))
    }

    /// Decorates a function; an `async def` stays one. Raises TypeError for generators and what is no function.
    #[pyo3(signature = (func, /))]
    fn __call__<'py>(slf: &Bound<'py, Self>, func: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        DECORATE.call(slf.py(), (slf, func))
    }

    /// Its name, as errors show it.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::new(py, self.core.name())
    }

    /// Where its state lives: "process", "process:NAME" or "host:NAME".
    #[getter]
    fn scope(&self) -> String {
        self.place.scope()
    }

    /// "closed", "open", "half_open", "forced_open", "disabled" or "metrics_only".
    #[getter]
    fn state(&self) -> &'static str {
        self.core.state().name()
    }

    /// Seconds until a probe may be tried: 0 when calls pass, `math.inf` while forced open.
    #[getter]
    fn retry_after(&self) -> f64 {
        seconds(self.core.retry_after_ns())
    }

    /// The `ManualClock` it was made with, or None.
    #[getter]
    fn clock(&self, py: Python<'_>) -> Option<Py<ManualClock>> {
        self.clock.as_ref().map(|clock| clock.clone_ref(py))
    }

    /// The window and counters.
    fn stats(&self) -> BreakerStats {
        self.core.stats().into()
    }

    /// Transitions and probe outcomes from number `since` on, oldest first, as many as the ring still holds.
    #[pyo3(signature = (since = 0))]
    fn events(&self, since: u64) -> Vec<Event> {
        self.core.events_since(since).into_iter().map(Event::from).collect()
    }

    /// The events from now on, or from number `since` on, as an async iterator: `async for event in
    /// breaker.events_async()`. It keeps no breaker alive and ends with it, or by `aclose()`.
    ///
    /// A task that falls behind by more than the ring holds (64) misses the oldest: numbers tell.
    #[pyo3(signature = (since = None))]
    fn events_async<'py>(slf: &Bound<'py, Self>, since: Option<u64>) -> PyResult<Bound<'py, PyAny>> {
        EVENTS_ASYNC.call(slf.py(), (slf, since))
    }

    /// Tells `callback` of each event from now on, in the event loop, at most 50 ms after it; `logger` gets a line for
    /// each: a warning where it opens, info for other changes of state, debug for the rest. One timer of the loop
    /// serves all its breakers; no decision waits for it.
    ///
    /// Args:
    ///     callback: a function of the event, or an `async def`, called in the context of this call. What it raises is
    ///         logged and changes nothing.
    ///     kinds: one kind or several; None: all.
    ///     loop: an asyncio loop; None: the one that runs here. From any thread, and before it runs.
    ///     logger: a logging.Logger.
    ///
    /// Returns:
    ///     Subscription: `close()` ends it, and so does leaving its `with` block. It ends with the breaker or the loop.
    #[pyo3(signature = (callback = None, /, *, kinds = None, r#loop = None, logger = None))]
    fn on_event<'py>(
        slf: &Bound<'py, Self>,
        callback: Option<&Bound<'py, PyAny>>,
        kinds: Option<&Bound<'py, PyAny>>,
        r#loop: Option<&Bound<'py, PyAny>>,
        logger: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let known = PyTuple::new(slf.py(), core::EventKind::ALL.map(core::EventKind::name))?;
        ON_EVENT.call(slf.py(), (slf, callback, kinds, r#loop, logger, known))
    }

    /// Who hears of its events: a list that it owns.
    #[getter]
    fn _listeners<'py>(&self, py: Python<'py>) -> Bound<'py, PyList> {
        self.listeners.list(py)
    }

    /// Refuses every call until `reset`.
    fn force_open(&self) {
        self.core.force_open();
    }

    /// Lets every call pass and counts nothing, until `reset`.
    fn disable(&self) {
        self.core.disable();
    }

    /// Counts and never opens, until `reset`.
    fn metrics_only(&self) {
        self.core.metrics_only();
    }

    /// Closed, with an empty window and the first cooldown.
    fn reset(&self) {
        self.core.reset();
    }

    /// Changes settings for all who share the breaker, and leaves the others: `set_config(cooldown=5)`. None is what
    /// holds where a setting is left out. State, permits, probes that are out, the present cooldown and the calls in
    /// the window stay; the change judges nothing by itself. `count_overdue` is of this object alone.
    ///
    /// Raises ConfigError: a value outside what is allowed; a window of the other kind, or larger than what it has had
    /// room for since it was made. Nothing is changed then.
    #[pyo3(signature = (**changes), text_signature = "($self, **changes)")]
    fn set_config(slf: &Bound<'_, Self>, changes: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let Some(changes) = changes else { return Ok(()) };
        let (py, breaker) = (slf.py(), slf.get());
        let (asked, settings) = changes::without_switch(changes)?;
        let changes = changes::of(&settings, "set_config()")?;
        let core = &breaker.core;
        let mut wanted = core.config();
        changes::apply(&changes, &mut wanted);
        let on = asked.unwrap_or_else(|| breaker.overdue.is_on());
        let on = changes::needs_slow(py, on, wanted.slow_call_duration)?;
        let changed = py.detach(|| core.update_config(|config| changes::apply(&changes, config)));
        changed.map_err(|error| from_core(py, &error))?;
        breaker.overdue.switch(on);
        Ok(())
    }

    /// Its settings in force, by name, as `set_config` takes them; None is what holds where one is left out. Of the two
    /// windows the one that it has.
    #[getter]
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = changes::told(py, &self.core.config())?;
        all.set_item("count_overdue", self.overdue.is_on())?;
        Ok(all)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let core = &slf.get().core;
        Ok(format!("{}({:?}, state={:?})", slf.get_type().name()?, core.name(), core.state().name()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.listeners.traverse(&visit)?;
        visit.call(&self.classifier)
    }
}
