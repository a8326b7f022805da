//! `RateLimiter`: the parts that do not wait. `try_acquire` and `check` are in `fastcall/keyed.rs`.

use super::block::Block;
use super::decision::Decision;
use super::key::Key;
use super::quota;
use crate::args::{self, Cost, choice, finite, flag, object, seconds, whole};
use crate::clock::ManualClock;
use crate::errors::{config, from_core};
use crate::python::Function;
use crate::refusal::refused;
use crate::scope::{Asked, Place};
use crate::stats::LimiterStats;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use std::sync::Arc;
use tidegate::limit::{self, LIMITER_SETTINGS, LimiterConfig, Mode};
use tidegate::refusal::Refusal;
use tidegate::{Algorithm, Quota};

static ACQUIRE: Function = Function::new("tidegate._waiting", "acquire_keyed");
static ACQUIRE_ASYNC: Function = Function::new("tidegate._waiting", "acquire_keyed_async");

/// A limit for each key (user, address, API key) in a table of fixed size.
///
/// `RateLimiter("100/min", burst=20)`, `RateLimiter("5/hour", algorithm="sliding_log")`,
/// `RateLimiter("10/s", algorithm="leaky_bucket", queue=50)`.
///
/// Args:
///     rate: a text such as `"100/minute"`, or how many tokens come back per `per`.
///     per: seconds (float or timedelta) for a rate given as a number; default 1.
///     burst: the most a key can take at once; default: the count in the rate. Windows have none.
///     max_keys: how many live keys have room of their own, 1 to 100 million; more share a sketch that may deny early
///         and never admits extra. Idle keys make room. The memory is fixed here: see `memory`.
///     algorithm: "token_bucket" (GCRA), "fixed_window", "sliding_window" (two weighted windows), "sliding_log" (exact,
///         up to 4,096 a key) or "leaky_bucket" (paces: an admission has a `delay`).
///     fastest: the fastest rate that `tier` or `set_quota` will ask for, as a rate or a `(rate, burst)`.
///     queue: of a leaky bucket, how many calls may wait; default: the count in the rate less one.
///     block: a `Block`, for keys that go on after being denied.
///     warm_up: seconds in which a new limiter grows from the fraction `warm_up_from` (default 0.1) of its limit to
///     all. enabled: False admits everything and touches nothing; so does TIDEGATE_DISABLED=1 in the environment.
///     dry_run: decide, charge and count (`stats().would_deny`), and refuse nothing.
///     huge_pages: ask the kernel for huge pages under the table; with millions of keys they save time.
///     clock: a ManualClock for tests; default: the machine's monotonic clock, or that of the scope.
///     scope: where its keys live: "process" (private), "process:NAME", "host:NAME" (all processes of this machine), a
///         HostScope or a ProcessScope; default: what TIDEGATE_SCOPE says, else private.
///     name: which object of that scope it is; the same name is the same keys and levels.
///     on_conflict: when it was last declared there with another rate or burst: "error", "keep" or "apply".
///
/// Keys are bytes or text, which means its UTF-8 (with U+FFFD for lone surrogates); of any length, the empty one too.
///
/// Raises:
///     ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type; ArenaError: the scope
///     cannot be
///         used, has no room for `max_keys`, or holds another object of that name.
///
/// All methods may be called from any thread and any event loop at the same time; none but `acquire` blocks.
/// After `os.fork` the child has an independent copy of a private limiter, and shares one that has a scope.
#[pyclass(frozen, subclass, weakref, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct RateLimiter {
    pub(crate) core: Arc<tidegate::RateLimiter>,
    pub(crate) clock: Option<Py<ManualClock>>,
    pub(crate) place: Place,
}

/// A quota made ready for one limiter by its `tier`; pass it to the calls of keys that have it.
#[pyclass(frozen, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct Tier {
    pub(crate) core: limit::Tier,
    /// A tier of another limiter would mean another rate there.
    pub(crate) limiter: Py<RateLimiter>,
    pub(crate) quota: Quota,
}

impl Tier {
    /// The core's tier, if it was made for `limiter`.
    pub(crate) fn of(&self, limiter: &Bound<'_, RateLimiter>) -> PyResult<&limit::Tier> {
        if self.limiter.is(limiter) {
            return Ok(&self.core);
        }
        Err(config(limiter.py(), "tier: made by another limiter; take the one that this limiter's tier() returns"))
    }
}

#[pymethods]
impl Tier {
    /// The limiter that it is a tier of.
    #[getter]
    fn limiter(&self, py: Python<'_>) -> Py<RateLimiter> {
        self.limiter.clone_ref(py)
    }

    /// Tokens that come back per `period`.
    #[getter]
    fn count(&self) -> u64 {
        self.quota.count()
    }

