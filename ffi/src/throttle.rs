//! Client throttle.

// `#[unsafe(no_mangle)]`, `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

use crate::arena::place::{Place, place, unused};
use crate::arena::tg_arena;
use crate::clock::tg_clock;
use crate::handle::{Handle, In, Out, Settings, versioned};
use crate::mode::mode;
use crate::panic::{guard, guard_system};
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use std::mem::size_of;
use std::time::Duration;
use tg_status::{TG_DENIED, TG_OK};
use tidegate_core::retry::draw;
use tidegate_core::{ClientThrottle, ClientThrottleConfig};

/// Rejects calls by chance, the more of them the fewer the backend accepts: with probability
/// (requests - k * accepts) / (requests + 1) over the last window_ns, at most max_rejection, and one call each
/// force_pass_ns passes in any case (Google, "Site Reliability Engineering", chapter 21). Its own rejections count as
/// requests.
#[derive(Debug)]
pub struct tg_throttle(pub(crate) ClientThrottle);

impl Handle for tg_throttle {}

/// Settings of a client throttle. Start from TG_THROTTLE_CONFIG_INIT, which holds the defaults.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_throttle_config {
    /// sizeof(tg_throttle_config)
    pub struct_size: usize,
    /// The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
    pub clock: In<tg_clock>,
    /// Where its state lives; NULL: in memory of its own. Shared.
    pub arena: In<tg_arena>,
    /// Its name in the arena, that of the dependency; without an arena it says nothing. Borrowed during the call.
    pub name: In<c_char>,
    /// How many requests for each accepted one are tolerated, 1 .. 1000: lower rejects sooner.
    pub k: f64,
    /// No probability is higher, 0 < p <= 1.
    pub max_rejection: f64,
    /// Over what requests and accepts are counted, in ten slices.
    pub window_ns: u64,
    /// One call each so long passes in any case.
    pub force_pass_ns: u64,
    /// Nothing is rejected below so many requests in the window.
    pub min_calls: u32,
    /// One of tg_mode.
    pub mode: i32,
    /// One of tg_on_conflict; without an arena it says nothing.
    pub on_conflict: i32,
    /// 0.
    pub reserved: u32,
}

versioned!(
    tg_throttle_config,
    first = 80,
    fields = [clock, arena, name, k, max_rejection, window_ns, force_pass_ns, min_calls, mode, on_conflict, reserved]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_throttle_config {}

impl Default for tg_throttle_config {
    fn default() -> Self {
        let core = ClientThrottleConfig::default();
        let ns = |span: Duration| span.as_nanos() as u64;
        Self {
            struct_size: size_of::<Self>(),
            clock: In::default(),
            arena: In::default(),
            name: In::default(),
            k: core.k,
            max_rejection: core.max_rejection,
            window_ns: ns(core.window),
            force_pass_ns: ns(core.force_pass),
            min_calls: core.min_calls,
            mode: 0,
            on_conflict: 0,
            reserved: 0,
        }
    }
}

impl tg_throttle_config {
    fn checked(&self) -> Result<ClientThrottleConfig, Failure> {
        unused(self.reserved)?;
        Ok(ClientThrottleConfig {
            k: self.k,
            window: Duration::from_nanos(self.window_ns),
            min_calls: self.min_calls,
            max_rejection: self.max_rejection,
            force_pass: Duration::from_nanos(self.force_pass_ns),
            mode: mode(self.mode)?,
        })
    }
}

/// A look at a client throttle. Start from TG_THROTTLE_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_throttle_snapshot {
    /// sizeof(tg_throttle_snapshot)
    pub struct_size: usize,
    // <stats throttle>
    /// Calls that the backend accepted.
    pub accepted: u64,
    /// Calls that the backend refused.
    pub refused: u64,
    /// Calls rejected here.
    pub rejected: u64,
    /// Calls that a dry run let through and that would have been rejected.
    pub would_reject: u64,
    /// Calls that passed because one each force_pass_ns does.
    pub forced: u64,
    /// Requests in the window, own rejections among them.
    pub window_requests: u64,
    /// Of these, accepted.
    pub window_accepts: u64,
    /// The probability of a rejection now.
    pub probability: f64,
    // </stats>
}

versioned!(
    tg_throttle_snapshot,
    first = 72,
    fields = [accepted, refused, rejected, would_reject, forced, window_requests, window_accepts, probability]
);

/// Makes a client throttle, or opens the one of that name in an arena.
///
/// Errors: TG_UTF8; TG_OUT_OF_RANGE (k, max_rejection, window_ns, force_pass_ns, min_calls,
/// reserved); TG_CONFLICT (a clock beside an arena, an arena without a name); TG_UNKNOWN_VALUE (mode, on_conflict);
/// TG_INVALID (a name that is none); TG_ARENA_SHAPE (another window_ns under the name), TG_ARENA_SETTINGS,
/// TG_ARENA_FULL, TG_ARENA_*.
#[unsafe(no_mangle)]
pub extern "C" fn tg_throttle_new(config: In<tg_throttle_config>, throttle: Out<*mut tg_throttle>) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        throttle.require("throttle")?;
        let settings = config.checked()?;
        let made = match place(&config.arena, &config.name, config.on_conflict, &config.clock)? {
            Place::Private(clock) => ClientThrottle::with_clock(settings, clock)?,
            Place::Arena(arena, name, on_conflict) => ClientThrottle::in_arena(arena, name, settings, on_conflict)?,
        };
        throttle.give(tg_throttle(made));
        Ok(TG_OK)
    })
}

