//! A decision in the whole seconds of HTTP.

// `#[unsafe(no_mangle)]`, and `unsafe impl Settings` for structs of plain numbers.
#![allow(unsafe_code)]

use crate::decision::tg_decision;
use crate::handle::{In, Out, Settings, versioned};
use crate::panic::guard;
use crate::status::tg_status;
use std::mem::size_of;
use std::time::Duration;
use tg_status::TG_OK;
use tidegate_core::http::{Jitter, RateLimitStatus, overload_retry_after};

/// What a client is told of a decision. Start from TG_RATELIMIT_STATUS_INIT.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_ratelimit_status {
    /// sizeof(tg_ratelimit_status)
    pub struct_size: usize,
    /// Seconds until the limit is full again, but after a refusal not more than retry_after_s (X-RateLimit-Reset).
    pub reset_s: u64,
    /// Seconds for Retry-After, at least 1; 0 when admitted: no such field is sent.
    pub retry_after_s: u64,
    /// The most that can be taken at once (X-RateLimit-Limit).
    pub limit: u32,
    /// What is left (X-RateLimit-Remaining).
    pub remaining: u32,
}

versioned!(tg_ratelimit_status, first = 32, fields = [reset_s, retry_after_s, limit, remaining]);
// SAFETY: numbers only.
unsafe impl Settings for tg_ratelimit_status {}

impl Default for tg_ratelimit_status {
    fn default() -> Self {
        Self { struct_size: size_of::<Self>(), reset_s: 0, retry_after_s: 0, limit: 0, remaining: 0 }
    }
}

impl From<RateLimitStatus> for tg_ratelimit_status {
    fn from(told: RateLimitStatus) -> Self {
        Self {
            struct_size: size_of::<Self>(),
            reset_s: told.reset,
            retry_after_s: told.retry_after,
            limit: told.limit,
            remaining: told.remaining,
        }
    }
}

impl From<tg_ratelimit_status> for RateLimitStatus {
    fn from(told: tg_ratelimit_status) -> Self {
        Self {
            allowed: told.retry_after_s == 0,
            limit: told.limit,
            remaining: told.remaining,
            reset: told.reset_s,
            retry_after: told.retry_after_s,
        }
    }
}

/// Puts a decision into whole seconds, rounded up. TG_NEVER becomes an hour: a number must be said. jitter: 0, or the
/// fraction (up to 1) that times are lengthened by at most, drawn anew each time, so that clients do not return
/// together.
///
/// Errors: TG_OUT_OF_RANGE (jitter).
#[unsafe(no_mangle)]
pub extern "C" fn tg_http_tell(decision: In<tg_decision>, jitter: f64, told: Out<tg_ratelimit_status>) -> tg_status {
    guard(|| {
        let decision = tg_decision::given(decision)?;
        let jitter = Jitter::new(jitter)?;
        let room = told.room("told")?;
        told.fill(room, jitter.tell(&decision).into());
        Ok(TG_OK)
    })
}

/// Seconds for Retry-After of a refusal by a full queue or concurrency limit: the time that depth items or calls take,
/// where done were done in the last window_ns; 1 to 60, and up to a fifth more by draw (from 0 up to 1; 0: no more). A
/// window of less than a second tells no rate: 1. Where nothing was done in ten seconds: 60.
///
/// done is the difference of two readings of what has left (popped; admitted - in_use), the earlier one kept at a
/// refusal about ten seconds ago: depth and counts stand in the stats of the queue and of the limiter.
#[unsafe(no_mangle)]
pub extern "C" fn tg_http_overload_retry_after(depth: u64, done: u64, window_ns: u64, draw: f64) -> u64 {
    overload_retry_after(depth, done, Duration::from_nanos(window_ns), draw)
}
