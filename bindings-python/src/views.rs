//! What a breaker shows of itself: state, statistics, events.

use crate::args::seconds;
use pyo3::prelude::*;
use tidegate::breaker as core;

/// A look at a breaker.
#[pyclass(frozen, eq, get_all, module = "tidegate")]
#[derive(Debug, PartialEq)]
pub(crate) struct BreakerStats {
    /// As `CircuitBreaker.state`.
    state: &'static str,
    /// Calls in the window.
    calls: u32,
    /// Failed calls in the window.
    failed: u32,
    /// Slow calls in the window.
    slow: u32,
    /// `failed / calls`, 0 without calls.
    failure_rate: f64,
    /// `slow / calls`, 0 without calls.
    slow_call_rate: f64,
    /// Calls refused since the breaker was made.
    rejected: u64,
    /// How often it opened since it was made.
    opened: u64,
    /// Seconds until a probe may be tried; 0 when not open.
    retry_after: f64,
}

#[pymethods]
impl BreakerStats {
    fn __repr__(&self) -> String {
        format!(
            "BreakerStats(state={:?}, calls={}, failed={}, slow={}, failure_rate={:?}, slow_call_rate={:?}, \
             rejected={}, opened={}, retry_after={:?})",
            self.state,
            self.calls,
            self.failed,
            self.slow,
            self.failure_rate,
            self.slow_call_rate,
            self.rejected,
            self.opened,
            self.retry_after
        )
    }
}

/// One entry of a breaker's event ring.
#[pyclass(frozen, eq, get_all, module = "tidegate")]
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    /// Running number from 0; a gap means that entries were overwritten before they were read.
    seq: u64,
    /// "closed", "opened", "half_opened", "forced_open", "disabled", "metrics_only", "probe_succeeded", "probe_failed"
    /// or "probe_lost".
    kind: &'static str,
    /// Seconds on the breaker's clock.
    at: f64,
}

#[pymethods]
impl Event {
    fn __repr__(&self) -> String {
        format!("Event(seq={}, kind={:?}, at={:?})", self.seq, self.kind, self.at)
    }
}

impl From<core::BreakerStats> for BreakerStats {
    fn from(core: core::BreakerStats) -> Self {
        Self {
            state: core.state.name(),
            calls: core.calls,
            failed: core.failed,
            slow: core.slow,
            failure_rate: core.failure_rate,
            slow_call_rate: core.slow_call_rate,
            rejected: core.rejected,
            opened: core.opened,
            retry_after: seconds(core.retry_after_ns),
        }
    }
}

impl From<core::Event> for Event {
    fn from(core: core::Event) -> Self {
        Self { seq: core.seq, kind: core.kind.name(), at: seconds(core.at_ns) }
    }
}
