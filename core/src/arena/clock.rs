//! The clock of an arena of the machine: one for all its processes, whoever calibrated it.

use super::layout::{HEADER_AT, Header};
use super::{ArenaError, ArenaErrorKind};
use crate::Clock;
use crate::clock::{Pair, SharedClock, TOLERANCE, Tsc};
use crate::memory::{Mapping, One};
use std::mem::offset_of;
use std::sync::Arc;

/// How often a process checks.
const EVERY_NS: u64 = 1_000_000_000;
/// What an opener's readings may differ by at least.
const OPENER_NS: u64 = 1_000_000;

/// What the creator of an arena chose, as its header keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockParameters {
    /// 0: `CLOCK_MONOTONIC`; 1: the counter, by the next three.
    pub(super) kind: u64,
    pub(super) ticks0: u64,
    pub(super) ns0: u64,
    pub(super) mult: u64,
    /// `CLOCK_MONOTONIC` when it was chosen; with a counter, at `ticks0`.
    pub(super) os_ns0: u64,
    /// The creator's time namespace, in which `CLOCK_MONOTONIC` means what it does; 0: not known.
    pub(super) time_namespace: u64,
}

const BY_OS: u64 = 0;
const BY_COUNTER: u64 = 1;

impl ClockParameters {
    /// For a new arena. Takes 5 ms where there is a counter and this process did not calibrate it yet.
    pub(super) fn choose() -> Self {
        let time_namespace = time_namespace();
        match Tsc::get() {
            Some(tsc) => {
                let (ticks0, ns0, mult) = tsc.parts();
                Self { kind: BY_COUNTER, ticks0, ns0, mult, os_ns0: ns0, time_namespace }
            }
            None => Self { kind: BY_OS, ticks0: 0, ns0: 0, mult: 0, os_ns0: Clock::of_system().now(), time_namespace },
        }
    }
}

/// How the arena's clock and the system's stand, in nanoseconds since the arena was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Since {
    arena: i128,
    system: i128,
}

fn since(tsc: &Tsc, parameters: &ClockParameters, now: &Pair) -> Since {
    // In whole numbers of either sign: in a time namespace the system's clock may stand before the creator's moment.
    Since {
        arena: i128::from(tsc.ns_of(now.ticks)) - i128::from(parameters.ns0),
        system: i128::from(now.os_ns) - i128::from(parameters.os_ns0),
    }
}

impl Since {
    fn agree(self) -> bool {
        let age = self.arena.min(self.system).max(0);
        (self.arena - self.system).abs() <= i128::from(OPENER_NS) + age / i128::from(TOLERANCE)
    }
}

impl ClockParameters {
    /// The clock of an arena, by what its header said when it was checked.
    ///
    /// Errors: [`Clock`](ArenaErrorKind::Clock) when this process cannot read the same time.
    pub(super) fn open(&self, mapping: &Arc<Mapping>, name: &str) -> Result<Clock, ArenaError> {
        let refuse = |why: String| {
            let message = format!(
                "{why}; open the arena {name:?} from one time namespace, or stop who uses it and remove it with \
                 `tidegate rm {name}`"
            );
            ArenaError::new(ArenaErrorKind::Clock, message)
        };
        let here = time_namespace();
        // By the counter as well: it may be left for CLOCK_MONOTONIC at any moment (`move_all`), which is then another
        // one here. How far the two stand apart says nothing: an old arena's clocks may differ by as much as a
        // namespace's offset.
        if self.time_namespace != 0 && here != 0 && self.time_namespace != here {
            return Err(refuse(format!(
                "the arena {name:?} goes by CLOCK_MONOTONIC of the time namespace {}, this process is in {here}",
                self.time_namespace
            )));
        }
        if self.kind == BY_OS {
            return Ok(Clock::of_system());
        }
        let tsc = Tsc::of_parts(self.ticks0, self.ns0, self.mult)
            .filter(|_| self.kind == BY_COUNTER && cfg!(target_arch = "x86_64"))
            .ok_or_else(|| refuse(format!("the arena {name:?} goes by a clock that this program does not know")))?;
        let moved = One::at(mapping, HEADER_AT + offset_of!(Header, clock_moved))
            .ok_or_else(|| refuse(format!("the arena {name:?} is too short for a clock")))?;
        let now = Pair::read();
        let clock = SharedClock::new(tsc, moved, now, EVERY_NS);
        let since = since(&tsc, self, &now);
        if clock.tsc().is_some() && !since.agree() {
            return Err(refuse(format!(
                "since the arena {name:?} was made {} s passed by its clock and {} s by this process's \
                 CLOCK_MONOTONIC: is this process in a time namespace of its own, or was this virtual machine \
                 restored?",
                seconds(since.arena),
                seconds(since.system)
            )));
        }
        Ok(clock.into())
    }
}

fn seconds(ns: i128) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    format!("{sign}{}.{:06}", ns / 1_000_000_000, ns % 1_000_000_000 / 1000)
}

/// The number of this process's time namespace; 0 where there are none.
fn time_namespace() -> u64 {
    let link = std::fs::read_link("/proc/self/ns/time").unwrap_or_default();
    let digits = link.to_str().and_then(|text| text.strip_prefix("time:[")?.strip_suffix(']'));
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(all(test, target_arch = "x86_64"))]
#[path = "clock_tests.rs"]
mod tests;
