//! Retry: the wait between attempts, and whether there is another one.

// `#[unsafe(no_mangle)]`, `unsafe impl` for plain numbers.
#![allow(unsafe_code)]

pub mod budget;
mod config;

pub use config::{tg_jitter, tg_retry_config};

use crate::handle::{In, Out};
use crate::panic::guard;
use crate::quota::TG_NEVER;
use crate::status::tg_status;
use std::time::Duration;
use tg_status::{TG_EXHAUSTED, TG_LATE, TG_OK};
use tidegate_core::retry::Next;

/// Tells the wait before retry n (the first is 0) in *ns, by these formulas; d is base_ns * factor^n, at most
/// max_delay_ns:
///
/// | TG_JITTER_NONE         | d                                                                             |
/// | TG_JITTER_FULL         | draw * d                                                                      |
/// | TG_JITTER_EQUAL        | d / 2 + draw * d / 2                                                          |
/// | TG_JITTER_DECORRELATED | base_ns + draw * (3 * the wait before - base_ns), at most max_delay_ns (AWS)  |
/// | TG_JITTER_SMOOTH       | (f(t) - f(t before)) * base_ns / 1.4, t = n + draw,                           |
/// |                        | f(t) = 2^t * tanh(sqrt(4 * t)), at most max_delay_ns (Polly)                  |
///
/// draw is a random number from 0 up to, but not including, 1, another one for each call; anything else counts as 1.
/// previous is what TG_JITTER_DECORRELATED and TG_JITTER_SMOOTH go on from: set it to 0 before the first wait of a call
/// and leave it alone then. No n overflows.
///
/// Errors: TG_OUT_OF_RANGE, TG_UNKNOWN_VALUE (jitter).
#[unsafe(no_mangle)]
pub extern "C" fn tg_backoff_delay(
    config: In<tg_retry_config>,
    n: u64,
    draw: f64,
    previous: Out<f64>,
    ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let policy = config.read("config")?.checked()?;
        let mut before = previous.value("previous")?;
        ns.require("ns")?;
        ns.set(policy.backoff().delay_ns(n, draw, &mut before));
        previous.set(before);
        Ok(TG_OK)
    })
}

/// Tells what follows a failed attempt, the attempts-th of its call (the first is 1), elapsed_ns after the first began.
/// TG_OK: another one after *wait_ns. TG_EXHAUSTED: that was the last. TG_LATE: the wait would reach the deadline. Both
/// leave
/// *wait_ns alone: give up, with the error that there is.
///
/// retry_after_ns is what the server told (Retry-After), 0 for nothing; it wins when it is longer than the wait, as far
/// as max_retry_after_ns. draw and previous are those of tg_backoff_delay().
///
/// Whether the failure is one to retry is yours to say: never a cancellation, wrong arguments, an open circuit
/// (TG_OPEN), or what cannot be sent twice. With a budget ask tg_retry_budget_try_withdraw() after a TG_OK and before
/// the wait:
///
///     while (!(ok = call(&error, &told_ns)) && may_be_retried(error)
///            && tg_retry_next(&config, ++attempts, draw(), &previous, told_ns, now() - start, &wait) == TG_OK
///            && tg_retry_budget_try_withdraw(budget) == TG_OK) sleep_ns(wait);
///
/// Errors: TG_OUT_OF_RANGE, TG_UNKNOWN_VALUE (jitter).
#[unsafe(no_mangle)]
pub extern "C" fn tg_retry_next(
    config: In<tg_retry_config>,
    attempts: u64,
    draw: f64,
    previous: Out<f64>,
    retry_after_ns: u64,
    elapsed_ns: u64,
    wait_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let policy = config.read("config")?.checked()?;
        let mut before = previous.value("previous")?;
        wait_ns.require("wait_ns")?;
        // For ever is no time to wait for: as long as allowed.
        let told = if retry_after_ns == TG_NEVER { Duration::MAX } else { Duration::from_nanos(retry_after_ns) };
        let next = policy.next(attempts, draw, &mut before, Some(told), Duration::from_nanos(elapsed_ns));
        previous.set(before);
        Ok(match next {
            Next::Wait(wait) => {
                wait_ns.set(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
                TG_OK
            }
            Next::Exhausted => TG_EXHAUSTED,
            Next::PastDeadline => TG_LATE,
        })
    })
}
