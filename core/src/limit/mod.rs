//! Rate limits: how much may come in.

mod algorithm;
mod bucket;
mod gcra;
mod keyed;
mod log;
mod present;
mod scale;
mod set;
mod warm_up;

pub use crate::mode::Mode;
pub use algorithm::Algorithm;
pub use bucket::{BucketConfig, BucketStats, Reservation, SETTINGS as BUCKET_SETTINGS, Ticket, TokenBucket};
pub use keyed::{Block, Hits, LimiterConfig, LimiterStats, RateLimiter, SETTINGS as LIMITER_SETTINGS, Tier, Windows};
pub use set::{LimitSet, Member, SetDecision};
pub(crate) use set::{Looked, SetKeys};
pub use warm_up::WarmUp;

/// When to try again after too many lost races.
const GAVE_UP_NS: u64 = 1_000_000;
/// The longest penalty.
const LONGEST_PENALTY_NS: u64 = crate::quota::YEAR_NS;
