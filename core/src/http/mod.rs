//! The manners of a limit that speaks HTTP, made once for every binding: what a client is told, and whose request it
//! is.
//!
//! Pure functions of their arguments, no I/O: a framework's adapter hands in the peer and the header lines it has and
//! sends what it gets. All types are `Send + Sync`, and all of them but [`Jitter`] and [`Outflow`] are
//! deterministic.
//!
//! - [`RateLimitStatus`] and [`Jitter`]: a [`Decision`](crate::Decision) in the whole seconds of HTTP.
//! - [`fields`]: `RateLimit`, `RateLimit-Policy` and `X-RateLimit-*`, written and parsed.
//! - [`problem`]: the body of a refusal.
//! - [`ClientAddress`]: the client behind trusted proxies, as a key.
//! - [`overload_retry_after`] and [`Outflow`]: how long a client waits that finds no room.
//! - [`Answer`]: what another server's answer says of a call to it.
//! - [`AccessList`]: who is never, and who is always refused.
//!
//! Without the feature `http` there are [`AccessList`], [`Network`] and [`Outflow`] alone: the gate asks them.

mod access;
#[cfg(feature = "http")]
mod answer;
#[cfg(feature = "http")]
mod client;
#[cfg(feature = "http")]
pub mod fields;
#[cfg(feature = "http")]
mod jitter;
mod network;
mod overload;
#[cfg(feature = "http")]
pub mod problem;
#[cfg(feature = "http")]
mod rate_limit_status;

pub use access::{AccessList, Verdict};
#[cfg(feature = "http")]
pub use answer::Answer;
#[cfg(feature = "http")]
pub use client::{ClientAddress, MAX_HOPS, parse_address};
#[cfg(feature = "http")]
pub use jitter::Jitter;
pub use network::Network;
pub use overload::{Outflow, overload_retry_after};
#[cfg(feature = "http")]
pub use rate_limit_status::{LONGEST_RETRY_AFTER, RateLimitStatus, retry_after_seconds};
