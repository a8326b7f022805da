//! The C ABI of tidegate. `include/tidegate.h` is generated from these modules, which mirror the core's one to one;
//! `handle`, `panic` and `status` hold the rules of the border once: NULL is an error, a panic is an error, and every
//! unsafe read or write of a caller's pointer is in `handle`.

// The header's names are C's.
#![allow(non_camel_case_types)]

pub mod arena;
pub mod breaker;
pub mod bucket;
pub mod bytes;
pub mod clock;
pub mod cluster;
pub mod concurrency;
pub mod decision;
pub mod gate;
pub mod handle;
pub mod http;
pub mod limiter;
pub mod metrics;
pub mod mode;
pub mod panic;
pub mod policy;
pub mod queue;
pub mod quota;
pub mod retry;
pub mod set;
pub mod shedder;
mod stats;
pub mod status;
pub mod throttle;
pub mod version;

#[cfg(test)]
mod header;
