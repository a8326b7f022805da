//! Milliseconds outside, nanoseconds inside.

use std::time::Duration;
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
