//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use super::ratelimit_status::tg_ratelimit_status;
use crate::bytes::tg_bytes;
use crate::handle::{In, Out};
use crate::panic::guard;
use crate::quota::bound;
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use tidegate_core::http::fields::Policy;

/// The value of one policy of a RateLimit-Policy field: "per-user";q=100;w=60. Several are joined by ", ".
///
/// name: printable ASCII, 1 .. 128 characters. unit: that of costs ("content-bytes"); NULL: requests. quota: the most
/// at once (the decision's limit). window_ns: the time in which all of it comes back; TG_NEVER: not told.
/// partition_key: what the quota is counted per, NULL where clients shall not see it; left out when longer than 64
/// bytes. *length (may be NULL) is the text's, without its NUL.
///
/// Ownership: the text is written to the caller's buffer of buffer_size bytes.
/// Errors: TG_UTF8, TG_SYNTAX (name, unit), TG_OUT_OF_RANGE (a length); TG_BUFFER (too small: nothing is written but
/// *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_http_rate_limit_policy(
    name: In<c_char>,
    unit: In<c_char>,
    quota: u32,
    window_ns: u64,
    partition_key: In<tg_bytes>,
    buffer: Out<c_char>,
    buffer_size: usize,
    length: Out<usize>,
) -> tg_status {
    guard(|| {
        let mut policy = policy(name)?;
        if let Some(unit) = unit.text("unit")? {
            policy = policy.with_unit(unit)?;
        }
        let mut value = String::new();
        with_key(partition_key, |key| policy.write_quota(&mut value, quota, bound(window_ns), key))?;
        buffer.fill_text(buffer_size, &length, &value)
    })
}

/// The value of one policy's state in a RateLimit field: "per-user";r=12;t=30. Several are joined by ", ". name,
/// partition_key and *length as in tg_http_rate_limit_policy().
///
/// Ownership: the text is written to the caller's buffer of buffer_size bytes.
/// Errors: TG_UTF8, TG_SYNTAX (name), TG_OUT_OF_RANGE (a length); TG_BUFFER (too small: nothing is written but
/// *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_http_rate_limit(
    name: In<c_char>,
    told: In<tg_ratelimit_status>,
    partition_key: In<tg_bytes>,
    buffer: Out<c_char>,
    buffer_size: usize,
    length: Out<usize>,
) -> tg_status {
    guard(|| {
        let policy = policy(name)?;
        let told = told.read("told")?.into();
        let mut value = String::new();
        with_key(partition_key, |key| policy.write_limit(&mut value, &told, key))?;
        buffer.fill_text(buffer_size, &length, &value)
    })
}

fn policy(name: In<c_char>) -> Result<Policy, Failure> {
    Ok(Policy::new(name.text("name")?.ok_or_else(|| Failure::null("name"))?)?)
}

fn with_key(key: In<tg_bytes>, write: impl FnOnce(Option<&[u8]>)) -> Result<(), Failure> {
    if key.is_null() {
        write(None);
    } else {
        write(Some(key.value("partition_key")?.get("partition_key")?));
    }
    Ok(())
}
