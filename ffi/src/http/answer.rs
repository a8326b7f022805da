//! What a server's answer says of the call.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use crate::handle::{In, Out};
use crate::panic::guard;
use crate::quota::TG_NEVER;
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use std::time::{Duration, SystemTime};
use tg_status::{TG_OK, TG_OUT_OF_RANGE};
use tidegate_core::http::Answer;

/// Tells what an HTTP answer says of the call: *failed is 1 for 429 and what is not within 100 to 499; *retry_after_ns
/// is what a 429 or 503 asks for, at most max_retry_after_ns, TG_NEVER where it asks for nothing. Report it with
/// tg_breaker_report_retry_after().
///
/// retry_after, retry_after_ms and date are the values of Retry-After (seconds or a date), Retry-After-Ms and Date,
/// NULL for fields that are not there; now_unix_ms is for a date in an answer without a Date.
///
/// Errors: TG_UTF8, TG_OUT_OF_RANGE (status is not within 0 to 65535).
#[unsafe(no_mangle)]
pub extern "C" fn tg_http_answer(
    status: i32,
    retry_after: In<c_char>,
    retry_after_ms: In<c_char>,
    date: In<c_char>,
    now_unix_ms: u64,
    max_retry_after_ns: u64,
    failed: Out<u32>,
    retry_after_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let outside = |_| Failure::new(TG_OUT_OF_RANGE, format!("status: {status} is not within 0 to 65535"));
        let status = u16::try_from(status).map_err(outside)?;
        failed.require("failed")?;
        retry_after_ns.require("retry_after_ns")?;
        let answer = Answer {
            status,
            retry_after: retry_after.text("retry_after")?.map(str::as_bytes),
            retry_after_ms: retry_after_ms.text("retry_after_ms")?.map(str::as_bytes),
            date: date.text("date")?.map(str::as_bytes),
        };
        let now = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(now_unix_ms));
        let now = now.unwrap_or(SystemTime::UNIX_EPOCH);
        let wait = answer.retry_after(now, Duration::from_nanos(max_retry_after_ns));
        failed.set(answer.failed().into());
        retry_after_ns.set(wait.map_or(TG_NEVER, |wait| u64::try_from(wait.as_nanos()).unwrap_or(TG_NEVER - 1)));
        Ok(TG_OK)
    })
}
