//! Sequential reference models of tidegate's primitives: what each operation must mean, as plainly as it can be said.
//!
//! They are written from the meaning, not from the implementation: exact integers for time and tokens, a deque for a
//! window or a queue, no packing, no atomics. [`script`] gives each a vocabulary of operations and answers; the vector
//! files, their Rust runner and the property tests all speak it.

pub mod adaptive;
pub mod breaker;
pub mod bucket;
pub mod budget;
pub mod concurrency;
pub mod format;
pub mod gate;
pub mod keyed;
pub mod partitions;
pub mod queue;
pub mod registry;
pub mod retry;
pub mod script;
pub mod set;
pub mod shed;
pub mod throttle;
mod watch;
