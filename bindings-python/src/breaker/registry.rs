//! `BreakerRegistry`: a breaker for each key.

use super::changes;
use super::circuit::CircuitBreaker;
use super::classifier::{self, Classifier, Filters};
use super::listeners::Listeners;
use crate::args::{self, whole32};
use crate::clock::ManualClock;
use crate::errors::{from_core, wrong_type};
use crate::limit::key::Key;
use crate::scope::{Asked, Place};
use crate::stats::RegistryStats;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType, PyWeakrefMethods, PyWeakrefReference};
use pyo3::{PyTraverseError, PyVisit};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tidegate::breaker::overdue::Overdue;
use tidegate::breaker::registry as core;
use tidegate::{BreakerConfig, RegistryConfig, breaker};

/// Circuit breakers by key: one for each host, tenant or operation, at most `max_breakers` of them in memory that is
/// taken at construction:
///
///     hosts = BreakerRegistry(consecutive_failures=5, overrides={"*.internal": {"cooldown": 5}})
///     answer = hosts.get("api.example.com").call(fetch)
///
/// Full, the closed one whose last call is the oldest makes room; one in any other state never does. If none can,
/// newcomers share one more breaker, `overflow`, and for 10 ms nobody looks for room again.
///
/// Args:
///     max_breakers: how many keys can have a breaker, 1 to 65,536.
///     overrides: other settings for some keys: {"pattern": {"cooldown": 5, ...}}. In a pattern `*` is
///         anything; of those that mean a key the one that says most of it holds, of equals the first. What one leaves
///         out is as in the one that says most among those that mean all of its keys, or as for the others.
///     clock: a ManualClock for tests.
///     scope: where its breakers live: "process" (private), "process:NAME", "host:NAME" (all processes of this
///         machine), a HostScope or a ProcessScope; default: what TIDEGATE_SCOPE says, else private.
///     name: which object of that scope it is.
///     on_conflict: when it was last declared there with other settings: "error", "keep" or "apply".
///     All others: as for CircuitBreaker.
///
/// Raises:
///     ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type; ArenaError: the scope
///         cannot be used, or holds another object of that name.
///
/// All methods may be called from any thread and any event loop at the same time. What makes or removes a breaker waits
/// for others that do.
#[pyclass(frozen, subclass, weakref, mapping, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct BreakerRegistry {
    pub(crate) core: core::BreakerRegistry,
    clock: Option<Py<ManualClock>>,
    classifier: Py<Classifier>,
    pub(crate) place: Place,
    known: Known,
    /// `count_overdue`, of this object's own breakers.
    watched: Mutex<core::Choices>,
}

/// The objects that Python has of the core's handles, by their address: an object that is alive holds its handle, so
/// what stands for an address and is alive is of it.
#[derive(Debug, Default)]
struct Known {
    objects: Mutex<HashMap<usize, Py<PyWeakrefReference>>>,
    /// With so many the dead among them are looked for.
    tidy_at: AtomicUsize,
}

impl Known {
    /// Nothing of Python's runs under the lock: it might come back here.
    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Py<PyWeakrefReference>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self, py: Python<'_>, address: usize) -> Option<Py<PyWeakrefReference>> {
        self.lock().get(&address).map(|weak| weak.clone_ref(py))
    }

    /// Whether nothing else has come since it was `seen`.
    fn keep(&self, address: usize, seen: Option<&Py<PyWeakrefReference>>, new: Py<PyWeakrefReference>) -> bool {
        let mut known = self.lock();
        let is_as_seen = known.get(&address).map(Py::as_ptr) == seen.map(Py::as_ptr);
        let before = if is_as_seen { known.insert(address, new) } else { None };
        drop(known);
        drop(before);
        is_as_seen
    }

    /// Forgets the dead, once there are `least` and twice as many as were alive the last time: each object is looked at
    /// no more than once for each that is added.
    fn tidy(&self, py: Python<'_>, least: usize) {
        let known = self.lock();
        // Relaxed, both: whoever is late looks once more.
        if known.len() < least.max(self.tidy_at.load(Ordering::Relaxed)) {
            return;
        }
        let all: Vec<_> = known.iter().map(|(address, weak)| (*address, weak.clone_ref(py))).collect();
        drop(known);
        for (address, weak) in all {
            if weak.bind(py).upgrade().is_none() {
                let mut known = self.lock();
                let is_same = known.get(&address).is_some_and(|it| it.is(&weak));
                let before = if is_same { known.remove(&address) } else { None };
                drop(known);
                drop(before);
            }
        }
        self.tidy_at.store(2 * self.lock().len(), Ordering::Relaxed);
    }
}

