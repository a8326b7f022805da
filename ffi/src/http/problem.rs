//! The body of a refusal (RFC 9457).

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use crate::handle::{In, Out};
use crate::panic::guard;
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use tg_status::{TG_OUT_OF_RANGE, TG_UNKNOWN_VALUE};
use tidegate_core::http::problem::{ProblemType, body};

/// Why a request was refused: the problem types of draft-ietf-httpapi-ratelimit-headers-10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_problem {
    /// A quota is used up: 429.
    TG_PROBLEM_QUOTA_EXCEEDED = 0,
    /// The service protects itself (a full queue, an open circuit): 503.
    TG_PROBLEM_TEMPORARY_REDUCED_CAPACITY = 1,
    /// The client is blocked for a while: 429.
    TG_PROBLEM_ABNORMAL_USAGE_DETECTED = 2,
    /// The client is on a deny list: 403.
    TG_PROBLEM_FORBIDDEN = 3,
    /// What the request needs did not answer in time: 504.
    TG_PROBLEM_TIMEOUT = 4,
}

fn problem(value: i32) -> Result<ProblemType, Failure> {
    Ok(match value {
        0 => ProblemType::QuotaExceeded,
        1 => ProblemType::TemporaryReducedCapacity,
        2 => ProblemType::AbnormalUsageDetected,
        3 => ProblemType::Forbidden,
        4 => ProblemType::Timeout,
        other => {
            let message = format!(
                "problem: {other} is none of tg_problem, TG_PROBLEM_QUOTA_EXCEEDED (0) to TG_PROBLEM_TIMEOUT (4)"
            );
            return Err(Failure::new(TG_UNKNOWN_VALUE, message));
        }
    })
}

/// The body of a refusal, to be sent as application/problem+json (RFC 9457). problem: one of tg_problem. status: the
/// one it is sent with, 0: the problem's own. detail: for people; NULL: the problem's own. violated: the names of the
/// policies that refused (a denied_by's); none: not told. Every text is escaped. *length (may be NULL) is the body's,
/// without its NUL.
///
/// Ownership: the body is written to the caller's buffer of buffer_size bytes.
/// Errors: TG_UTF8, TG_UNKNOWN_VALUE (problem), TG_OUT_OF_RANGE (status above 999); TG_BUFFER (too small: nothing is
/// written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_http_problem(
    problem: i32,
    status: u32,
    detail: In<c_char>,
    violated: In<In<c_char>>,
    violated_count: usize,
    buffer: Out<c_char>,
    buffer_size: usize,
    length: Out<usize>,
) -> tg_status {
    guard(|| {
        let problem = self::problem(problem)?;
        let status = match u16::try_from(status) {
            Ok(0) => problem.status(),
            Ok(status @ 100..=999) => status,
            _ => {
                let message =
                    format!("status: {status} is no HTTP status; allowed are 100 to 999, or 0 for the problem's own");
                return Err(Failure::new(TG_OUT_OF_RANGE, message));
            }
        };
        let detail = detail.text("detail")?.unwrap_or(problem.detail());
        let violated = violated.texts(violated_count, "violated")?;
        buffer.fill_text(buffer_size, &length, &body(problem, status, detail, &violated))
    })
}
