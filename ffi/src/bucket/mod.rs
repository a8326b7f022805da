//! Token bucket.

// `#[unsafe(no_mangle)]`, and `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

pub mod change;
pub mod reserve;

use crate::arena::place::{Place, place};
use crate::arena::tg_arena;
use crate::clock::tg_clock;
use crate::decision::{allowed, answer, tg_decision};
use crate::handle::{Handle, In, Out, Settings, versioned};
use crate::mode::{mode, warm_up};
use crate::panic::{guard, guard_system};
use crate::quota::{TG_BURST_OF_RATE, tg_quota};
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use std::mem::size_of;
use std::sync::Arc;
use tg_status::TG_OK;
use tidegate_core::limit::BucketConfig;
use tidegate_core::{Quota, TokenBucket};

/// A token bucket: starts full, refills at its rate, holds at most its burst.
#[derive(Debug)]
pub struct tg_bucket(pub(crate) Arc<TokenBucket>);

impl Handle for tg_bucket {}

/// Settings of a token bucket. Start from TG_BUCKET_CONFIG_INIT; set rate, or count and period_ns.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_bucket_config {
    /// sizeof(tg_bucket_config)
    pub struct_size: usize,
    /// "400/s", "100 per minute", "5 per 15 minutes"; NULL: see count. Borrowed during the call.
    pub rate: In<c_char>,
    /// The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
    pub clock: In<tg_clock>,
    /// Tokens ...
    pub count: u64,
    /// ... per this many nanoseconds. 0 both when rate is set.
    pub period_ns: u64,
    /// The most tokens at once, 1 .. 2^32 - 1; TG_BURST_OF_RATE: the count of the rate.
    pub burst: u64,
    /// 1: one word of state. k > 1: rate and burst are split over k words, so that many threads get in each other's way
    /// less; a cost above burst / k is then never admitted.
    pub stripes: u64,
    /// A new bucket's ramp: grows to its full limit over this time. 0: no ramp.
    pub warm_up_ns: u64,
    /// The fraction of the limit that the ramp starts from, above 0 up to 1. 0: no ramp.
    pub warm_up_from: f64,
    /// One of tg_mode.
    pub mode: i32,
    /// One of tg_on_conflict; without an arena it says nothing.
    pub on_conflict: i32,
    /// Where its state lives; NULL: in memory of its own. Shared.
    pub arena: In<tg_arena>,
    /// Its name in the arena; without an arena it says nothing. Borrowed during the call.
    pub name: In<c_char>,
}

versioned!(
    tg_bucket_config,
    first = 56,
    fields = [rate, clock, count, period_ns, burst, stripes, warm_up_ns, warm_up_from, mode, on_conflict, arena, name]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_bucket_config {}

impl Default for tg_bucket_config {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            rate: In::default(),
            clock: In::default(),
            count: 0,
            period_ns: 0,
            burst: TG_BURST_OF_RATE,
            stripes: BucketConfig::default().stripes.into(),
            warm_up_ns: 0,
            warm_up_from: 0.0,
            mode: 0,
            on_conflict: 0,
            arena: In::default(),
            name: In::default(),
        }
    }
}

/// Counts since a bucket was made. Start from TG_BUCKET_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_bucket_snapshot {
    /// sizeof(tg_bucket_snapshot)
    pub struct_size: usize,
    // <stats bucket>
    /// Calls admitted, without those of would_deny.
    pub admitted: u64,
    /// Calls denied.
    pub denied: u64,
    /// Calls that a dry run admitted and that would have been denied.
    pub would_deny: u64,
    // </stats>
}

versioned!(tg_bucket_snapshot, first = 24, fields = [admitted, denied, would_deny]);

impl tg_bucket_config {
    fn checked(&self) -> Result<(Quota, BucketConfig), Failure> {
        let (rate, count, period_ns, burst) = (self.rate, self.count, self.period_ns, self.burst);
        let options = BucketConfig {
            stripes: u32::try_from(self.stripes).unwrap_or(u32::MAX),
            mode: mode(self.mode)?,
            warm_up: warm_up(self.warm_up_ns, self.warm_up_from)?,
        };
        Ok((tg_quota { rate, count, period_ns, burst, ..Default::default() }.checked()?, options))
    }
}

