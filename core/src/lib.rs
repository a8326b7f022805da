#![doc = include_str!("../README.md")]
// The models have no arenas, nor what is there for them alone.
#![cfg_attr(loom, allow(dead_code, unused_imports, reason = "the models take parts alone"))]

mod counters;
mod hash;
mod memory;
mod mode;
mod setting;
mod sync;
mod sys;
mod wait;

#[cfg(not(loom))]
pub mod arena;
pub mod breaker;
#[doc(hidden)] // For the C binding, which has threads that are cancelled.
pub mod cancellation;
pub mod clock;
pub mod concurrency;
pub mod config;
pub mod decision;
mod error;
pub mod gate;
pub mod http;
#[cfg(not(loom))]
pub mod inspect;
pub mod lease;
pub mod limit;
#[cfg(not(loom))]
pub mod metrics;
pub mod outcome;
#[cfg(all(feature = "policy", not(loom)))]
pub mod policy;
pub mod queue;
mod quota;
pub mod refusal;
pub mod retry;
pub mod shed;
pub mod throttle;
#[cfg(feature = "tower")]
pub mod tower;

#[cfg(not(loom))]
pub use arena::{Arena, OnConflict, Scope};
pub use breaker::registry::{BreakerRegistry, RegistryConfig};
pub use breaker::{BreakerConfig, CircuitBreaker};
pub use clock::{Clock, ManualClock};
pub use concurrency::{ConcurrencyConfig, ConcurrencyLimiter};
pub use decision::Decision;
pub use error::{ConfigError, ConfigErrorKind};
#[cfg(not(loom))]
pub use gate::{Gate, GateConfig};
#[cfg(not(loom))]
pub use lease::ClusterLimit;
pub use limit::{Algorithm, LimitSet, RateLimiter, TokenBucket};
pub use queue::{BoundedQueue, QueueConfig};
pub use quota::Quota;
pub use retry::{RetryBudget, RetryBudgetConfig, RetryConfig, RetryPolicy};
#[cfg(not(loom))]
pub use shed::LoadShedder;
pub use shed::ShedderConfig;
pub use throttle::{ClientThrottle, ClientThrottleConfig};

/// The version of this crate, and of every package built from this workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the pages show runs.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../docs/coming-from-governor.md")]
    mod coming_from_governor {}
    #[doc = include_str!("../../docs/circuit-breaker.md")]
    mod circuit_breaker {}
    #[doc = include_str!("../../docs/clients.md")]
    mod clients {}
    #[doc = include_str!("../../docs/clocks.md")]
    mod clocks {}
    #[doc = include_str!("../../docs/concurrency.md")]
    mod concurrency {}
    #[doc = include_str!("../../docs/gate.md")]
    mod gate {}
    #[doc = include_str!("../../docs/host-scope.md")]
    mod host_scope {}
    #[doc = include_str!("../../docs/load-shedding.md")]
    mod load_shedding {}
    #[doc = include_str!("../../docs/metrics.md")]
    mod metrics {}
    #[cfg(feature = "policy")]
    #[doc = include_str!("../../docs/policy.md")]
    mod policy {}
    #[doc = include_str!("../../docs/queue.md")]
    mod queue {}
    #[doc = include_str!("../../docs/rate-limiting.md")]
    mod rate_limiting {}
    #[doc = include_str!("../../docs/retry.md")]
    mod retry {}
}
