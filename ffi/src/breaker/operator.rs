//! The operator's switches.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use super::tg_breaker;
use crate::handle::In;
use crate::panic::guard_system;
use crate::status::tg_status;
use tg_status::TG_OK;

/// Opens the circuit until tg_breaker_reset(). Permits still out are void.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_force_open(breaker: In<tg_breaker>) -> tg_status {
    guard_system(|| {
        breaker.get("breaker")?.0.force_open();
        Ok(TG_OK)
    })
}

/// tg_breaker_force_open() at now_ns nanoseconds of the breaker's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_force_open_at(breaker: In<tg_breaker>, now_ns: u64) -> tg_status {
    guard_system(|| {
        breaker.get("breaker")?.0.force_open_at(now_ns);
        Ok(TG_OK)
    })
}

/// Lets every call pass and counts nothing, until tg_breaker_reset(). Permits still out are void.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_disable(breaker: In<tg_breaker>) -> tg_status {
    guard_system(|| {
        breaker.get("breaker")?.0.disable();
        Ok(TG_OK)
    })
}

/// tg_breaker_disable() at now_ns nanoseconds of the breaker's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_disable_at(breaker: In<tg_breaker>, now_ns: u64) -> tg_status {
    guard_system(|| {
        breaker.get("breaker")?.0.disable_at(now_ns);
        Ok(TG_OK)
    })
}

/// Counts and never opens, until tg_breaker_reset(). Permits still out are void.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_metrics_only(breaker: In<tg_breaker>) -> tg_status {
    guard_system(|| {
        breaker.get("breaker")?.0.metrics_only();
        Ok(TG_OK)
    })
}

/// tg_breaker_metrics_only() at now_ns nanoseconds of the breaker's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_metrics_only_at(breaker: In<tg_breaker>, now_ns: u64) -> tg_status {
    guard_system(|| {
        breaker.get("breaker")?.0.metrics_only_at(now_ns);
        Ok(TG_OK)
    })
}

/// Closes the circuit, with an empty window and the first cooldown. Permits still out are void.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_reset(breaker: In<tg_breaker>) -> tg_status {
    guard_system(|| {
        breaker.get("breaker")?.0.reset();
        Ok(TG_OK)
    })
}

/// tg_breaker_reset() at now_ns nanoseconds of the breaker's clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_reset_at(breaker: In<tg_breaker>, now_ns: u64) -> tg_status {
    guard_system(|| {
        breaker.get("breaker")?.0.reset_at(now_ns);
        Ok(TG_OK)
    })
}
