//! Lock-free rate limiting, circuit breaking and backpressure: what keeps a service alive under overload.
//!
//! - [`TokenBucket`]: how much may come in. Exact rates, burst, waiting, refunds, penalties.
//! - [`CircuitBreaker`]: stop calling what is broken, and find out gently when it is well again.
//! - [`BoundedQueue`]: how much can be worked on. Watermarks with hysteresis, close and drain.
//!
//! Each decides without a lock, an allocation or a system call; a refusal is a result, not an error. Every operation has a
//! form that takes the time as an argument (`…_at`), and a [`ManualClock`] stands in for the real one in tests. The same core
//! is behind the Python, Node and C packages of the same name.
//!
//! ```
//! use tidegate::{BoundedQueue, BreakerConfig, CircuitBreaker, QueueConfig, Quota, TokenBucket};
//!
//! let door = TokenBucket::new("400/s".parse::<Quota>()?.with_burst(800)?);
//! let orders = BoundedQueue::new(QueueConfig::new(1_000))?;
//! let payment = CircuitBreaker::new("payment", BreakerConfig::default())?;
//!
//! if !door.try_acquire(1) {
//!     // 429 with Retry-After: door.peek().retry_after()
//! } else if orders.try_push("order 1").is_err() {
//!     // 503: the queue is above its high watermark
//! }
//! if let Ok(_order) = orders.try_pop() {
//!     let paid = payment.call(|| Ok::<_, std::io::Error>("receipt"));
//!     assert!(paid.is_ok());
//! }
//! # Ok::<(), tidegate::ConfigError>(())
//! ```

mod stats;
mod sync;

pub mod breaker;
pub mod clock;
pub mod decision;
mod error;
pub mod limit;
pub mod pressure;
mod quota;

pub use breaker::{BreakerConfig, CircuitBreaker};
pub use clock::{Clock, ManualClock};
pub use decision::Decision;
pub use error::{ConfigError, ConfigErrorKind};
pub use limit::TokenBucket;
pub use pressure::{BoundedQueue, QueueConfig};
pub use quota::Quota;

/// The version of this crate, and of every package built from this workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
