//! What a concurrency limiter counts.

use pyo3::prelude::*;
use tidegate::pressure;

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
    /// Calls denied; one that waited in vain counts once.
    denied: u64,
    /// Calls that a dry run admitted and would have denied.
    would_deny: u64,
    /// Permits taken back from processes that died.
    reclaimed: u64,
}

impl From<pressure::ConcurrencyStats> for ConcurrencyStats {
    fn from(core: pressure::ConcurrencyStats) -> Self {
        Self {
            limit: core.limit,
            in_use: core.in_use,
            admitted: core.admitted,
            denied: core.denied,
            would_deny: core.would_deny,
            reclaimed: core.reclaimed,
        }
    }
}

#[pymethods]
impl ConcurrencyStats {
    fn __repr__(&self) -> String {
        let Self { limit, in_use, admitted, denied, would_deny, reclaimed } = self;
        format!(
            "ConcurrencyStats(limit={limit}, in_use={in_use}, admitted={admitted}, denied={denied}, \
             would_deny={would_deny}, reclaimed={reclaimed})"
        )
    }
}
