//! Counting without judging.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use super::tg_limiter;
use crate::handle::{In, Out};
use crate::panic::guard;
use crate::status::tg_status;
use std::ffi::c_void;
use tg_status::TG_OK;
use tidegate_core::limit::{Hits, Windows};

/// TG_ALGORITHM_FIXED_WINDOW only: counts n hits of the key whatever the limit, for stores that judge by themselves.
/// *hits: those of the present window, these included; *reset_after_ns: until it ends, or 0 of a key that has none and
/// is only looked at (n = 0). Counts as far as the bits of the limit go (7 with a limit of 4 .. 7), and that number
/// stands for more; declare a larger fastest to count further.
///
/// Ownership: hits and reset_after_ns may be NULL.
/// Errors: TG_OUT_OF_RANGE (key_len), TG_CONFLICT (another algorithm).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_hit(
    limiter: In<tg_limiter>,
    key: In<c_void>,
    key_len: usize,
    n: u32,
    hits: Out<u32>,
    reset_after_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let counted = limiter.get("limiter")?.0.hit(key.bytes(key_len, "key")?, n)?;
        Ok(tell(counted, &hits, &reset_after_ns))
    })
}

/// tg_limiter_hit() at now_ns nanoseconds of the limiter's clock.
///
/// Ownership: hits and reset_after_ns may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_hit_at(
    limiter: In<tg_limiter>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
    n: u32,
    hits: Out<u32>,
    reset_after_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let counted = limiter.get("limiter")?.0.hit_at(now_ns, key.bytes(key_len, "key")?, n)?;
        Ok(tell(counted, &hits, &reset_after_ns))
    })
}

fn tell(counted: Hits, hits: &Out<u32>, reset_after_ns: &Out<u64>) -> tg_status {
    hits.set(counted.count);
    reset_after_ns.set(counted.reset_after_ns);
    TG_OK
}

/// TG_ALGORITHM_SLIDING_WINDOW only: the two counts behind a key's estimate, for stores that judge by themselves.
/// *previous and *current: of the window before and of this one; *left_ns: until this one ends. Takes nothing.
///
/// Ownership: previous, current and left_ns may be NULL.
/// Errors: TG_OUT_OF_RANGE (key_len), TG_CONFLICT (another algorithm).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_windows(
    limiter: In<tg_limiter>,
    key: In<c_void>,
    key_len: usize,
    previous: Out<u32>,
    current: Out<u32>,
    left_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let windows = limiter.get("limiter")?.0.windows(key.bytes(key_len, "key")?)?;
        Ok(show(windows, &previous, &current, &left_ns))
    })
}

/// tg_limiter_windows() at now_ns nanoseconds of the limiter's clock.
///
/// Ownership: previous, current and left_ns may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_windows_at(
    limiter: In<tg_limiter>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
    previous: Out<u32>,
    current: Out<u32>,
    left_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let windows = limiter.get("limiter")?.0.windows_at(now_ns, key.bytes(key_len, "key")?)?;
        Ok(show(windows, &previous, &current, &left_ns))
    })
}

fn show(windows: Windows, previous: &Out<u32>, current: &Out<u32>, left_ns: &Out<u64>) -> tg_status {
    previous.set(windows.previous);
    current.set(windows.current);
    left_ns.set(windows.left_ns);
    TG_OK
}
