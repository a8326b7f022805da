//! Keyed limit.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

pub mod change;
pub mod config;
pub mod hit;
pub mod tier;
pub mod view;

use crate::arena::place::{Place, place};
use crate::decision::{allowed, answer, tg_decision};
use crate::handle::{Handle, In, Out};
use crate::panic::{guard, guard_system};
use crate::status::tg_status;
use config::tg_limiter_config;
use std::ffi::c_void;
use std::sync::Arc;
use tg_status::TG_OK;
use tidegate_core::RateLimiter;

/// A limit for each key (user, address, API key), in a table of fixed size.
#[derive(Debug)]
pub struct tg_limiter(pub(crate) Arc<RateLimiter>);

impl Handle for tg_limiter {}

/// Makes a keyed limit in which no key has used anything yet, or opens the one of that name in an arena.
///
/// Errors: TG_UTF8; TG_SYNTAX (rate); TG_OUT_OF_RANGE (a number that cannot be had); TG_NO_MEMORY (for max_keys);
/// TG_CONFLICT (neither or both of rate and count, a burst for a window, a queue for anything but a leaky bucket, half
/// a block or ramp, a clock beside an arena, an arena without a name); TG_UNKNOWN_VALUE (algorithm, mode, on_conflict);
/// TG_INVALID (a name that is none); TG_ARENA_SHAPE (another algorithm, max_keys, block or ramp under the name),
/// TG_ARENA_SETTINGS (another rate, burst or fastest), TG_ARENA_FULL, TG_ARENA_*.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_new(config: In<tg_limiter_config>, limiter: Out<*mut tg_limiter>) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        limiter.require("limiter")?;
        let settings = config.checked()?;
        let made = match place(&config.arena, &config.name, config.on_conflict, &config.clock)? {
            Place::Private(clock) => RateLimiter::with_config(settings, clock)?,
            Place::Arena(arena, name, on_conflict) => RateLimiter::in_arena(arena, name, settings, on_conflict)?,
        };
        limiter.give(tg_limiter(Arc::new(made)));
        Ok(TG_OK)
    })
}

/// Frees a keyed limit; NULL is fine. A set made with it goes on.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_free(limiter: Out<tg_limiter>) {
    guard_system(|| {
        limiter.free();
        Ok(TG_OK)
    });
}

/// Takes n from the limit of the key, or nothing: TG_OK or TG_DENIED. A leaky bucket admits here only what needs no
/// delay. A key is key_len bytes of any value; NULL with length 0 is the empty key, a key like any other.
///
/// Errors: TG_OUT_OF_RANGE (key_len).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_try_acquire(
    limiter: In<tg_limiter>,
    key: In<c_void>,
    key_len: usize,
    n: u32,
) -> tg_status {
    guard(|| Ok(allowed(limiter.get("limiter")?.0.try_acquire(key.bytes(key_len, "key")?, n))))
}

/// tg_limiter_try_acquire() at now_ns nanoseconds of the limiter's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_try_acquire_at(
    limiter: In<tg_limiter>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
    n: u32,
) -> tg_status {
    guard(|| Ok(allowed(limiter.get("limiter")?.0.try_acquire_at(now_ns, key.bytes(key_len, "key")?, n))))
}

/// Takes n from the limit of the key, or nothing, and tells what is left: TG_OK or TG_DENIED. With a leaky bucket, wait
/// decision->delay_ns before acting on TG_OK.
///
/// Errors: TG_OUT_OF_RANGE (key_len).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_check(
    limiter: In<tg_limiter>,
    key: In<c_void>,
    key_len: usize,
    n: u32,
    decision: Out<tg_decision>,
) -> tg_status {
    guard(|| {
        let (limiter, key) = (&limiter.get("limiter")?.0, key.bytes(key_len, "key")?);
        answer(&decision, || limiter.check(key, n))
    })
}

/// tg_limiter_check() at now_ns nanoseconds of the limiter's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_check_at(
    limiter: In<tg_limiter>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
    n: u32,
    decision: Out<tg_decision>,
) -> tg_status {
    guard(|| {
        let (limiter, key) = (&limiter.get("limiter")?.0, key.bytes(key_len, "key")?);
        answer(&decision, || limiter.check_at(now_ns, key, n))
    })
}

/// Tells what tg_limiter_check() of one would say, and takes nothing (so remaining is what is there now): TG_OK or
/// TG_DENIED.
///
/// Errors: TG_OUT_OF_RANGE (key_len).
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_peek(
    limiter: In<tg_limiter>,
    key: In<c_void>,
    key_len: usize,
    decision: Out<tg_decision>,
) -> tg_status {
    guard(|| {
        let (limiter, key) = (&limiter.get("limiter")?.0, key.bytes(key_len, "key")?);
        answer(&decision, || limiter.peek(key, None))
    })
}

/// tg_limiter_peek() at now_ns nanoseconds of the limiter's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_limiter_peek_at(
    limiter: In<tg_limiter>,
    now_ns: u64,
    key: In<c_void>,
    key_len: usize,
    decision: Out<tg_decision>,
) -> tg_status {
    guard(|| {
        let (limiter, key) = (&limiter.get("limiter")?.0, key.bytes(key_len, "key")?);
        answer(&decision, || limiter.peek_at(now_ns, key, None))
    })
}