impl BreakerRegistry {
    /// Nothing of Python's runs under the lock.
    fn watched(&self) -> MutexGuard<'_, core::Choices> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object of a breaker, if anybody has it.
    fn known<'py>(
        &self,
        py: Python<'py>,
        breaker: &Arc<breaker::CircuitBreaker>,
    ) -> Option<Bound<'py, CircuitBreaker>> {
        let seen = self.known.seen(py, Arc::as_ptr(breaker) as usize)?;
        seen.bind(py).upgrade()?.cast_into::<CircuitBreaker>().ok()
    }

    /// The one object of the breaker of `key`, as long as anybody has it.
    fn object<'py>(
        &self,
        py: Python<'py>,
        key: &[u8],
        breaker: Arc<breaker::CircuitBreaker>,
    ) -> PyResult<Bound<'py, CircuitBreaker>> {
        let address = Arc::as_ptr(&breaker) as usize;
        loop {
            let seen = self.known.seen(py, address);
            if let Some(found) = seen.as_ref().and_then(|weak| weak.bind(py).upgrade()) {
                return Ok(found.cast_into::<CircuitBreaker>()?);
            }
            self.known.tidy(py, 2 * (self.core.config().max_breakers as usize + 64));
            let clock = self.clock.as_ref().map(|clock| clock.clone_ref(py));
            let (classifier, place) = (self.classifier.clone_ref(py), self.place.clone());
            let (core, listeners, overdue) = (breaker.clone(), Listeners::default(), Overdue::default());
            overdue.switch(self.watched().of(key));
            let made = Bound::new(py, CircuitBreaker { core, clock, classifier, place, listeners, overdue })?;
            let weak = PyWeakrefReference::new(made.as_any())?.unbind();
            if self.known.keep(address, seen.as_ref(), weak) {
                return Ok(made);
            }
        }
    }
}

