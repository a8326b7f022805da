//! Rate limits: how much may come in.

mod bucket;
mod gcra;
mod scale;

pub use bucket::{BucketStats, Reservation, Ticket, TokenBucket};
