//! Circuit breaker.

// `#[unsafe(no_mangle)]`, `unsafe impl Shared` for a transparent struct.
#![allow(unsafe_code)]

mod classified;
mod config;
pub mod operator;
mod permit;
pub mod registry;
pub mod report;
pub(crate) mod view;

pub use classified::tg_classified;
pub use config::tg_breaker_config;
pub use permit::{tg_outcome, tg_permit};
pub use view::{tg_breaker_snapshot, tg_event, tg_event_kind, tg_state};

use crate::arena::place::{Place, place};
use crate::handle::{Handle, In, Out, Shared};
use crate::panic::{guard, guard_system};
use crate::status::{Failure, tg_status};
use std::sync::Arc;
use tg_status::{TG_EMPTY, TG_OK, TG_OPEN, TG_OUT_OF_RANGE};
use tidegate_core::CircuitBreaker;
use tidegate_core::breaker::{Permit, Rejected};

/// A circuit breaker: closed, open, half-open.
// By way of `cfg_attr`, which cbindgen does not follow: it would write an alias of a type that the header does not
// have.
#[derive(Debug)]
#[cfg_attr(all(), repr(transparent))]
pub struct tg_breaker(pub(crate) CircuitBreaker);

impl Handle for tg_breaker {}
// SAFETY: repr(transparent).
unsafe impl Shared for tg_breaker {
    type Inner = CircuitBreaker;
}

/// Makes a closed circuit breaker, or opens the one of that name in an arena.
///
/// Errors: TG_UTF8 (name), TG_SYNTAX (an empty name), TG_OUT_OF_RANGE (a rate outside 0 .. 1, a cooldown of 0, ...),
/// TG_NO_MEMORY (for window_calls or probes), TG_CONFLICT (both windows, a clock beside an arena, an arena without a
/// name); TG_UNKNOWN_VALUE (on_conflict); TG_INVALID (a name that is none); TG_ARENA_SHAPE (a window of the other kind
/// under the name), TG_ARENA_SETTINGS (other thresholds or times), TG_ARENA_FULL, TG_ARENA_*.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_new(config: In<tg_breaker_config>, breaker: Out<*mut tg_breaker>) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        breaker.require("breaker")?;
        let settings = config.checked()?;
        let made = match place(&config.arena, &config.name, config.on_conflict, &config.clock)? {
            Place::Private(clock) => {
                CircuitBreaker::with_clock(config.name.text("name")?.unwrap_or("default"), settings, clock)?
            }
            Place::Arena(arena, name, on_conflict) => CircuitBreaker::in_arena(arena, name, settings, on_conflict)?,
        };
        breaker.give_shared(Arc::new(made));
        Ok(TG_OK)
    })
}

/// Changes all settings of a breaker, for all who share it: *config as for tg_breaker_new(), of which name, clock,
/// arena and on_conflict say nothing here. State, permits, probes that are out, the present cooldown and the calls in
/// the window stay; each report goes by the settings before or by those after. The change judges nothing by itself.
///
/// Errors: as tg_breaker_new(); TG_CONFLICT (a window of the other kind), TG_OUT_OF_RANGE (what it has had no room for
/// since it was made: more window_calls than it was made with or 992, a window_duration_ns of less than half or more
/// than five times, more probes than it was made with or 16); TG_ARENA_* (the system refuses the arena's lock). Nothing
/// is changed then.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_set_config(breaker: In<tg_breaker>, config: In<tg_breaker_config>) -> tg_status {
    guard_system(|| {
        let breaker = &breaker.get("breaker")?.0;
        breaker.set_config(&config.read("config")?.checked()?)?;
        Ok(TG_OK)
    })
}

/// tg_breaker_set_config() at now_ns nanoseconds of the breaker's clock, which the event carries.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_set_config_at(
    breaker: In<tg_breaker>,
    now_ns: u64,
    config: In<tg_breaker_config>,
) -> tg_status {
    guard_system(|| {
        let breaker = &breaker.get("breaker")?.0;
        breaker.set_config_at(now_ns, &config.read("config")?.checked()?)?;
        Ok(TG_OK)
    })
}

/// Tells the settings in force: *config is filled in but for name, clock and arena, which are NULL, and on_conflict,
/// which is 0. Change some of it and give it to tg_breaker_set_config().
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_get_config(breaker: In<tg_breaker>, config: Out<tg_breaker_config>) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        let room = config.room("config")?;
        config.fill(room, tg_breaker_config::of(&breaker.config()));
        Ok(TG_OK)
    })
}

/// Frees a breaker; NULL is fine. Permits still out are void. One that a registry gave stays in the registry, and its
/// permits good: freed is this handle, once for each time that it was given.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_free(breaker: Out<tg_breaker>) {
    guard_system(|| {
        breaker.free_shared();
        Ok(TG_OK)
    });
}

/// Asks for one call. TG_OK: *permit is filled in, make the call and report it. TG_OPEN: do not call; *retry_after_ns
/// (may be NULL) tells when a probe may be tried (TG_NEVER: forced open), and *permit is all zero; trip_calls and the
/// fields after it of tg_breaker_stats() tell what opened it, and ramping that it
/// is closed and lets calls back by degrees.
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

/// tg_breaker_acquire() at now_ns nanoseconds of the breaker's clock, by a draw of 0 to below 1: in a ramp the call
/// passes where it is below the chance. Otherwise it plays no part.
///
/// Errors: TG_OUT_OF_RANGE (draw); nothing is acquired then.
#[unsafe(no_mangle)]
pub extern "C" fn tg_breaker_acquire_at(
    breaker: In<tg_breaker>,
    now_ns: u64,
    draw: f64,
    permit: Out<tg_permit>,
    retry_after_ns: Out<u64>,
) -> tg_status {
    guard(|| {
        let breaker = &breaker.get("breaker")?.0;
        permit.require("permit")?;
        if !(0.0..=1.0).contains(&draw) {
            return Err(Failure::new(TG_OUT_OF_RANGE, format!("draw: {draw} is not within 0 to 1")));
        }
        Ok(granted(breaker.acquire_at(now_ns, draw), &permit, &retry_after_ns))
    })
}

fn granted(answer: Result<Permit, Rejected>, permit: &Out<tg_permit>, retry_after: &Out<u64>) -> tg_status {
    match answer {
        Ok(granted) => {
            permit.set(granted.into());
            retry_after.set(0);
            TG_OK
        }
        Err(Rejected { retry_after_ns, .. }) => {
            permit.set(tg_permit::default());
            retry_after.set(retry_after_ns);
            TG_OPEN
        }
    }
}

/// Tells where the breaker stands: one of tg_state. It still reads TG_STATE_OPEN after the cooldown, until somebody
/// acquires a probe.
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

/// Reads the oldest event whose number is at least from: TG_OK, or TG_EMPTY when there is none. To follow a breaker:
/// `while (tg_breaker_next_event(breaker, next, &event) == TG_OK) next = event.seq + 1;`
///
/// Thread safety: each follower keeps its own number.
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
