//! Rate limits: how much may come in.

mod bucket;

pub use bucket::{BucketStats, Reservation, Ticket, TokenBucket};