    /// Seconds in which `count` tokens come back.
    #[getter]
    fn period(&self) -> f64 {
        seconds(self.quota.period().as_nanos() as u64)
    }

    /// The most a key can take at once.
    #[getter]
    fn burst(&self) -> u32 {
        self.quota.burst()
    }

    fn __repr__(&self) -> String {
        format!("Tier({}, per={:?}, burst={})", self.quota.count(), self.period(), self.quota.burst())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.limiter)
    }
}

/// `fastest=`: a rate, or a rate and a burst.
fn fastest(algorithm: Algorithm, value: &Bound<'_, PyAny>) -> PyResult<Quota> {
    let named = |error: PyErr| {
        let text = format!("fastest: {}", error.value(value.py()));
        if error.is_instance_of::<PyTypeError>(value.py()) {
            PyTypeError::new_err(text)
        } else {
            config(value.py(), text)
        }
    };
    match value.cast::<PyTuple>() {
        Ok(pair) if pair.len() == 2 => {
            let (rate, burst) = (pair.get_item(0)?, pair.get_item(1)?);
            quota::quota(&LIMITER_SETTINGS, &rate, None, Some(&burst)).map_err(named)
        }
        _ => quota::keyed(algorithm, value, None, None, None).map_err(named),
    }
}

#[pymethods]
impl RateLimiter {
    /// Takes a key; what ASGI middleware tells keyed limits by.
    #[classattr]
    #[allow(non_upper_case_globals)]
    const keyed: bool = true;

