//! What a concurrency limiter counts.

use pyo3::prelude::*;
use tidegate::concurrency;

/// Counts since a concurrency limiter was made.
#[pyclass(frozen, eq, get_all, module = "tidegate")]
#[derive(Debug, PartialEq)]
pub(crate) struct ConcurrencyStats {
    /// The limit in force.
    limit: u32,
    /// Permits held now.
    in_use: u32,
    /// Calls admitted.
    admitted: u64,
    /// Calls that got no permit: refused, timed_out and cancelled together.
    denied: u64,
    /// Calls that a dry run admitted and would have denied.
    would_deny: u64,
    /// Permits taken back from processes that died.
    reclaimed: u64,
    /// Calls refused without a wait.
    refused: u64,
    /// Waits that ended at their timeout.
    timed_out: u64,
    /// Waits that were given up before: a task cancelled, Ctrl-C.
    cancelled: u64,
    /// Calls that wait now, in all processes of its scope.
    waiting: u64,
    /// Seconds of the longest wait so far, of those that have ended and of those who wait now.
    longest_wait: f64,
}

impl From<concurrency::ConcurrencyStats> for ConcurrencyStats {
    fn from(core: concurrency::ConcurrencyStats) -> Self {
        Self {
            limit: core.limit,
            in_use: core.in_use,
            admitted: core.admitted,
            denied: core.denied,
            would_deny: core.would_deny,
            reclaimed: core.reclaimed,
            refused: core.refused,
            timed_out: core.timed_out,
            cancelled: core.cancelled,
            waiting: core.waiting,
            longest_wait: core.longest_wait.as_secs_f64(),
        }
    }
}

#[pymethods]
impl ConcurrencyStats {
    fn __repr__(&self) -> String {
        let Self { limit, in_use, admitted, denied, would_deny, reclaimed, .. } = self;
        let Self { refused, timed_out, cancelled, waiting, longest_wait, .. } = self;
        format!(
            "ConcurrencyStats(limit={limit}, in_use={in_use}, admitted={admitted}, denied={denied}, \
             would_deny={would_deny}, reclaimed={reclaimed}, refused={refused}, timed_out={timed_out}, \
             cancelled={cancelled}, waiting={waiting}, longest_wait={longest_wait:?})"
        )
    }
}
