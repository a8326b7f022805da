//! The cases of each file: named scripts, then seeded random schedules.

pub(crate) mod adaptive_limiter;
pub(crate) mod bounded_queue;
mod breaker_events;
pub(crate) mod breaker_registry;
mod breaker_tables;
pub(crate) mod circuit_breaker;
pub(crate) mod client_throttle;
pub(crate) mod concurrency_limiter;
pub(crate) mod gate;
pub(crate) mod limit_set;
pub(crate) mod load_shedder;
pub(crate) mod partitioned_limiter;
pub(crate) mod rate_limiter;
pub(crate) mod retry_budget;
pub(crate) mod retry_policy;
pub(crate) mod token_bucket;
