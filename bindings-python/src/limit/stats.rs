//! What limits count.

use pyo3::prelude::*;
use tidegate::limit;

/// Counts since a bucket was made.
#[pyclass(frozen, eq, get_all, module = "tidegate")]
#[derive(Debug, PartialEq)]
pub(crate) struct BucketStats {
    /// Calls admitted.
    admitted: u64,
    /// Calls denied.
    denied: u64,
    /// Calls that a dry run admitted and would have denied.
    would_deny: u64,
}

impl From<limit::BucketStats> for BucketStats {
    fn from(core: limit::BucketStats) -> Self {
        Self { admitted: core.admitted, denied: core.denied, would_deny: core.would_deny }
    }
}

#[pymethods]
impl BucketStats {
    fn __repr__(&self) -> String {
        format!("BucketStats(admitted={}, denied={}, would_deny={})", self.admitted, self.denied, self.would_deny)
    }
}

/// Counts since a keyed limit was made.
#[pyclass(frozen, eq, get_all, module = "tidegate")]
#[derive(Debug, PartialEq)]
pub(crate) struct LimiterStats {
    /// Calls admitted.
    admitted: u64,
    /// Calls denied.
    denied: u64,
    /// Calls that a dry run admitted and would have denied.
    would_deny: u64,
    /// Idle keys that made room for others.
    evictions: u64,
    /// Calls decided by the shared sketch, because their key found no room.
    overflowed: u64,
    /// Keys blocked (`block=`).
    blocked: u64,
}

impl From<limit::LimiterStats> for LimiterStats {
    fn from(core: limit::LimiterStats) -> Self {
        Self {
            admitted: core.admitted,
            denied: core.denied,
            would_deny: core.would_deny,
            evictions: core.evictions,
            overflowed: core.overflowed,
            blocked: core.blocked,
        }
    }
}

#[pymethods]
impl LimiterStats {
    fn __repr__(&self) -> String {
        let Self { admitted, denied, would_deny, evictions, overflowed, blocked } = self;
        format!(
            "LimiterStats(admitted={admitted}, denied={denied}, would_deny={would_deny}, evictions={evictions}, \
             overflowed={overflowed}, blocked={blocked})"
        )
    }
}