    #[new]
    #[classmethod]
    #[pyo3(signature = (rate, per = None, burst = None, *, max_keys = None, algorithm = None, fastest = None,
                        queue = None, block = None, warm_up = None, warm_up_from = None, enabled = None, dry_run = None,
                        huge_pages = None, clock = None, scope = None, name = None, on_conflict = None, **unknown),
           text_signature = "(rate, per=None, burst=None, *, max_keys=100_000, algorithm='token_bucket', fastest=None, \
queue=None, block=None, warm_up=None, warm_up_from=None, enabled=None, dry_run=False, huge_pages=False, \
clock=None, scope=None, name=None, on_conflict='error')")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn new(
        cls: &Bound<'_, PyType>,
        rate: &Bound<'_, PyAny>,
        per: Option<&Bound<'_, PyAny>>,
        burst: Option<&Bound<'_, PyAny>>,
        max_keys: Option<&Bound<'_, PyAny>>,
        algorithm: Option<&Bound<'_, PyAny>>,
        fastest: Option<&Bound<'_, PyAny>>,
        queue: Option<&Bound<'_, PyAny>>,
        block: Option<&Bound<'_, PyAny>>,
        warm_up: Option<&Bound<'_, PyAny>>,
        warm_up_from: Option<&Bound<'_, PyAny>>,
        enabled: Option<&Bound<'_, PyAny>>,
        dry_run: Option<&Bound<'_, PyAny>>,
        huge_pages: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
        scope: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
        on_conflict: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        args::known(cls, unknown)?;
        let py = rate.py();
        let field = |name| LIMITER_SETTINGS.field(name);
        let algorithm =
            algorithm.map(|name| choice::<Algorithm>(field("algorithm"), name)).transpose()?.unwrap_or_default();
        let mut limiter = LimiterConfig::new(algorithm, quota::keyed(algorithm, rate, per, burst, queue)?);
        if let Some(max_keys) = max_keys {
            limiter.max_keys = whole(field("max_keys"), max_keys)? as usize;
        }
        limiter.fastest = fastest.map(|rate| self::fastest(algorithm, rate)).transpose()?;
        let block = block.map(|block| object::<Block>("block", "a Block", block)).transpose()?;
        limiter.block = block.map(|block| block.get().core);
        limiter.warm_up = quota::warm_up(py, warm_up, warm_up_from)?;
        limiter.mode = quota::mode(enabled, dry_run)?;
        limiter.huge_pages = flag("huge_pages", huge_pages)?.unwrap_or(limiter.huge_pages);
        let asked = Asked::of(py, scope, name, on_conflict, clock)?;
        let clock = asked.clock();
        let (made, place) = Place::make(
            py,
            asked,
            |arena, name, on_conflict| tidegate::RateLimiter::in_arena(arena, name, limiter, on_conflict),
            |clock| tidegate::RateLimiter::with_config(limiter, clock),
        )?;
        Ok(Self { core: Arc::new(made), clock, place })
    }

    /// What `check(key)` would answer; takes nothing, so `remaining` is what is there now.
    #[pyo3(signature = (key, tier = None))]
    fn peek(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>, tier: Option<&Bound<'_, Tier>>) -> PyResult<Decision> {
        let tier = tier.map(|tier| tier.get().of(slf)).transpose()?;
        Ok(slf.get().core.peek(Key::of(key)?.bytes(), tier).into())
    }

    /// Takes `n` of the key's tokens, blocking this thread until they are there; of a leaky bucket, until it is its
    /// turn.
    ///
    /// Raises RateLimitedError at once, with the wait as `retry_after`, when it would exceed `timeout` seconds; Ctrl-C
    /// leaves nothing taken. Who waits is not in a queue: a later call may be served first.
    #[pyo3(signature = (key, n = None, timeout = None, tier = None),
           text_signature = "($self, key, n=1, timeout=None, tier=None)")]
    fn acquire<'py>(
        slf: &Bound<'py, Self>,
        key: Bound<'py, PyAny>,
        n: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
        tier: Option<Bound<'py, Tier>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ACQUIRE.call(slf.py(), (slf, key, n, timeout, tier))
    }

    /// Takes `n` of the key's tokens, suspending this task until they are there; cancelling it leaves nothing taken.
    ///
    /// Raises RateLimitedError at once when the wait would exceed `timeout` seconds, as `acquire` does.
    #[pyo3(signature = (key, n = None, timeout = None, tier = None),
           text_signature = "($self, key, n=1, timeout=None, tier=None)")]
    fn acquire_async<'py>(
        slf: &Bound<'py, Self>,
        key: Bound<'py, PyAny>,
        n: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
        tier: Option<Bound<'py, Tier>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ACQUIRE_ASYNC.call(slf.py(), (slf, key, n, timeout, tier))
    }

    /// What RateLimitedError says of `n` tokens that were refused.
    #[pyo3(signature = (n, retry_after, timeout, tier = None, name = None))]
    fn _refused(
        &self,
        n: u32,
        retry_after: f64,
        timeout: Option<f64>,
        tier: Option<&Bound<'_, Tier>>,
        name: Option<&str>,
    ) -> String {
        let quota = tier.map_or_else(|| self.core.quota(), |tier| tier.get().quota);
        refused(Refusal::of_limiter(quota, n).named(name.or(self.name())), retry_after, timeout)
    }

    /// Gives `n` of the key's tokens back, never above full; does not shorten a penalty.
    #[pyo3(signature = (key, n = Cost(1), tier = None), text_signature = "($self, key, n=1, tier=None)")]
    fn refund(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>, n: Cost, tier: Option<&Bound<'_, Tier>>) -> PyResult<()> {
        let tier = tier.map(|tier| tier.get().of(slf)).transpose()?;
        slf.get().core.refund(Key::of(key)?.bytes(), n.0, tier);
        Ok(())
    }

    /// Admits nothing of the key for `wait` seconds (at most a year); a penalty in force is only lengthened. After it a
    /// token bucket refills from empty; the others start anew, and are held until what they counted before is over.
    /// False when there was no room to note it: a key in the shared sketch is not penalised, for others share its
    /// place.
    fn penalize(&self, key: &Bound<'_, PyAny>, wait: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.core.penalize(Key::of(key)?.bytes(), finite("wait", wait)?))
    }

    /// The key as new: ends a penalty and forgets its blocks.
    fn reset(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        self.core.reset(Key::of(key)?.bytes());
        Ok(())
    }

    /// All keys as new; counters stay. Takes time in proportion to `max_keys`.
    fn reset_all(&self, py: Python<'_>) {
        py.detach(|| self.core.reset_all());
    }

    /// Changes the rate of all keys that have no tier; each keeps the part that it has used.
    #[pyo3(signature = (rate, per = None, burst = None, *, queue = None))]
    fn set_quota(
        &self,
        rate: &Bound<'_, PyAny>,
        per: Option<&Bound<'_, PyAny>>,
        burst: Option<&Bound<'_, PyAny>>,
        queue: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let quota = quota::keyed(self.core.algorithm(), rate, per, burst, queue)?;
        self.core.set_quota(quota).map_err(|error| from_core(rate.py(), &error))
    }

    /// Another rate for some keys or calls (free, pro, internal): pass the Tier to their calls. Make it once and keep
    /// it.
    ///
    /// A key whose rate changes keeps the part that it has used. In any order, rates on one key admit at one moment at
    /// most the largest of their bursts, and over time at most that for each of the shortest of their times to refill.
    /// A limiter tells seven times to refill apart; a rate with an eighth gets a smaller burst.
    ///
    /// Raises ConfigError for a rate that is faster or larger than the table was made for (`fastest=`).
    #[pyo3(signature = (rate, per = None, burst = None, *, queue = None))]
    fn tier(
        slf: &Bound<'_, Self>,
        rate: &Bound<'_, PyAny>,
        per: Option<&Bound<'_, PyAny>>,
        burst: Option<&Bound<'_, PyAny>>,
        queue: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Tier> {
        let limiter = &slf.get().core;
        let quota = quota::keyed(limiter.algorithm(), rate, per, burst, queue)?;
        let core = limiter.tier(quota).map_err(|error| from_core(rate.py(), &error))?;
        // As it is held: an eighth time to fill has a smaller burst.
        Ok(Tier { core, limiter: slf.clone().unbind(), quota: core.quota() })
    }

    /// Counts `n` hits of the key whatever the limit, for stores that judge by themselves; fixed windows only. Returns
    /// the hits in the key's window (1,048,575: that many or more) and the seconds until it ends: 0 where the key has
    /// none, and `n` is 0.
    #[pyo3(signature = (key, n = Cost(1)), text_signature = "($self, key, n=1)")]
    fn hit(&self, key: &Bound<'_, PyAny>, n: Cost) -> PyResult<(u32, f64)> {
        let hits = self.core.hit(Key::of(key)?.bytes(), n.0).map_err(|error| from_core(key.py(), &error))?;
        Ok((hits.count, seconds(hits.reset_after_ns)))
    }

    /// The two counts behind a key's estimate, for stores that judge by themselves; sliding windows only: of the window
    /// before, of the present one, and the seconds that are left of that.
    fn windows(&self, key: &Bound<'_, PyAny>) -> PyResult<(u32, u32, f64)> {
        let seen = self.core.windows(Key::of(key)?.bytes()).map_err(|error| from_core(key.py(), &error))?;
        Ok((seen.previous, seen.current, seconds(seen.left_ns)))
    }

    /// Counts since the limiter was made.
    fn stats(&self) -> LimiterStats {
        self.core.stats().into()
    }

    /// Idle keys that made room for others since the limiter was made.
    #[getter]
    fn evictions(&self) -> u64 {
        self.core.stats().evictions
    }

    /// Calls that the shared sketch decided, because their key found no room.
    #[getter]
    fn overflowed(&self) -> u64 {
        self.core.stats().overflowed
    }

    /// Bytes of the table and all else that grows with `max_keys`.
    #[getter]
    fn memory(&self) -> usize {
        self.core.memory()
    }

    /// How many live keys it was made for: of so many, fewer than 0.04 % find no cell of their own.
    #[getter]
    fn max_keys(&self) -> usize {
        self.core.max_keys()
    }

    /// How it counts.
    #[getter]
    fn algorithm(&self) -> &'static str {
        self.core.algorithm().name()
    }

    /// Tokens that come back per `period`.
    #[getter]
    fn count(&self) -> u64 {
        self.core.quota().count()
    }

    /// Seconds in which `count` tokens come back.
    #[getter]
    fn period(&self) -> f64 {
        seconds(self.core.quota().period().as_nanos() as u64)
    }

    /// Whether it refuses what is too much: it is neither switched off nor a dry run.
    #[getter]
    fn _refuses(&self) -> bool {
        self.core.mode() == Mode::Enforce
    }

    /// The most a key can take at once: the burst, or the limit of a window.
    #[getter]
    fn burst(&self) -> u32 {
        self.core.quota().burst()
    }

    /// The `ManualClock` it was made with, or None.
    #[getter]
    fn clock(&self, py: Python<'_>) -> Option<Py<ManualClock>> {
        self.clock.as_ref().map(|clock| clock.clone_ref(py))
    }

    /// Where its state lives: "process", "process:NAME" or "host:NAME".
    #[getter]
    fn scope(&self) -> String {
        self.place.scope()
    }

    /// The name it was given, or None.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.place.name()
    }

    /// Keys that are live (not idle) now and have a cell of their own; those in the sketch do not count. May exceed
    /// `max_keys`: the table has nearly four cells for each of these, because keys do not spread evenly, and turns
    /// nobody away who finds one free.
    /// Takes time in proportion to `max_keys`.
    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.core.len())
    }

    /// A limiter without live keys is no false one.
    fn __bool__(&self) -> bool {
        true
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let core = &slf.get().core;
        let (class, quota, stats) = (slf.get_type().name()?, core.quota(), core.stats());
        Ok(format!(
            "{class}({}, per={:?}, burst={}, max_keys={}, algorithm={:?}{}, admitted={}, denied={})",
            quota.count(),
            seconds(quota.period().as_nanos() as u64),
            quota.burst(),
            core.max_keys(),
            core.algorithm().name(),
            slf.get().place.shown(),
            stats.admitted,
            stats.denied
        ))
    }
}