/// Frees a client throttle; NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn tg_throttle_free(throttle: Out<tg_throttle>) {
    guard_system(|| {
        throttle.free();
        Ok(TG_OK)
    });
}

/// Asks whether a call may be made: TG_OK, and it reports once with tg_throttle_report(); TG_DENIED, and it does not.
#[unsafe(no_mangle)]
pub extern "C" fn tg_throttle_try_acquire(throttle: In<tg_throttle>) -> tg_status {
    // What makes system calls (the first draw after a fork) holds cancellation off.
    guard_system(|| {
        let it = &throttle.get("throttle")?.0;
        Ok(if it.try_acquire(draw()) { TG_OK } else { TG_DENIED })
    })
}

/// tg_throttle_try_acquire() at now_ns of its clock, by a random number from 0 up to, but not including, 1:
/// the call is rejected when that is below the probability, or no number.
#[unsafe(no_mangle)]
pub extern "C" fn tg_throttle_try_acquire_at(throttle: In<tg_throttle>, now_ns: u64, draw: f64) -> tg_status {
    guard(|| {
        let it = &throttle.get("throttle")?.0;
        Ok(if it.try_acquire_at(now_ns, draw) { TG_OK } else { TG_DENIED })
    })
}

/// Reports a call that passed: accepted is 0 where the backend refused it (overloaded, out of time, not there), else it
/// did not. A call that
/// was cancelled or said nothing about the backend reports nothing.
#[unsafe(no_mangle)]
pub extern "C" fn tg_throttle_report(throttle: In<tg_throttle>, accepted: i32) -> tg_status {
    guard(|| {
        let it = &throttle.get("throttle")?.0;
        it.report_at(it.clock().now(), accepted != 0);
        Ok(TG_OK)
    })
}

/// tg_throttle_report() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_throttle_report_at(throttle: In<tg_throttle>, now_ns: u64, accepted: i32) -> tg_status {
    guard(|| {
        let it = &throttle.get("throttle")?.0;
        it.report_at(now_ns, accepted != 0);
        Ok(TG_OK)
    })
}

/// Tells the probability with which a call would be rejected now.
#[unsafe(no_mangle)]
pub extern "C" fn tg_throttle_probability(throttle: In<tg_throttle>, probability: Out<f64>) -> tg_status {
    guard(|| {
        let it = &throttle.get("throttle")?.0;
        probability.require("probability")?;
        probability.set(it.probability_at(it.clock().now()));
        Ok(TG_OK)
    })
}

/// tg_throttle_probability() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_throttle_probability_at(
    throttle: In<tg_throttle>,
    now_ns: u64,
    probability: Out<f64>,
) -> tg_status {
    guard(|| {
        let it = &throttle.get("throttle")?.0;
        probability.require("probability")?;
        probability.set(it.probability_at(now_ns));
        Ok(TG_OK)
    })
}

/// Tells how long it takes until the next call that passes in any case.
#[unsafe(no_mangle)]
pub extern "C" fn tg_throttle_retry_after(throttle: In<tg_throttle>, ns: Out<u64>) -> tg_status {
    guard(|| {
        let it = &throttle.get("throttle")?.0;
        ns.require("ns")?;
        ns.set(it.retry_after_ns_at(it.clock().now()));
        Ok(TG_OK)
    })
}

/// tg_throttle_retry_after() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_throttle_retry_after_at(throttle: In<tg_throttle>, now_ns: u64, ns: Out<u64>) -> tg_status {
    guard(|| {
        let it = &throttle.get("throttle")?.0;
        ns.require("ns")?;
        ns.set(it.retry_after_ns_at(now_ns));
        Ok(TG_OK)
    })
}

/// Tells the counts since the throttle was made, and what its window holds.
#[unsafe(no_mangle)]
pub extern "C" fn tg_throttle_stats(throttle: In<tg_throttle>, snapshot: Out<tg_throttle_snapshot>) -> tg_status {
    guard(|| {
        let it = &throttle.get("throttle")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, it.stats_at(it.clock().now()).into());
        Ok(TG_OK)
    })
}

/// tg_throttle_stats() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_throttle_stats_at(
    throttle: In<tg_throttle>,
    now_ns: u64,
    snapshot: Out<tg_throttle_snapshot>,
) -> tg_status {
    guard(|| {
        let it = &throttle.get("throttle")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, it.stats_at(now_ns).into());
        Ok(TG_OK)
    })
}
