//! Backpressure: how much can be worked on.

mod queue;

pub use queue::{
    BoundedQueue, Interest, Listener, OnFull, PopError, PushError, PushErrorKind, QueueConfig, QueueStats,
};