#[pymethods]
impl BreakerRegistry {
    #[new]
    #[classmethod]
    #[pyo3(signature = (
        max_breakers = None, *, overrides = None, count_overdue = None, failure_on = None, failure_result = None,
        slow = None, ignore = None, unreached = None, classifier = None, clock = None, scope = None, name = None,
        on_conflict = None, **settings
    ), text_signature = "(max_breakers=1024, *, failure_rate_threshold=0.5, window_calls=20, window_duration=None, \
        min_calls=10, slow_call_duration=None, slow_call_rate_threshold=1, consecutive_failures=None, cooldown=30, \
        cooldown_backoff=1, max_cooldown=None, cooldown_jitter=0, probes=1, probe_timeout=60, \
        probe_failure_rate_threshold=None, probes_at_once=None, healthy_after=None, ramp=None, ramp_from=0.1, \
        overrides=None, count_overdue=False, failure_on=None, failure_result=None, slow=None, ignore=None, \
        unreached=None, classifier=None, clock=None, scope=None, name=None, on_conflict='error')")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn new(
        cls: &Bound<'_, PyType>,
        max_breakers: Option<&Bound<'_, PyAny>>,
        overrides: Option<&Bound<'_, PyAny>>,
        count_overdue: Option<&Bound<'_, PyAny>>,
        failure_on: Option<&Bound<'_, PyAny>>,
        failure_result: Option<&Bound<'_, PyAny>>,
        slow: Option<&Bound<'_, PyAny>>,
        ignore: Option<&Bound<'_, PyAny>>,
        unreached: Option<&Bound<'_, PyAny>>,
        classifier: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
        scope: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
        on_conflict: Option<&Bound<'_, PyAny>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let py = cls.py();
        let mut config = RegistryConfig::default();
        if let Some(settings) = settings {
            args::known(cls, Some(&changes::others(settings)?))?;
            config.defaults = changes::begin(settings, "BreakerRegistry()")?;
        }
        if let Some(most) = max_breakers {
            config.max_breakers = whole32(core::SETTINGS.field("max_breakers"), most)?;
        }
        let of_all = changes::switch(py, count_overdue, config.defaults.slow_call_duration)?;
        let mut watched = core::Choices::of_all(of_all);
        if let Some(overrides) = overrides {
            declare(overrides, &mut config, &mut watched)?;
        }
        let filters = Filters { failure_on, failure_result, slow, ignore, unreached };
        let classifier = classifier::given(py, filters, classifier)?;
        let asked = Asked::of(py, scope, name, on_conflict, clock)?;
        let clock = asked.clock();
        let (core, place) = Place::make(
            py,
            asked,
            |arena, name, on_conflict| core::BreakerRegistry::in_arena(arena, name, config.clone(), on_conflict),
            |clock| core::BreakerRegistry::with_clock(config.clone(), clock),
        )?;
        Ok(Self { core, clock, classifier, place, known: Known::default(), watched: Mutex::new(watched) })
    }

    /// The breaker of `key`, a str or bytes, made where there is none; `overflow` where there is no room. The same
    /// object as long as anybody has it and the key its breaker: who listens to its events keeps it. It stands for its
    /// key: after its breaker has made room, its next call goes to the key's breaker of then, made anew where there is
    /// none.
    fn get<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, CircuitBreaker>> {
        let (py, key) = (key.py(), Key::of(key)?);
        let key = key.bytes();
        let breaker = match self.core.peek(key) {
            Some(breaker) => breaker,
            // Detached: to make one waits for others that do.
            None => py.detach(|| self.core.get(key)),
        };
        self.object(py, key, breaker)
    }

    /// The breaker of `key`, or None: never makes one.
    fn peek<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, CircuitBreaker>>> {
        let (py, key) = (key.py(), Key::of(key)?);
        let key = key.bytes();
        self.core.peek(key).map(|breaker| self.object(py, key, breaker)).transpose()
    }

    /// Takes a key's breaker away, whatever its state; returns whether there was one. Outcomes of its calls that are
    /// under way are dropped; objects of the key begin a new breaker with their next call.
    fn remove(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (py, key) = (key.py(), Key::of(key)?);
        let key = key.bytes();
        py.detach(|| self.core.remove(key)).map_err(|error| from_core(py, &error))
    }

    /// All keys that have a breaker, with it: [(key, breaker), ...]. What is no UTF-8 is bytes; of a key of more than
    /// 256 bytes its first 240 and a hash are known.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, CircuitBreaker>)>> {
        let of = |item: core::RegistryItem| {
            let key = match std::str::from_utf8(&item.key) {
                _ if !item.is_whole => item.breaker.name().into_pyobject(py)?.into_any(),
                Ok(text) => text.into_pyobject(py)?.into_any(),
                Err(_) => item.key.as_slice().into_pyobject(py)?.into_any(),
            };
            Ok((key, self.object(py, &item.key, item.breaker)?))
        };
        self.core.items().into_iter().map(of).collect()
    }

    /// The breaker that keys share for which there is no room.
    #[getter]
    fn overflow<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, CircuitBreaker>> {
        self.object(py, b"", self.core.overflow().clone())
    }

    /// How full it is.
    fn stats(&self) -> RegistryStats {
        self.core.stats().into()
    }

    /// Changes settings of the keys that a pattern means, whether they have a breaker or get one, and leaves the
    /// others: `set_config("*.internal", cooldown=5)`. Of several patterns the one that says most of a key holds; one
    /// that is new begins with the settings of the one that says most among those that mean all of its keys, or with
    /// those of all. "*" changes `overflow` as well. A breaker goes on as after `CircuitBreaker.set_config`, and what
    /// was changed of it alone stays. `count_overdue` is of this object's breakers alone.
    ///
    /// In a shared scope the change is for all processes, for breakers that stand and for those that any of them makes
    /// later; 16 patterns of up to 64 bytes can be changed there.
    ///
    /// Raises ConfigError: a value outside what is allowed, or for which breakers have no room. Nothing is changed
    /// then.
    #[pyo3(signature = (pattern, **changes), text_signature = "($self, pattern, **changes)")]
    fn set_config(&self, pattern: &Bound<'_, PyAny>, changes: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
        let py = pattern.py();
        let pattern = pattern_of("pattern", pattern)?;
        let (asked, settings) = match changes {
            Some(changes) => changes::without_switch(changes)?,
            None => (None, PyDict::new(py)),
        };
        let changes = changes::of(&settings, "set_config()")?;
        let core = &self.core;
        let mut wanted = py.detach(|| core.config_of(&pattern)).map_err(|error| from_core(py, &error))?;
        changes::apply(&changes, &mut wanted);
        let on = asked.unwrap_or_else(|| self.watched().of_pattern(&pattern));
        changes::needs_slow(py, on, wanted.slow_call_duration)?;
        let changed = py.detach(|| core.update_config(&pattern, |config| changes::apply(&changes, config)));
        changed.map_err(|error| from_core(py, &error))?;
        self.watched().set(&pattern, on);
        if asked.is_some() {
            self.switch(py, &pattern, on);
        }
        Ok(())
    }

    fn __len__(&self) -> usize {
        self.core.stats().breakers as usize
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.core.peek(Key::of(key)?.bytes()).is_some())
    }

    /// How many keys can have a breaker.
    #[getter]
    fn max_breakers(&self) -> u32 {
        self.core.config().max_breakers
    }

    /// The `ManualClock` it was made with, or None.
    #[getter]
    fn clock(&self, py: Python<'_>) -> Option<Py<ManualClock>> {
        self.clock.as_ref().map(|clock| clock.clone_ref(py))
    }

    /// Where its breakers live: "process", "process:NAME" or "host:NAME".
    #[getter]
    fn scope(&self) -> String {
        self.place.scope()
    }

    /// The name it was given, or None.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.place.name()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let (stats, place) = (this.core.stats(), this.place.shown());
        let class = slf.get_type().name()?;
        Ok(format!("{class}({}{place}, breakers={})", stats.max_breakers, stats.breakers))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.classifier)
    }
}

