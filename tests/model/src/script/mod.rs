//! What can be done to each primitive and what it answers, as the vector files spell it.

pub mod breaker;
pub mod bucket;
pub mod concurrency;
pub mod key;
pub mod limiter;
pub mod queue;
pub mod set;