/// Makes a full token bucket, or opens the one of that name in an arena.
///
/// Errors: TG_UTF8; TG_SYNTAX (rate); TG_OUT_OF_RANGE (a rate or burst that cannot be had); TG_CONFLICT (neither or
/// both of rate and count, half a ramp, a clock beside an arena, an arena without a name); TG_UNKNOWN_VALUE (mode,
/// on_conflict); TG_INVALID (a name that is none); TG_ARENA_SHAPE (other stripes or another ramp under the name),
/// TG_ARENA_SETTINGS (another rate or burst), TG_ARENA_FULL, TG_ARENA_*.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_new(config: In<tg_bucket_config>, bucket: Out<*mut tg_bucket>) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        bucket.require("bucket")?;
        let (quota, options) = config.checked()?;
        let made = match place(&config.arena, &config.name, config.on_conflict, &config.clock)? {
            Place::Private(clock) => TokenBucket::with_options(quota, options, clock)?,
            Place::Arena(arena, name, on_conflict) => TokenBucket::in_arena(arena, name, quota, options, on_conflict)?,
        };
        bucket.give(tg_bucket(Arc::new(made)));
        Ok(TG_OK)
    })
}

/// Frees a bucket; NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_free(bucket: Out<tg_bucket>) {
    guard_system(|| {
        bucket.free();
        Ok(TG_OK)
    });
}

/// Takes n tokens, or nothing: TG_OK or TG_DENIED. n = 0 takes nothing and is denied only in debt or under a penalty.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_try_acquire(bucket: In<tg_bucket>, n: u32) -> tg_status {
    guard(|| Ok(allowed(bucket.get("bucket")?.0.try_acquire(n))))
}

/// tg_bucket_try_acquire() at now_ns nanoseconds of the bucket's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_try_acquire_at(bucket: In<tg_bucket>, now_ns: u64, n: u32) -> tg_status {
    guard(|| Ok(allowed(bucket.get("bucket")?.0.try_acquire_at(now_ns, n))))
}

/// Takes n tokens, or nothing, and tells what is left: TG_OK or TG_DENIED.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_check(bucket: In<tg_bucket>, n: u32, decision: Out<tg_decision>) -> tg_status {
    guard(|| {
        let bucket = &bucket.get("bucket")?.0;
        answer(&decision, || bucket.check(n))
    })
}

/// tg_bucket_check() at now_ns nanoseconds of the bucket's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_check_at(
    bucket: In<tg_bucket>,
    now_ns: u64,
    n: u32,
    decision: Out<tg_decision>,
) -> tg_status {
    guard(|| {
        let bucket = &bucket.get("bucket")?.0;
        answer(&decision, || bucket.check_at(now_ns, n))
    })
}

/// Tells what tg_bucket_check() for one token would say, and takes nothing (so remaining is what is there now):
/// TG_OK or TG_DENIED.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_peek(bucket: In<tg_bucket>, decision: Out<tg_decision>) -> tg_status {
    guard(|| {
        let bucket = &bucket.get("bucket")?.0;
        answer(&decision, || bucket.peek())
    })
}

/// tg_bucket_peek() at now_ns nanoseconds of the bucket's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_peek_at(bucket: In<tg_bucket>, now_ns: u64, decision: Out<tg_decision>) -> tg_status {
    guard(|| {
        let bucket = &bucket.get("bucket")?.0;
        answer(&decision, || bucket.peek_at(now_ns))
    })
}

/// Tells how many calls were admitted and denied since the bucket was made.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_stats(bucket: In<tg_bucket>, snapshot: Out<tg_bucket_snapshot>) -> tg_status {
    guard(|| {
        let bucket = &bucket.get("bucket")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, bucket.stats().into());
        Ok(TG_OK)
    })
}
