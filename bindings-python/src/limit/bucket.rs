//! `TokenBucket`: the parts that do not wait.

use super::decision::Decision;
use super::quota::{mode, quota, warm_up};
use crate::args::{self, Cost, finite, seconds, span};
use crate::clock::ManualClock;
use crate::errors::from_core;
use crate::python::Function;
use crate::refusal::refused;
use crate::scope::{Asked, Place};
use crate::stats::BucketStats;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate::limit::{self, BUCKET_SETTINGS, BucketConfig, Mode, Ticket};
use tidegate::refusal::Refusal;

static ACQUIRE: Function = Function::new("tidegate._waiting", "acquire");
static ACQUIRE_ASYNC: Function = Function::new("tidegate._waiting", "acquire_async");

/// A token bucket: starts full, refills at `rate`, holds at most `burst` tokens (GCRA, ITU-T I.371).
///
/// `TokenBucket("400/s", burst=800)`, `TokenBucket("5 per 15 minutes")` or `TokenBucket(400, per=1.0)`.
///
/// Args:
///     rate: a text such as `"100/minute"`, or how many tokens come back per `per`.
///     per: seconds (float or timedelta) for a rate given as a number; default 1.
///     burst: the most tokens that can be taken at once; default: the count in the rate, rounded up.
///     warm_up: seconds in which a new bucket grows from the fraction `warm_up_from` (default 0.1) of its rate and
///     burst to all. enabled: False admits everything and touches nothing; so does TIDEGATE_DISABLED=1 in the
///     environment. dry_run: decide, charge and count (`stats().would_deny`), and refuse nothing.
///     clock: a ManualClock for tests; default: the machine's monotonic clock, or that of the scope.
///     scope: where its state lives: "process" (private), "process:NAME", "host:NAME" (all processes of this machine),
///     a
///         HostScope or a ProcessScope; default: what TIDEGATE_SCOPE says, else private.
///     name: which object of that scope it is; the same name is the same bucket.
///     on_conflict: when it was last declared there with another rate or burst: "error", "keep" or "apply".
///
/// Raises:
///     ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type; ArenaError: the scope
///     cannot be used, or holds another object of that name.
///
/// All methods may be called from any thread and any event loop at the same time; none but `acquire` blocks.
/// After `os.fork` the child has an independent copy of a private bucket, and shares one that has a scope.
#[pyclass(frozen, subclass, weakref, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct TokenBucket {
    /// `try_acquire` is in `fastcall/bucket.rs`.
    pub(crate) core: Arc<tidegate::TokenBucket>,
    pub(crate) clock: Option<Py<ManualClock>>,
    pub(crate) place: Place,
}

