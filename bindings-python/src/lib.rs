//! The extension module behind the Python package `tidegate`: thin classes over the core.
//!
//! Every class is frozen and `Sync`, so nothing here leans on the GIL. Calls that do not wait stay attached to the
//! interpreter (detaching costs more than the work); those that wait do so in Python, on `threading.Lock` and asyncio.

mod args;
mod breaker;
mod clock;
mod command;
mod concurrency;
mod errors;
mod fastcall;
mod gate;
mod http;
mod limit;
mod metrics;
mod policy;
mod python;
mod queue;
mod refusal;
mod retry;
mod scope;
mod shed;
mod stats;
mod waker;

use pyo3::prelude::*;

/// The compiled part of tidegate; import `tidegate` instead.
#[pymodule(gil_used = false)]
mod _tidegate {
    #[pymodule_export]
    use crate::breaker::CircuitBreaker;
    #[pymodule_export]
    use crate::breaker::classifier::Classifier;
    #[pymodule_export]
    use crate::breaker::guarded::Guarded;
    #[pymodule_export]
    use crate::breaker::permit::Permit;
    #[pymodule_export]
    use crate::breaker::registry::BreakerRegistry;
    #[pymodule_export]
    use crate::breaker::views::{Event, Trip};
    #[pymodule_export]
    use crate::clock::ManualClock;
    #[pymodule_export]
    use crate::command::run_command;
    #[pymodule_export]
    use crate::concurrency::ConcurrencyLimiter;
    #[pymodule_export]
    use crate::concurrency::permit::ConcurrencyPermit;
    #[pymodule_export]
    use crate::concurrency::waiter::Waiter;
    #[pymodule_export]
    use crate::gate::Gate;
    #[pymodule_export]
    use crate::gate::admission::{Admission, outcome_of_status};
    #[pymodule_export]
    use crate::gate::verdict::PartVerdict;
    #[pymodule_export]
    use crate::http::access::AccessList;
    #[pymodule_export]
    use crate::http::answer::{http_answer, max_retry_after_seconds};
    #[pymodule_export]
    use crate::http::client::ClientAddress;
    #[pymodule_export]
    use crate::http::overload::{Outflow, overload_retry_after};
    #[pymodule_export]
    use crate::http::policies::Policies;
    #[pymodule_export]
    use crate::http::problem::{problem_body, problem_of, retry_after_seconds};
    #[pymodule_export]
    use crate::http::taken::Taken;
    #[pymodule_export]
    use crate::limit::block::Block;
    #[pymodule_export]
    use crate::limit::bucket::{Reservation, TokenBucket};
    #[pymodule_export]
    use crate::limit::cluster::ClusterLimit;
    #[pymodule_export]
    use crate::limit::decision::Decision;
    #[pymodule_export]
    use crate::limit::keyed::{RateLimiter, Tier};
    #[pymodule_export]
    use crate::limit::set::LimitSet;
    #[pymodule_export]
    use crate::metrics::{ArenaView, metrics_content_type, metrics_families, metrics_name, metrics_page};
    #[pymodule_export]
    use crate::policy::{File, policy_load, policy_parse};
    #[pymodule_export]
    use crate::queue::BoundedQueue;
    #[pymodule_export]
    use crate::refusal::{circuit_refused, try_again};
    #[pymodule_export]
    use crate::retry::budget::RetryBudget;
    #[pymodule_export]
    use crate::retry::schedule::Schedule;
    #[pymodule_export]
    use crate::retry::throttle::ClientThrottle;
    #[pymodule_export]
    use crate::scope::{HostScope, ProcessScope, check_place};
    #[pymodule_export]
    use crate::shed::{LoadShedder, Shed};
    #[pymodule_export]
    use crate::stats::{
        BreakerStats, BucketStats, ClientThrottleStats, ClusterStats, ConcurrencyStats, GateStats, LimiterStats,
        PartitionStats, QueueStats, RegistryStats, RetryBudgetStats, ShedderStats,
    };
    #[pymodule_export]
    use crate::waker::Listener;

    /// The version of the Cargo workspace.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = tidegate::VERSION;

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::fastcall::install(module.py())
    }
}
