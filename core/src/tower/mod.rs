//! A tower [`Layer`](tower_layer::Layer) that puts a circuit breaker, a client throttle or a gate before a service.
//! Needs the feature `tower`.
//!
//! | file | idea |
//! |---|---|
//! | `policy.rs` | what may stand before a service, and how it is told of a call's end |
//! | `gate.rs` | a gate before a service |
//! | `layer.rs` | the layer and its service |
//! | `future.rs` | one call |
//!
//! **`poll_ready` touches nothing and is always ready; `call` decides.** A refusal comes from `call`, at once. A call
//! that passes waits for the service below within its own future, on a clone of that service. Whoever would ask below
//! in `poll_ready` would wait behind a service that is stuck although its circuit is open, and would keep a place of
//! the service below (of a `ConcurrencyLimit`, a `Buffer`) without a call; and a permit that is taken there is lost
//! when no call follows.
//!
//! **The end of a call** is the end of its future: for HTTP, the headers. A classifier says what it means, once for all
//! policies ([`Classified`](crate::outcome::Classified)). A future that is dropped earlier was cancelled, which says
//! nothing: a probe's place is free again. A panic below is a failure and goes on.
//!
//! ```
//! use std::sync::Arc;
//! use tidegate::outcome::Outcome;
//! use tidegate::tower::{BreakerLayer, Guarded};
//! use tidegate::{BreakerConfig, CircuitBreaker};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let breaker = Arc::new(CircuitBreaker::new("prices", BreakerConfig::default())?);
//! let classify = |end: &Result<u32, &'static str>| match end {
//!     Err(_) => Outcome::Failure,
//!     Ok(_) => Outcome::Success,
//! };
//! let prices = ServiceBuilder::new()
//!     .layer(BreakerLayer::new(breaker.clone(), classify))
//!     .service(service_fn(async |item: &'static str| if item == "tea" { Ok(3) } else { Err("no such item") }));
//! assert_eq!(prices.clone().oneshot("tea").await, Ok(3));
//! assert!(prices.clone().oneshot("sand").await.is_err());
//! breaker.force_open();
//! let refused = prices.oneshot("tea").await.unwrap_err();
//! assert_eq!(refused.to_string(), "circuit is open until it is reset");
//! # Ok(()) }
//! ```

mod future;
mod gate;
mod layer;
mod policy;

pub use future::CallFuture;
pub use gate::{Asking, GateCall, GateLayer, GatePolicy, GateRefusal};
pub use layer::{BreakerLayer, Guarded, PolicyLayer, ThrottleLayer};
pub use policy::{BreakerCall, Call, ForRequest, Policy, ThrottleCall, Throttled};
