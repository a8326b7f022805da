//! Giving back, punishing, clearing, changing the rate.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use super::tg_bucket;
use crate::handle::{In, Out};
use crate::panic::{guard, guard_system};
use crate::quota::tg_quota;
use crate::status::tg_status;
use std::time::Duration;
use tg_status::TG_OK;

/// Gives n tokens back, never above full; does not shorten a penalty.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_refund(bucket: In<tg_bucket>, n: u32) -> tg_status {
    guard(|| {
        bucket.get("bucket")?.0.refund(n);
        Ok(TG_OK)
    })
}

/// tg_bucket_refund() at now_ns nanoseconds of the bucket's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_refund_at(bucket: In<tg_bucket>, now_ns: u64, n: u32) -> tg_status {
    guard(|| {
        bucket.get("bucket")?.0.refund_at(now_ns, n);
        Ok(TG_OK)
    })
}

/// Admits nothing before now + wait_ns; then the bucket refills from empty.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_penalize(bucket: In<tg_bucket>, wait_ns: u64) -> tg_status {
    guard(|| {
        bucket.get("bucket")?.0.penalize(Duration::from_nanos(wait_ns));
        Ok(TG_OK)
    })
}

/// tg_bucket_penalize() at now_ns nanoseconds of the bucket's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_penalize_at(bucket: In<tg_bucket>, now_ns: u64, wait_ns: u64) -> tg_status {
    guard(|| {
        bucket.get("bucket")?.0.penalize_at(now_ns, Duration::from_nanos(wait_ns));
        Ok(TG_OK)
    })
}

/// Makes the bucket full again: ends a penalty, voids tickets.
///
/// Thread safety: may wait for a tg_bucket_set_quota().
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_reset(bucket: In<tg_bucket>) -> tg_status {
    guard_system(|| {
        bucket.get("bucket")?.0.reset();
        Ok(TG_OK)
    })
}

/// tg_bucket_reset() at now_ns nanoseconds of the bucket's clock.
///
/// Thread safety: may wait for a tg_bucket_set_quota().
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_reset_at(bucket: In<tg_bucket>, now_ns: u64) -> tg_status {
    guard_system(|| {
        bucket.get("bucket")?.0.reset_at(now_ns);
        Ok(TG_OK)
    })
}

/// Changes rate and burst; the level is kept (rounded towards fewer tokens, clipped to the new burst), tickets are
/// void.
///
/// Thread safety: may wait for another tg_bucket_set_quota(), in an arena of the machine for one of another process.
/// Errors: TG_UTF8, TG_SYNTAX, TG_OUT_OF_RANGE, TG_CONFLICT, as tg_bucket_new(); TG_CONFLICT also when the system
/// refuses an arena's lock. The quota is then unchanged.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_set_quota(bucket: In<tg_bucket>, quota: In<tg_quota>) -> tg_status {
    guard_system(|| {
        bucket.get("bucket")?.0.set_quota(quota.read("quota")?.checked()?)?;
        Ok(TG_OK)
    })
}

/// tg_bucket_set_quota() at now_ns nanoseconds of the bucket's clock.
///
/// Thread safety: may wait for another tg_bucket_set_quota().
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_set_quota_at(bucket: In<tg_bucket>, now_ns: u64, quota: In<tg_quota>) -> tg_status {
    guard_system(|| {
        bucket.get("bucket")?.0.set_quota_at(now_ns, quota.read("quota")?.checked()?)?;
        Ok(TG_OK)
    })
}

/// Tells the quota in force: count per period_ns in lowest terms, and burst.
#[unsafe(no_mangle)]
pub extern "C" fn tg_bucket_quota(bucket: In<tg_bucket>, quota: Out<tg_quota>) -> tg_status {
    guard(|| {
        let bucket = &bucket.get("bucket")?.0;
        let room = quota.room("quota")?;
        quota.fill(room, bucket.quota().into());
        Ok(TG_OK)
    })
}