impl BreakerRegistry {
    /// Watches the calls of the objects that a pattern means, or does not.
    fn switch(&self, py: Python<'_>, pattern: &[u8], on: bool) {
        let config = self.core.config();
        let objects = self.core.items().into_iter().filter(|item| config.holds(&item.key, pattern));
        let shared = (pattern == b"*").then(|| self.core.overflow().clone());
        for breaker in objects.map(|item| item.breaker).chain(shared) {
            if let Some(object) = self.known(py, &breaker) {
                object.get().overdue.switch(on);
            }
        }
    }
}

/// The bytes of a pattern.
fn pattern_of(name: &str, pattern: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    match Key::of(pattern) {
        Ok(bytes) => Ok(bytes.bytes().to_vec()),
        Err(_) => Err(wrong_type(name, "a str or bytes", pattern)),
    }
}

/// `overrides=`, and which of them watch their calls.
fn declare(overrides: &Bound<'_, PyAny>, config: &mut RegistryConfig, watched: &mut core::Choices) -> PyResult<()> {
    let wanted = "a dict of patterns, each with a dict of settings";
    let all = overrides.cast::<PyDict>().map_err(|_| wrong_type("overrides", wanted, overrides))?;
    let mut patterns = Vec::new();
    for (pattern, settings) in all.iter() {
        let bytes = pattern_of("overrides", &pattern)?;
        let settings = settings.cast::<PyDict>().map_err(|_| wrong_type("overrides", wanted, &settings))?;
        let (asked, settings) = changes::without_switch(settings)?;
        let changes = changes::of(&settings, &format!("overrides: {}", pattern.repr()?))?;
        patterns.push((bytes, (changes, asked)));
    }
    let mut choices: Vec<_> = patterns.iter().map(|(pattern, (_, asked))| (pattern.clone(), *asked)).collect();
    let changed = |(pattern, (changes, _)): (Vec<u8>, (Vec<changes::Change>, _))| {
        (pattern, move |config: &mut BreakerConfig| changes::apply(&changes, config))
    };
    config.declare(patterns.into_iter().map(changed).collect());
    watched.declare(&mut choices);
    for (pattern, _) in choices {
        changes::needs_slow(
            overrides.py(),
            watched.of_pattern(&pattern),
            config.of_pattern(&pattern).slow_call_duration,
        )
        .map_err(|error| {
            let name = String::from_utf8_lossy(&pattern);
            crate::errors::config(overrides.py(), format!("overrides: for {name:?}: {}", error.value(overrides.py())))
        })?;
    }
    Ok(())
}
