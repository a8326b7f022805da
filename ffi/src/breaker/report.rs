//! Saying what became of a call.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use super::permit::outcome as checked_outcome;
use super::{tg_breaker, tg_classified, tg_permit};
use crate::handle::In;
use crate::panic::guard;
use crate::quota::bound;
use crate::status::tg_status;
use std::time::Duration;
use tg_status::TG_OK;

/// Reports what became of a call: one of tg_outcome, and how long it took (TG_NEVER: the time since it was acquired).
/// A report that comes too late (the circuit has changed meanwhile) is dropped.
///
/// Ownership: uses the permit up.
/// Errors: TG_NO_PERMIT, TG_UNKNOWN_VALUE (outcome).
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_report(
    breaker: In<tg_breaker>,
    permit: tg_permit,
    outcome: i32,
    duration_ns: u64,
) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        let (permit, outcome) = (permit.checked()?, checked_outcome(outcome)?);
        breaker.report(permit, outcome, bound(duration_ns));
        Ok(TG_OK)
    })
}

/// tg_breaker_report() at now_ns nanoseconds of the breaker's clock.
///
/// Ownership: uses the permit up.
/// Errors: TG_NO_PERMIT, TG_UNKNOWN_VALUE (outcome).
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_report_at(
    breaker: In<tg_breaker>,
    now_ns: u64,
    permit: tg_permit,
    outcome: i32,
    duration_ns: u64,
) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        let (permit, outcome) = (permit.checked()?, checked_outcome(outcome)?);
        breaker.report_at(now_ns, permit, outcome, bound(duration_ns));
        Ok(TG_OK)
    })
}

/// Reports a failure that came with the server's own Retry-After: if it opens the circuit, the cooldown lasts that long
/// (at least cooldown_ns, at most max_cooldown_ns).
///
/// Ownership: uses the permit up.
/// Errors: TG_NO_PERMIT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_report_retry_after(
    breaker: In<tg_breaker>,
    permit: tg_permit,
    retry_after_ns: u64,
) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        let retry_after = Duration::from_nanos(retry_after_ns);
        breaker.report_retry_after(permit.checked()?, retry_after);
        Ok(TG_OK)
    })
}

/// tg_breaker_report_retry_after() at now_ns nanoseconds of the breaker's clock.
///
/// Ownership: uses the permit up.
/// Errors: TG_NO_PERMIT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_report_retry_after_at(
    breaker: In<tg_breaker>,
    now_ns: u64,
    permit: tg_permit,
    retry_after_ns: u64,
) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        let retry_after = Duration::from_nanos(retry_after_ns);
        breaker.report_retry_after_at(now_ns, permit.checked()?, retry_after);
        Ok(TG_OK)
    })
}

/// Reports what became of a call as a classifier says, see tg_classify_http() or fill it in, and how long it took
/// (TG_NEVER: the time since it was acquired). What the server asks for is the cooldown, as for
/// tg_breaker_report_retry_after(), if this report opens the circuit, whatever the outcome.
///
/// Ownership: uses the permit up.
/// Errors: TG_NO_PERMIT, TG_UNKNOWN_VALUE (outcome).
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_report_classified(
    breaker: In<tg_breaker>,
    permit: tg_permit,
    classified: In<tg_classified>,
    duration_ns: u64,
) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        let (permit, classified) = (permit.checked()?, classified.read("classified")?.checked()?);
        breaker.report_classified(permit, classified, bound(duration_ns));
        Ok(TG_OK)
    })
}

/// tg_breaker_report_classified() at now_ns nanoseconds of the breaker's clock.
///
/// Ownership: uses the permit up.
/// Errors: TG_NO_PERMIT, TG_UNKNOWN_VALUE (outcome).
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_report_classified_at(
    breaker: In<tg_breaker>,
    now_ns: u64,
    permit: tg_permit,
    classified: In<tg_classified>,
    duration_ns: u64,
) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        let (permit, classified) = (permit.checked()?, classified.read("classified")?.checked()?);
        breaker.report_classified_at(now_ns, permit, classified, bound(duration_ns));
        Ok(TG_OK)
    })
}

/// Gives a permit back without an outcome (the call was cancelled, or never made): neutral, a probe slot returns.
///
/// Ownership: uses the permit up.
/// Errors: TG_NO_PERMIT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_release(breaker: In<tg_breaker>, permit: tg_permit) -> tg_status {
    guard(|| {
        breaker.get("breaker")?.0.release(permit.checked()?);
        Ok(TG_OK)
    })
}

/// tg_breaker_release() at now_ns nanoseconds of the breaker's clock.
///
/// Ownership: uses the permit up.
/// Errors: TG_NO_PERMIT.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_release_at(breaker: In<tg_breaker>, now_ns: u64, permit: tg_permit) -> tg_status {
    guard(|| {
        breaker.get("breaker")?.0.release_at(now_ns, permit.checked()?);
        Ok(TG_OK)
    })
}
