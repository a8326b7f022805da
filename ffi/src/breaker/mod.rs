//! Circuit breaker.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

mod config;
mod permit;
mod view;

pub use config::tg_breaker_config;
pub use permit::{tg_outcome, tg_permit};
pub use view::{tg_breaker_snapshot, tg_event, tg_event_kind, tg_state};

use crate::clock::clock_or_monotonic;
use crate::handle::{Handle, In, Out};
use crate::panic::guard;
use crate::quota::bound;
use crate::status::tg_status;
use permit::outcome as checked_outcome;
use std::time::Duration;
use tg_status::{TG_EMPTY, TG_OK, TG_OPEN};
use tidegate_core::CircuitBreaker;
use tidegate_core::breaker::{Permit, Rejected};

/// A circuit breaker: closed, open, half-open.
#[derive(Debug)]
pub struct tg_breaker(CircuitBreaker);

impl Handle for tg_breaker {}

/// Makes a closed circuit breaker.
///
/// Ownership: *breaker is the caller's, to be freed with tg_breaker_free(). Borrows config and all it points to.
/// Thread safety: any thread.
/// Errors: TG_NULL, TG_STRUCT_SIZE, TG_UTF8 (name), TG_OUT_OF_RANGE (a rate outside 0 .. 1, a cooldown of 0, ...), TG_CONFLICT
/// (both windows). *breaker is then not written.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_new(config: In<tg_breaker_config>, breaker: Out<*mut tg_breaker>) -> tg_status {
    guard(|| {
        let config = config.read("config")?;
        breaker.require("breaker")?;
        let name = config.name.text("name")?.unwrap_or_default();
        let clock = clock_or_monotonic(&config.clock);
        breaker.give(tg_breaker(CircuitBreaker::with_clock(name, config.checked()?, clock)?));
        Ok(TG_OK)
    })
}

/// Frees a breaker; NULL is fine. Permits still out are void.
///
/// Ownership: takes breaker.
/// Thread safety: no other call may be using breaker, now or later.
/// Errors: none.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_free(breaker: Out<tg_breaker>) {
    guard(|| {
        breaker.free();
        Ok(TG_OK)
    });
}

/// Asks for one call. TG_OK: *permit is filled in, make the call and report it. TG_OPEN: do not call; *retry_after_ns
/// (may be NULL) tells when a probe may be tried (TG_NEVER: forced open), and *permit is all zero.
///
/// Ownership: borrows all; the permit is a value.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL (breaker, permit); nothing is acquired then.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_acquire(
    breaker: In<tg_breaker>,
    permit: Out<tg_permit>,
    retry_after_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        permit.require("permit")?;
        Ok(granted(breaker.acquire(), &permit, &retry_after_ns))
    })
}

/// tg_breaker_acquire() at now_ns nanoseconds of the breaker's clock.
///
/// Ownership: borrows all; the permit is a value.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL (breaker, permit); nothing is acquired then.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_acquire_at(
    breaker: In<tg_breaker>,
    now_ns: u64,
    permit: Out<tg_permit>,
    retry_after_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        permit.require("permit")?;
        Ok(granted(breaker.acquire_at(now_ns), &permit, &retry_after_ns))
    })
}

fn granted(answer: Result<Permit, Rejected>, permit: &Out<tg_permit>, retry_after: &Out<u64>) -> tg_status {
    match answer {
        Ok(granted) => {
            permit.set(granted.into());
            retry_after.set(0);
            TG_OK
        }
        Err(Rejected { retry_after_ns }) => {
            permit.set(tg_permit::default());
            retry_after.set(retry_after_ns);
            TG_OPEN
        }
    }
}

/// Reports what became of a call: one of tg_outcome, and how long it took (TG_NEVER: the time since it was acquired).
/// A report that comes too late (the circuit has changed meanwhile) is dropped.
///
/// Ownership: borrows breaker; uses the permit up.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL, TG_NO_PERMIT, TG_UNKNOWN_VALUE (outcome); nothing is reported then.
/// Since: 0.1
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
/// Ownership: borrows breaker; uses the permit up.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL, TG_NO_PERMIT, TG_UNKNOWN_VALUE (outcome); nothing is reported then.
/// Since: 0.1
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
/// Ownership: borrows breaker; uses the permit up.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL, TG_NO_PERMIT; nothing is reported then.
/// Since: 0.1
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
/// Ownership: borrows breaker; uses the permit up.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL, TG_NO_PERMIT; nothing is reported then.
/// Since: 0.1
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

/// Gives a permit back without an outcome (the call was cancelled, or never made): neutral, a probe slot returns.
///
/// Ownership: borrows breaker; uses the permit up.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL, TG_NO_PERMIT.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_release(breaker: In<tg_breaker>, permit: tg_permit) -> tg_status {
    guard(|| {
        breaker.get("breaker")?.0.release(permit.checked()?);
        Ok(TG_OK)
    })
}

/// tg_breaker_release() at now_ns nanoseconds of the breaker's clock.
///
/// Ownership: borrows breaker; uses the permit up.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL, TG_NO_PERMIT.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_release_at(breaker: In<tg_breaker>, now_ns: u64, permit: tg_permit) -> tg_status {
    guard(|| {
        breaker.get("breaker")?.0.release_at(now_ns, permit.checked()?);
        Ok(TG_OK)
    })
}

