//! Rate limits: how much may come in.

mod algorithm;
mod bucket;
mod gcra;
mod keyed;
mod scale;
mod set;
mod warm_up;

pub use crate::mode::Mode;
pub use algorithm::Algorithm;
pub use bucket::{BucketOptions, BucketStats, Reservation, Ticket, TokenBucket};
pub use keyed::{Block, Hits, LimiterConfig, LimiterStats, RateLimiter, Tier, Windows};
pub use set::{LimitSet, Member, SetDecision};
pub use warm_up::WarmUp;
