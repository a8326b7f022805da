//! Backpressure: how much can be worked on.

mod blocking;
mod concurrency;
mod config;
mod error;
mod gate;
#[cfg(all(test, loom))]
mod loom_tests;
mod per_process;
mod queue;
mod ring;
mod wait_list;
mod waiters;

pub use concurrency::{
    ConcurrencyConfig, ConcurrencyGuard, ConcurrencyHolder, ConcurrencyLimiter, ConcurrencyListener, ConcurrencyPermit,
    ConcurrencyStats,
};
pub use config::{OnFull, QueueConfig};
pub use error::{PopError, PushError, PushErrorKind};
pub use queue::{BoundedQueue, QueueStats};
pub use waiters::{Interest, Listener};
