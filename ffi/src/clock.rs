//! Clocks: the machine's, or one that a test moves.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use crate::handle::{Handle, In, Out};
use crate::panic::{guard, guard_system};
use crate::status::{Failure, tg_status};
use std::time::Duration;
use tg_status::{TG_NOT_MANUAL, TG_OK};
use tidegate_core::{Clock, ManualClock};

/// A source of monotonic nanoseconds.
#[derive(Debug)]
pub struct tg_clock {
    pub(crate) clock: Clock,
    manual: Option<ManualClock>,
}

impl Handle for tg_clock {}

impl tg_clock {
    /// One that only its owner moves.
    pub(crate) fn of(clock: Clock) -> Self {
        Self { clock, manual: None }
    }

    fn manual(&self) -> Result<&ManualClock, Failure> {
        self.manual.as_ref().ok_or_else(|| {
            Failure::new(
                TG_NOT_MANUAL,
                "clock: the machine's clock cannot be moved; make one with tg_clock_manual_new()",
            )
        })
    }
}

/// The clock of a config: the machine's when NULL.
pub(crate) fn clock_or_monotonic(clock: &In<tg_clock>) -> Clock {
    clock.get_or_none().map_or_else(Clock::monotonic, |handle| handle.clock.clone())
}

/// Makes a handle to the machine's monotonic clock (what every object uses that is given no clock).
///
/// Ownership: objects made with it keep what they need.
#[unsafe(no_mangle)]
pub extern "C" fn tg_clock_monotonic_new(clock: Out<*mut tg_clock>) -> tg_status {
    guard_system(|| {
        clock.require("clock")?;
        clock.give(tg_clock::of(Clock::monotonic()));
        Ok(TG_OK)
    })
}

/// Makes a clock that stands at start_ns nanoseconds and moves only through tg_clock_advance() and tg_clock_set(): for
/// tests.
///
/// Ownership: objects made with it keep what they need.
#[unsafe(no_mangle)]
pub extern "C" fn tg_clock_manual_new(start_ns: u64, clock: Out<*mut tg_clock>) -> tg_status {
    guard_system(|| {
        clock.require("clock")?;
        let manual = ManualClock::new(start_ns);
        clock.give(tg_clock { clock: Clock::from(&manual), manual: Some(manual) });
        Ok(TG_OK)
    })
}

/// Frees a clock; NULL is fine. Objects that were made with it go on.
#[unsafe(no_mangle)]
pub extern "C" fn tg_clock_free(clock: Out<tg_clock>) {
    guard_system(|| {
        clock.free();
        Ok(TG_OK)
    });
}

/// Reads the clock: nanoseconds since an arbitrary, fixed moment.
#[unsafe(no_mangle)]
pub extern "C" fn tg_clock_now(clock: In<tg_clock>, now_ns: Out<u64>) -> tg_status {
    guard(|| {
        let handle = clock.get("clock")?;
        now_ns.require("now_ns")?;
        now_ns.set(handle.clock.now());
        Ok(TG_OK)
    })
}

/// Moves a manual clock forward; stops at the end of time (UINT64_MAX).
///
/// Errors: TG_NOT_MANUAL.
#[unsafe(no_mangle)]
pub extern "C" fn tg_clock_advance(clock: In<tg_clock>, by_ns: u64) -> tg_status {
    guard(|| {
        clock.get("clock")?.manual()?.advance(Duration::from_nanos(by_ns));
        Ok(TG_OK)
    })
}

/// Sets a manual clock to now_ns, backwards too.
///
/// Errors: TG_NOT_MANUAL.
#[unsafe(no_mangle)]
pub extern "C" fn tg_clock_set(clock: In<tg_clock>, now_ns: u64) -> tg_status {
    guard(|| {
        clock.get("clock")?.manual()?.set(now_ns);
        Ok(TG_OK)
    })
}
