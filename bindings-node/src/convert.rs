//! Milliseconds outside, nanoseconds inside.

use crate::io::{DECISION, Io};
use std::time::Duration;
use tidegate::Decision;
use tidegate::decision::NEVER;

/// Nanoseconds → milliseconds; "never" is `Infinity`.
#[inline]
pub(crate) fn ms(ns: u64) -> f64 {
    if ns == NEVER { f64::INFINITY } else { ns as f64 / 1e6 }
}

/// Milliseconds (finite and not negative: JavaScript has checked) → a duration, to the nearest nanosecond.
pub(crate) fn duration(ms: f64) -> Duration {
    Duration::from_nanos((ms * 1e6).round() as u64)
}

/// A decision as numbers.
#[inline]
pub(crate) fn numbers(decision: &Decision) -> [f64; DECISION] {
    [
        f64::from(u8::from(decision.allowed)),
        f64::from(decision.limit),
        f64::from(decision.remaining),
        ms(decision.retry_after_ns),
        ms(decision.reset_after_ns),
        ms(decision.delay_ns),
    ]
}

/// A decision as the answer of an operation: numbers from the first on.
#[inline]
pub(crate) fn answer(io: Io, decision: &Decision) {
    io.set(numbers(decision));
}
