//! Giving back, punishing, clearing, changing the rate.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use super::config::quota_of;
use super::tg_limiter;
use crate::handle::{In, Out};
use crate::panic::{guard, guard_system};
use crate::quota::tg_quota;
use crate::status::tg_status;
use std::ffi::c_void;
use std::time::Duration;
use tg_status::TG_OK;

/// Gives n back to the key, never above full; does not shorten a penalty. For what should not have counted: a login
/// that succeeded, a request that was answered from a cache.
///
/// Errors: TG_OUT_OF_RANGE (key_len).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_refund(limiter: In<tg_limiter>, key: In<c_void>, key_len: usize, n: u32) -> tg_status {
    guard(|| {
        limiter.get("limiter")?.0.refund(key.bytes(key_len, "key")?, n, None);
        Ok(TG_OK)
    })
}

/// tg_limiter_refund() at now_ns nanoseconds of the limiter's clock.
///
/// Errors: TG_OUT_OF_RANGE (key_len).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_refund_at(
    limiter: In<tg_limiter>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
    n: u32,
) -> tg_status {
    guard(|| {
        limiter.get("limiter")?.0.refund_at(now_ns, key.bytes(key_len, "key")?, n, None);
        Ok(TG_OK)
    })
}

/// Admits nothing of the key before now + wait_ns (a year at most); a penalty in force is only lengthened. After it a
/// token bucket refills from empty; the others start anew, and are held until what they counted before is over. *noted
/// (may be NULL) tells whether there was room: a key without a cell of its own is not penalised, for others share its
/// sketch.
///
/// Errors: TG_OUT_OF_RANGE (key_len).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_penalize(
    limiter: In<tg_limiter>,
    key: In<c_void>,
    key_len: usize,
    wait_ns: u64,
    noted: Out<bool>,
) -> tg_status {
    guard(|| {
        let limiter = &limiter.get("limiter")?.0;
        noted.set(limiter.penalize(key.bytes(key_len, "key")?, Duration::from_nanos(wait_ns)));
        Ok(TG_OK)
    })
}

/// tg_limiter_penalize() at now_ns nanoseconds of the limiter's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_penalize_at(
    limiter: In<tg_limiter>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
    wait_ns: u64,
    noted: Out<bool>,
) -> tg_status {
    guard(|| {
        let limiter = &limiter.get("limiter")?.0;
        noted.set(limiter.penalize_at(now_ns, key.bytes(key_len, "key")?, Duration::from_nanos(wait_ns)));
        Ok(TG_OK)
    })
}

/// Makes the key as new: full again, no penalty, its blocks forgotten.
///
/// Errors: TG_OUT_OF_RANGE (key_len).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_reset(limiter: In<tg_limiter>, key: In<c_void>, key_len: usize) -> tg_status {
    guard(|| {
        limiter.get("limiter")?.0.reset(key.bytes(key_len, "key")?);
        Ok(TG_OK)
    })
}

/// tg_limiter_reset() at now_ns nanoseconds of the limiter's clock.
///
/// Errors: TG_OUT_OF_RANGE (key_len).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_reset_at(
    limiter: In<tg_limiter>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
) -> tg_status {
    guard(|| {
        limiter.get("limiter")?.0.reset_at(now_ns, key.bytes(key_len, "key")?);
        Ok(TG_OK)
    })
}

/// Makes all keys as new; the counters stay. Takes time in proportion to max_keys.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_reset_all(limiter: In<tg_limiter>) -> tg_status {
    guard_system(|| {
        limiter.get("limiter")?.0.reset_all();
        Ok(TG_OK)
    })
}

/// tg_limiter_reset_all() at now_ns nanoseconds of the limiter's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_reset_all_at(limiter: In<tg_limiter>, now_ns: u64) -> tg_status {
    guard_system(|| {
        limiter.get("limiter")?.0.reset_all_at(now_ns);
        Ok(TG_OK)
    })
}

/// Changes the quota of the keys that have no tier. Each keeps the part that it has used; windows keep their counts.
///
/// Thread safety: may wait for another tg_limiter_set_quota().
/// Errors: TG_UTF8, TG_SYNTAX, TG_CONFLICT as tg_limiter_new(); TG_OUT_OF_RANGE also when it is faster or larger than
/// the table was made for (fastest). The quota is then unchanged.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_set_quota(limiter: In<tg_limiter>, quota: In<tg_quota>) -> tg_status {
    guard_system(|| {
        let limiter = &limiter.get("limiter")?.0;
        limiter.set_quota(quota_of(limiter.algorithm(), &quota.read("quota")?)?)?;
        Ok(TG_OK)
    })
}
