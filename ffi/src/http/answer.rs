//! What the end of an HTTP call says of the dependency.

// `#[unsafe(no_mangle)]`, `unsafe impl Settings` for structs of pointers and numbers.
#![allow(unsafe_code)]

use crate::arena::place::unused;
use crate::breaker::tg_classified;
use crate::handle::{In, Out, Settings, versioned};
use crate::panic::guard;
use crate::quota::{TG_NEVER, bound};
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use std::io::Error;
use std::mem::size_of;
use std::time::{Duration, SystemTime};
use tg_status::{TG_OK, TG_OUT_OF_RANGE};
use tidegate_core::breaker::{Classified, MAX_RETRY_AFTER, Outcome};
use tidegate_core::http::Answer;

/// How the ends of HTTP calls are judged. Start from TG_HTTP_CLASSIFIER_INIT.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_http_classifier {
    /// sizeof(tg_http_classifier)
    pub struct_size: usize,
    /// No server is left alone for longer, whatever it asks for.
    pub max_retry_after_ns: u64,
    /// A success that took at least this long is slow; TG_NEVER: that is left to the breaker's own
    /// slow_call_duration_ns.
    pub slow_call_duration_ns: u64,
}

versioned!(tg_http_classifier, first = 24, fields = [max_retry_after_ns, slow_call_duration_ns]);
// SAFETY: numbers only.
unsafe impl Settings for tg_http_classifier {}

impl Default for tg_http_classifier {
    fn default() -> Self {
        let max_retry_after_ns = MAX_RETRY_AFTER.as_nanos() as u64;
        Self { struct_size: size_of::<Self>(), max_retry_after_ns, slow_call_duration_ns: TG_NEVER }
    }
}

/// How an HTTP call ended. Start from TG_HTTP_ANSWER_INIT.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_http_answer {
    /// sizeof(tg_http_answer)
    pub struct_size: usize,
    /// Retry-After, seconds or a date; NULL for a field that is not there. Borrowed during the call, as the next two.
    pub retry_after: In<c_char>,
    /// Retry-After-Ms.
    pub retry_after_ms: In<c_char>,
    /// Date.
    pub date: In<c_char>,
    /// The time, for a date in an answer without a Date.
    pub now_unix_ms: u64,
    /// How long the call took.
    pub duration_ns: u64,
    /// The status code; 0: there came no answer.
    pub status: i32,
    /// Without an answer: the system's number of the error (errno), where there is one.
    pub os_error: i32,
    /// 0.
    pub reserved: u64,
}

versioned!(
    tg_http_answer,
    first = 64,
    fields = [retry_after, retry_after_ms, date, now_unix_ms, duration_ns, status, os_error, reserved]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_http_answer {}

impl Default for tg_http_answer {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            retry_after: In::default(),
            retry_after_ms: In::default(),
            date: In::default(),
            now_unix_ms: 0,
            duration_ns: 0,
            status: 0,
            os_error: 0,
            reserved: 0,
        }
    }
}

/// Tells what the end of an HTTP call says of the dependency: TG_FAILURE for 429 and what is not within 100 to 499;
/// TG_UNREACHED without an answer where no socket or port of this machine was free (EMFILE, ENFILE, EADDRNOTAVAIL),
/// TG_IGNORE where the caller made a mistake (EINVAL), else TG_FAILURE; TG_SLOW for another answer that took
/// slow_call_duration_ns, else TG_SUCCESS. retry_after_ns is what a 429 or 503 asks for; what cannot be read, whatever
/// its bytes, asks for nothing. A call that you cancelled is not to be judged: tg_breaker_release() it.
///
///     tg_http_answer answer = TG_HTTP_ANSWER_INIT;
///     answer.status = fetch(&answer.duration_ns);
///     if (tg_classify_http(&classifier, &answer, &classified) == TG_OK)
///         tg_breaker_report_classified(breaker, permit, &classified, answer.duration_ns);
///
/// Errors: TG_OUT_OF_RANGE (status is not within 0 to 65535, reserved is not 0).
#[unsafe(no_mangle)]
pub extern "C" fn tg_classify_http(
    classifier: In<tg_http_classifier>,
    answer: In<tg_http_answer>,
    classified: Out<tg_classified>,
) -> tg_status {
    guard(|| {
        let (classifier, answer) = (classifier.read("classifier")?, answer.read("answer")?);
        let room = classified.room("classified")?;
        let said = answer.classified(Duration::from_nanos(classifier.max_retry_after_ns))?;
        let slow = bound(classifier.slow_call_duration_ns);
        let said = slow.map_or(said, |limit| said.slow_from(limit, Duration::from_nanos(answer.duration_ns)));
        classified.fill(room, said.into());
        Ok(TG_OK)
    })
}

impl tg_http_answer {
    fn classified(&self, most: Duration) -> Result<Classified, Failure> {
        let outside = |_| Failure::new(TG_OUT_OF_RANGE, format!("status: {} is not within 0 to 65535", self.status));
        let status = u16::try_from(self.status).map_err(outside)?;
        unused(u32::from(self.reserved != 0))?;
        let answer = Answer {
            status,
            retry_after: self.retry_after.bytes(),
            retry_after_ms: self.retry_after_ms.bytes(),
            date: self.date.bytes(),
        };
        if status == 0 && self.os_error != 0 {
            return Ok(Outcome::from(&Error::from_raw_os_error(self.os_error)).into());
        }
        let now = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(self.now_unix_ms));
        Ok(answer.classified(now.unwrap_or(SystemTime::UNIX_EPOCH), most))
    }
}
