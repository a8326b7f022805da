//! Rate limits: how much may come in.

mod algorithm;
mod bucket;
mod gcra;
mod keyed;
mod mode;
mod scale;
mod set;
mod warm_up;

pub use algorithm::Algorithm;
pub use bucket::{BucketOptions, BucketStats, Reservation, Ticket, TokenBucket};
pub use keyed::{Block, Hits, LimiterConfig, LimiterStats, RateLimiter, Tier, Windows};
pub use mode::Mode;
pub use set::{LimitSet, Member, SetDecision};
pub use warm_up::WarmUp;