#[pymethods]
impl TokenBucket {
    #[new]
    #[classmethod]
    #[pyo3(signature = (rate, per = None, burst = None, *, warm_up = None, warm_up_from = None, enabled = None,
                        dry_run = None, clock = None, scope = None, name = None, on_conflict = None, **unknown),
           text_signature = "(rate, per=None, burst=None, *, warm_up=None, warm_up_from=None, enabled=None, \
dry_run=False, clock=None, scope=None, name=None, on_conflict='error')")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn new(
        cls: &Bound<'_, PyType>,
        rate: &Bound<'_, PyAny>,
        per: Option<&Bound<'_, PyAny>>,
        burst: Option<&Bound<'_, PyAny>>,
        warm_up: Option<&Bound<'_, PyAny>>,
        warm_up_from: Option<&Bound<'_, PyAny>>,
        enabled: Option<&Bound<'_, PyAny>>,
        dry_run: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
        scope: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
        on_conflict: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        args::known(cls, unknown)?;
        let py = rate.py();
        let quota = quota(&BUCKET_SETTINGS, rate, per, burst)?;
        let warm_up = self::warm_up(py, warm_up, warm_up_from)?;
        let options = BucketConfig { mode: mode(enabled, dry_run)?, warm_up, ..BucketConfig::default() };
        let asked = Asked::of(py, scope, name, on_conflict, clock)?;
        let clock = asked.clock();
        let (core, place) = Place::make(
            py,
            asked,
            |arena, name, on_conflict| tidegate::TokenBucket::in_arena(arena, name, quota, options, on_conflict),
            |clock| tidegate::TokenBucket::with_options(quota, options, clock),
        )?;
        Ok(Self { core: Arc::new(core), clock, place })
    }

    /// Takes `n` tokens, or nothing, and tells what is left.
    #[pyo3(signature = (n = Cost(1)), text_signature = "($self, n=1)")]
    #[inline]
    fn check(&self, n: Cost) -> Decision {
        self.core.check(n.0).into()
    }

    /// What `check(1)` would answer; takes nothing, so `remaining` is what is there now.
    fn peek(&self) -> Decision {
        self.core.peek().into()
    }

    /// Books `n` tokens ahead if the wait is at most `max_wait` seconds (None: as long as it takes).
    #[pyo3(signature = (n = Cost(1), max_wait = None), text_signature = "($self, n=1, max_wait=None)")]
    fn reserve(slf: &Bound<'_, Self>, n: Cost, max_wait: Option<&Bound<'_, PyAny>>) -> PyResult<Reservation> {
        let max_wait = max_wait.map_or(Ok(None), |wait| span("max_wait", wait))?;
        Ok(match slf.get().core.reserve(n.0, max_wait) {
            limit::Reservation::Booked { wait_ns, ticket } => Reservation {
                bucket: slf.clone().unbind(),
                ticket: Some(ticket),
                cancelled: AtomicBool::new(false),
                wait: seconds(wait_ns),
                retry_after: 0.0,
            },
            limit::Reservation::Denied { retry_after_ns } => {
                let retry_after = seconds(retry_after_ns);
                Reservation {
                    bucket: slf.clone().unbind(),
                    ticket: None,
                    cancelled: AtomicBool::new(false),
                    wait: retry_after,
                    retry_after,
                }
            }
        })
    }

    /// Takes `n` tokens, blocking this thread until they are there. Ctrl-C gives the booking back.
    ///
    /// A bucket knows the wait beforehand: when it would exceed `timeout` seconds this raises RateLimitedError at once
    /// and takes nothing (`retry_after` is the wait, `math.inf` when `n` exceeds the burst).
    #[pyo3(signature = (n = None, timeout = None), text_signature = "($self, n=1, timeout=None)")]
    fn acquire<'py>(
        slf: &Bound<'py, Self>,
        n: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ACQUIRE.call(slf.py(), (slf, n, timeout))
    }

    /// Takes `n` tokens, suspending this task until they are there; cancelling it gives the booking back.
    ///
    /// Raises RateLimitedError at once when the wait would exceed `timeout` seconds, as `acquire` does.
    #[pyo3(signature = (n = None, timeout = None), text_signature = "($self, n=1, timeout=None)")]
    fn acquire_async<'py>(
        slf: &Bound<'py, Self>,
        n: Option<Bound<'py, PyAny>>,
        timeout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ACQUIRE_ASYNC.call(slf.py(), (slf, n, timeout))
    }

    /// What RateLimitedError says of `n` tokens that were refused.
    #[pyo3(signature = (n, retry_after, timeout, name = None))]
    fn _refused(&self, n: u32, retry_after: f64, timeout: Option<f64>, name: Option<&str>) -> String {
        refused(Refusal::of_bucket(self.core.quota(), n).named(name.or(self.name())), retry_after, timeout)
    }

    /// Gives `n` tokens back, never above full; does not shorten a penalty.
    #[pyo3(signature = (n = Cost(1)), text_signature = "($self, n=1)")]
    fn refund(&self, n: Cost) {
        self.core.refund(n.0);
    }

    /// Admits nothing for `wait` seconds, then refills from empty.
    fn penalize(&self, wait: &Bound<'_, PyAny>) -> PyResult<()> {
        self.core.penalize(finite("wait", wait)?);
        Ok(())
    }

    /// Full again: ends a penalty and voids reservations.
    fn reset(&self) {
        self.core.reset();
    }

    /// Changes the rate and burst; the level is kept, rounded towards fewer tokens and clipped to the new burst.
    #[pyo3(signature = (rate, per = None, burst = None))]
    fn set_quota(
        &self,
        rate: &Bound<'_, PyAny>,
        per: Option<&Bound<'_, PyAny>>,
        burst: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.core.set_quota(quota(&BUCKET_SETTINGS, rate, per, burst)?).map_err(|error| from_core(rate.py(), &error))
    }

    /// Counts since the bucket was made.
    fn stats(&self) -> BucketStats {
        self.core.stats().into()
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

    /// The most tokens that can be taken at once.
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

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let core = &slf.get().core;
        let (quota, stats, remaining) = (core.quota(), core.stats(), core.peek().remaining);
        let (class, per) = (slf.get_type().name()?, seconds(quota.period().as_nanos() as u64));
        let place = slf.get().place.shown();
        Ok(format!(
            "{class}({}, per={per:?}, burst={}{place}, remaining={remaining}, admitted={}, denied={})",
            quota.count(),
            quota.burst(),
            stats.admitted,
            stats.denied
        ))
    }
}

/// Tokens booked ahead, or the refusal to book them: `bool(reservation)` tells which.
#[pyclass(frozen, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct Reservation {
    bucket: Py<TokenBucket>,
    ticket: Option<Ticket>,
    /// The core's tickets are values and cannot tell a second cancel from the first: this object can.
    cancelled: AtomicBool,
    /// Seconds until the tokens are there; when refused, the wait that it would have taken.
    #[pyo3(get)]
    wait: f64,
    /// 0 when booked, else the wait that was too long (`math.inf` when the cost exceeds the burst).
    #[pyo3(get)]
    retry_after: f64,
}

#[pymethods]
impl Reservation {
    /// The booking as two opaque ints, None when refused.
    #[getter]
    fn ticket(&self) -> Option<(u64, u64)> {
        self.ticket.map(|ticket| (ticket.word, ticket.booking))
    }

    /// Gives the booking back: nothing once its time has come, else `n` less what was booked behind it and is still out
    /// (those were told their times). So the last booking comes back whole, then the one before it. Of the latest 256
    /// that had to wait.
    /// Returns whether anything came back; a second call does nothing.
    fn cancel(&self) -> bool {
        let Some(ticket) = self.ticket else { return false };
        // Relaxed: only who is first matters, and the swap decides that; no other memory hangs on the flag.
        !self.cancelled.swap(true, Ordering::Relaxed) && self.bucket.get().core.cancel(ticket)
    }

    fn __bool__(&self) -> bool {
        self.ticket.is_some()
    }

    fn __repr__(&self) -> String {
        let booked = if self.ticket.is_some() { "True" } else { "False" };
        format!("Reservation(booked={booked}, wait={:?}, retry_after={:?})", self.wait, self.retry_after)
    }
}