/// Tells where the breaker stands: one of tg_state. It still reads TG_STATE_OPEN after the cooldown, until somebody
/// acquires a probe.
///
/// Ownership: borrows both.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_state(breaker: In<tg_breaker>, state: Out<i32>) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        state.require("state")?;
        state.set(breaker.state() as i32);
        Ok(TG_OK)
    })
}

/// Tells the nanoseconds until a probe may be tried: 0 when calls pass, TG_NEVER while forced open.
///
/// Ownership: borrows both.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_retry_after(breaker: In<tg_breaker>, retry_after_ns: Out<u64>) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        retry_after_ns.require("retry_after_ns")?;
        retry_after_ns.set(breaker.retry_after_ns());
        Ok(TG_OK)
    })
}

/// tg_breaker_retry_after() at now_ns nanoseconds of the breaker's clock.
///
/// Ownership: borrows both.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_retry_after_at(
    breaker: In<tg_breaker>,
    now_ns: u64,
    retry_after_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        retry_after_ns.require("retry_after_ns")?;
        retry_after_ns.set(breaker.retry_after_ns_at(now_ns));
        Ok(TG_OK)
    })
}

/// Tells the window's counts and the totals.
///
/// Ownership: borrows both.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL, TG_STRUCT_SIZE.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_stats(breaker: In<tg_breaker>, snapshot: Out<tg_breaker_snapshot>) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, breaker.stats().into());
        Ok(TG_OK)
    })
}

/// tg_breaker_stats() at now_ns nanoseconds of the breaker's clock.
///
/// Ownership: borrows both.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL, TG_STRUCT_SIZE.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_stats_at(
    breaker: In<tg_breaker>,
    now_ns: u64,
    snapshot: Out<tg_breaker_snapshot>,
) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, breaker.stats_at(now_ns).into());
        Ok(TG_OK)
    })
}

/// Opens the circuit until tg_breaker_reset(). Permits still out are void.
///
/// Ownership: borrows breaker.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_force_open(breaker: In<tg_breaker>) -> tg_status {
    guard(|| {
        breaker.get("breaker")?.0.force_open();
        Ok(TG_OK)
    })
}

/// tg_breaker_force_open() at now_ns nanoseconds of the breaker's clock.
///
/// Ownership: borrows breaker.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_force_open_at(breaker: In<tg_breaker>, now_ns: u64) -> tg_status {
    guard(|| {
        breaker.get("breaker")?.0.force_open_at(now_ns);
        Ok(TG_OK)
    })
}

/// Lets every call pass and counts nothing, until tg_breaker_reset(). Permits still out are void.
///
/// Ownership: borrows breaker.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_disable(breaker: In<tg_breaker>) -> tg_status {
    guard(|| {
        breaker.get("breaker")?.0.disable();
        Ok(TG_OK)
    })
}

/// tg_breaker_disable() at now_ns nanoseconds of the breaker's clock.
///
/// Ownership: borrows breaker.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_disable_at(breaker: In<tg_breaker>, now_ns: u64) -> tg_status {
    guard(|| {
        breaker.get("breaker")?.0.disable_at(now_ns);
        Ok(TG_OK)
    })
}

/// Counts and never opens, until tg_breaker_reset(). Permits still out are void.
///
/// Ownership: borrows breaker.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_metrics_only(breaker: In<tg_breaker>) -> tg_status {
    guard(|| {
        breaker.get("breaker")?.0.metrics_only();
        Ok(TG_OK)
    })
}

/// tg_breaker_metrics_only() at now_ns nanoseconds of the breaker's clock.
///
/// Ownership: borrows breaker.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_metrics_only_at(breaker: In<tg_breaker>, now_ns: u64) -> tg_status {
    guard(|| {
        breaker.get("breaker")?.0.metrics_only_at(now_ns);
        Ok(TG_OK)
    })
}

/// Closes the circuit, with an empty window and the first cooldown. Permits still out are void.
///
/// Ownership: borrows breaker.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_reset(breaker: In<tg_breaker>) -> tg_status {
    guard(|| {
        breaker.get("breaker")?.0.reset();
        Ok(TG_OK)
    })
}

/// tg_breaker_reset() at now_ns nanoseconds of the breaker's clock.
///
/// Ownership: borrows breaker.
/// Thread safety: any thread, at any time; never blocks.
/// Errors: TG_NULL.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_reset_at(breaker: In<tg_breaker>, now_ns: u64) -> tg_status {
    guard(|| {
        breaker.get("breaker")?.0.reset_at(now_ns);
        Ok(TG_OK)
    })
}

/// Reads the oldest event whose number is at least from: TG_OK, or TG_EMPTY when there is none. To follow a breaker:
/// `while (tg_breaker_next_event(breaker, next, &event) == TG_OK) next = event.seq + 1;`
///
/// Ownership: borrows both.
/// Thread safety: any thread, at any time; each follower keeps its own number.
/// Errors: TG_NULL, TG_STRUCT_SIZE.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_next_event(breaker: In<tg_breaker>, from: u64, event: Out<tg_event>) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        let room = event.room("event")?;
        Ok(match breaker.events_since(from).first() {
            Some(&oldest) => {
                event.fill(room, oldest.into());
                TG_OK
            }
            None => TG_EMPTY,
        })
    })
}
