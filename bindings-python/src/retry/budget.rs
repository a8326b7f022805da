//! `RetryBudget`.

use crate::args::{self, real, seconds, span_of};
use crate::clock::ManualClock;
use crate::limit::quota::mode;
use crate::scope::{Asked, Place};
use crate::stats::RetryBudgetStats;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use tidegate::retry::BUDGET_SETTINGS;
use tidegate::{RetryBudgetConfig, retry};

/// Retries that the callers of one dependency can afford: each call pays in a fraction of one, time pays in a little,
/// each retry takes a whole one out. One budget for a dependency, shared by all that call it:
///
///     bank = RetryBudget(ratio=0.2, name="bank", scope="host:orders")
///     retry = RetryPolicy(attempts=3, budget=bank)
///
/// Over any span of t seconds, calls and retries being those within it,
///
///     retries <= max(1, min_per_second * ttl) + ratio * calls + min_per_second * t
///
/// under any interleaving of threads and processes; a clock that steps back mints nothing.
///
/// Args:
///     ratio: retries that each call pays in, 0 to 1.
///     min_per_second: retries that each second pays in, 0 to 10,000, for services with few calls.
///     ttl: at most what seconds pay in for so long (seconds or a timedelta) is saved up, and at least one retry.
///     clock: a ManualClock for tests.
///     scope: where its savings live: "process" (private), "process:NAME", "host:NAME" (all processes of this machine),
///         a HostScope or a ProcessScope; default: what TIDEGATE_SCOPE says, else private.
///     name: which object of that scope it is, that of the dependency; stands in errors.
///     on_conflict: when it was last declared there with other settings: "error", "keep" or "apply".
///     enabled: False affords every retry and counts nothing; so does TIDEGATE_DISABLED=1 in the environment.
///     dry_run: count (`stats().would_deny`) and refuse nothing.
///
/// Raises:
///     ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type; ArenaError: the scope
///         cannot be used, or holds another object of that name.
///
/// All methods may be called from any thread and any event loop at the same time; none blocks.
#[pyclass(frozen, subclass, weakref, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct RetryBudget {
    pub(crate) core: retry::RetryBudget,
    clock: Option<Py<ManualClock>>,
    pub(crate) place: Place,
}

#[pymethods]
impl RetryBudget {
    #[new]
    #[classmethod]
    #[pyo3(signature = (ratio = None, min_per_second = None, ttl = None, *, clock = None, scope = None, name = None,
                        on_conflict = None, enabled = None, dry_run = None, **unknown),
           text_signature = "(ratio=0.2, min_per_second=10, ttl=10, *, clock=None, scope=None, name=None, \
on_conflict='error', enabled=None, dry_run=False)")]
    #[allow(clippy::too_many_arguments)] // They are keywords to Python.
    fn new(
        cls: &Bound<'_, PyType>,
        ratio: Option<&Bound<'_, PyAny>>,
        min_per_second: Option<&Bound<'_, PyAny>>,
        ttl: Option<&Bound<'_, PyAny>>,
        clock: Option<&Bound<'_, PyAny>>,
        scope: Option<&Bound<'_, PyAny>>,
        name: Option<&Bound<'_, PyAny>>,
        on_conflict: Option<&Bound<'_, PyAny>>,
        enabled: Option<&Bound<'_, PyAny>>,
        dry_run: Option<&Bound<'_, PyAny>>,
        unknown: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        args::known(cls, unknown)?;
        let (py, field) = (cls.py(), |name| BUDGET_SETTINGS.field(name));
        let mut config = RetryBudgetConfig { mode: mode(enabled, dry_run)?, ..RetryBudgetConfig::default() };
        if let Some(ratio) = ratio {
            config.ratio = real(field("ratio"), ratio)?;
        }
        if let Some(rate) = min_per_second {
            config.min_per_second = real(field("min_per_second"), rate)?;
        }
        if let Some(ttl) = ttl {
            config.ttl = span_of(field("ttl"), ttl)?;
        }
        let asked = Asked::of(py, scope, name, on_conflict, clock)?;
        let clock = asked.clock();
        let (core, place) = Place::make(
            py,
            asked,
            |arena, name, on_conflict| retry::RetryBudget::in_arena(arena, name, config, on_conflict),
            |clock| retry::RetryBudget::with_clock(config, clock),
        )?;
        Ok(Self { core, clock, place })
    }

    /// A call is made: pays in its fraction of a retry. Once a call, whatever becomes of it.
    fn deposit(&self) {
        self.core.deposit();
    }

    /// Takes a whole retry out: True, or False and nothing is taken. When the retry is decided, before the wait for it.
    fn try_withdraw(&self) -> bool {
        self.core.try_withdraw()
    }

    /// Whole retries that could be withdrawn now.
    #[getter]
    fn balance(&self) -> u64 {
        self.core.balance()
    }

    /// Seconds until a retry could be withdrawn if no call paid in before; `math.inf` where seconds pay nothing in.
    #[getter]
    fn retry_after(&self) -> f64 {
        seconds(self.core.retry_after_ns())
    }

    /// The balance, and counts since the budget was made.
    fn stats(&self) -> RetryBudgetStats {
        self.core.stats().into()
    }

    /// The fraction of a retry that a call pays in.
    #[getter]
    fn ratio(&self) -> f64 {
        self.core.config().ratio
    }

    /// The clock it was given, or None.
    #[getter]
    fn clock(&self, py: Python<'_>) -> Option<Py<ManualClock>> {
        self.clock.as_ref().map(|clock| clock.clone_ref(py))
    }

    /// Where its savings live: "process", "process:NAME" or "host:NAME".
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
        let (class, this, config) = (slf.get_type().name()?, slf.get(), slf.get().core.config());
        let (rate, ttl) = (config.min_per_second, config.ttl.as_secs_f64());
        let (place, balance) = (this.place.shown(), this.balance());
        Ok(format!("{class}({}, min_per_second={rate}, ttl={ttl}{place}, balance={balance})", config.ratio))
    }
}
