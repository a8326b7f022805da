//! The clock of an arena of the machine: one for all its processes, whoever calibrated it.
//!
//! The CPU's counter by the creator's numbers, as long as it keeps the system's pace. Each process compares the two about once a
//! second, on the way of a reading; whoever finds them apart moves all to `CLOCK_MONOTONIC` plus an offset, once and for ever.

use super::tsc::{Pair, Tsc, ticks};
use super::{Clock, Source, os};
use crate::arena::layout::{HEADER_AT, Header};
use crate::arena::{ArenaError, ArenaErrorKind};
use crate::memory::{Mapping, One};
use crate::sync::{AtomicU64, Ordering};
use crate::sys::ForkLock;
use std::mem::offset_of;
use std::sync::Arc;

/// What the creator of an arena chose, as its header keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// 0: `CLOCK_MONOTONIC`; 1: the counter, by the next three.
    pub(crate) kind: u64,
    pub(crate) ticks0: u64,
    pub(crate) ns0: u64,
    pub(crate) mult: u64,
    /// `CLOCK_MONOTONIC` when it was chosen; with a counter, at `ticks0`.
    pub(crate) os_ns0: u64,
    /// The creator's time namespace, in which `CLOCK_MONOTONIC` means what it does; 0: not known.
    pub(crate) time_namespace: u64,
}

const BY_OS: u64 = 0;
const BY_COUNTER: u64 = 1;

impl Origin {
    /// For a new arena. Takes 5 ms where there is a counter and this process did not calibrate it yet.
    pub(crate) fn choose() -> Self {
        let time_namespace = time_namespace();
        match Tsc::get() {
            Some(tsc) => {
                let (ticks0, ns0, mult) = tsc.parts();
                Self { kind: BY_COUNTER, ticks0, ns0, mult, os_ns0: ns0, time_namespace }
            }
            None => Self { kind: BY_OS, ticks0: 0, ns0: 0, mult: 0, os_ns0: os::monotonic(), time_namespace },
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct HostClock {
    tsc: Tsc,
    /// The header's `clock_moved`: read by every reading, written once.
    moved: One<AtomicU64>,
    /// A little before the counter at the last check, so that a core whose counter lags does not seem to be far ahead.
    checked: AtomicU64,
    /// Ticks from `checked` to the next check.
    every: u64,
    last: ForkLock<Option<Pair>>,
}

/// How often a process checks.
const EVERY_NS: u64 = 1_000_000_000;
/// How far apart counter and system may go: 200 parts in a million.
const TOLERANCE: u64 = 5_000;
/// What an opener's readings may differ by at least.
const OPENER_NS: u64 = 1_000_000;
/// What two readings of a steady clock may differ by for other reasons than the width of the pairs.
const NOISE_NS: u64 = 1_000;

impl HostClock {
    fn new(tsc: Tsc, moved: One<AtomicU64>, now: Pair, every_ns: u64) -> Self {
        let every = tsc.ticks_in(every_ns);
        let checked = AtomicU64::new(now.ticks.wrapping_sub(every / 16));
        Self { tsc, moved, checked, every: every + every / 16, last: ForkLock::new(Some(now)) }
    }

    /// Nanoseconds of the arena's clock.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self.ticks() {
            Some(ticks) => self.tsc.ns_of(ticks),
            None => self.by_os(),
        }
    }

    /// The counter, for who converts it by the clock's numbers; `None`: the clock goes by it no more.
    #[inline]
    pub(crate) fn ticks(&self) -> Option<u64> {
        // Relaxed: a reading orders nothing. Who does not see a move yet reads a clock that the new one continues.
        if self.moved.load(Ordering::Relaxed) != 0 {
            return None;
        }
        let ticks = ticks();
        // Relaxed: only when to check. A counter that was set back is far ahead by wrapping.
        if ticks.wrapping_sub(self.checked.load(Ordering::Relaxed)) >= self.every {
            return self.checked_ticks(ticks);
        }
        Some(ticks)
    }

    /// The counter's numbers.
    pub(crate) fn tsc(&self) -> Option<&Tsc> {
        // Relaxed: as `ticks`.
        (self.moved.load(Ordering::Relaxed) == 0).then_some(&self.tsc)
    }

    /// Whether the two read one time: the creator's counter reading is like no other arena's.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.tsc.parts() == other.tsc.parts()
    }

    #[cold]
    fn by_os(&self) -> u64 {
        // Relaxed: as `ticks`.
        match self.moved.load(Ordering::Relaxed) {
            // Somebody wrote to it who should not.
            0 => self.tsc.now(),
            moved => os::monotonic().wrapping_add(moved.wrapping_sub(1)),
        }
    }

    /// Checks, unless another thread does.
    #[cold]
    fn checked_ticks(&self, ticks: u64) -> Option<u64> {
        if let Some(mut last) = self.last.try_lock() {
            let now = Pair::read();
            match last.map(|last| pace(&self.tsc, &last, &now)) {
                Some(Pace::Apart { offset }) => self.move_all(offset),
                Some(Pace::Steady) | None => *last = Some(now),
            }
            // Relaxed: only when to check.
            self.checked.store(now.ticks.wrapping_sub(self.every / 17), Ordering::Relaxed);
        }
        // Relaxed: as `ticks`; after the exchange in program order.
        (self.moved.load(Ordering::Relaxed) == 0).then_some(ticks)
    }

    fn move_all(&self, offset: u64) {
        // 0 means "not moved", so an offset of -1 becomes one of 0: a nanosecond later.
        let moved = offset.wrapping_add(1).max(1);
        // Relaxed: the offset is all there is to say. Only the first of several finders moves the clock.
        let _ = self.moved.compare_exchange(0, moved, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Whether a counter keeps the system's pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Steady,
    /// It does not. `CLOCK_MONOTONIC` plus this (wrapping) continues from the highest reading.
    Apart {
        offset: u64,
    },
}

/// From what was read at two moments.
fn pace(tsc: &Tsc, before: &Pair, now: &Pair) -> Pace {
    let passed = now.os_ns.saturating_sub(before.os_ns);
    let (expected, read) = (tsc.ns_of(before.ticks).wrapping_add(passed), tsc.ns_of(now.ticks));
    // A thread that was preempted within a pair does not know what belongs together.
    let noise = NOISE_NS.saturating_add(tsc.ns_in(before.width)).saturating_add(tsc.ns_in(now.width));
    if read.abs_diff(expected) <= noise.saturating_add(passed / TOLERANCE) {
        Pace::Steady
    } else {
        Pace::Apart { offset: read.max(expected).wrapping_sub(now.os_ns) }
    }
}

/// How the arena's clock and the system's stand, in nanoseconds since the arena was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Since {
    arena: i128,
    system: i128,
}

fn since(tsc: &Tsc, origin: &Origin, now: &Pair) -> Since {
    // In whole numbers of either sign: in a time namespace the system's clock may stand before the origin.
    Since {
        arena: i128::from(tsc.ns_of(now.ticks)) - i128::from(origin.ns0),
        system: i128::from(now.os_ns) - i128::from(origin.os_ns0),
    }
}

impl Since {
    fn agree(self) -> bool {
        let age = self.arena.min(self.system).max(0);
        (self.arena - self.system).abs() <= i128::from(OPENER_NS) + age / i128::from(TOLERANCE)
    }
}

impl Clock {
    /// The clock of an arena, by what its header said when it was checked.
    ///
    /// Errors: [`Clock`](ArenaErrorKind::Clock) when this process cannot read the same time.
    pub(crate) fn of_arena(mapping: &Arc<Mapping>, origin: &Origin, name: &str) -> Result<Self, ArenaError> {
        let refuse = |why: String| {
            let message = format!(
                "{why}; open the arena {name:?} from one time namespace, or stop who uses it and remove it with `tidegate rm \
                 {name}`"
            );
            ArenaError::new(ArenaErrorKind::Clock, message)
        };
        let here = time_namespace();
        let same_namespace = || {
            if origin.time_namespace == 0 || here == 0 || origin.time_namespace == here {
                return Ok(());
            }
            Err(refuse(format!(
                "the arena {name:?} goes by CLOCK_MONOTONIC of the time namespace {}, this process is in {here}",
                origin.time_namespace
            )))
        };
        if origin.kind == BY_OS {
            return same_namespace().map(|()| Self(Source::Os));
        }
        let tsc = Tsc::of_parts(origin.ticks0, origin.ns0, origin.mult)
            .filter(|_| origin.kind == BY_COUNTER && cfg!(target_arch = "x86_64"))
            .ok_or_else(|| refuse(format!("the arena {name:?} goes by a clock that this program does not know")))?;
        let moved = One::at(mapping, HEADER_AT + offset_of!(Header, clock_moved))
            .ok_or_else(|| refuse(format!("the arena {name:?} is too short for a clock")))?;
        let now = Pair::read();
        let clock = HostClock::new(tsc, moved, now, EVERY_NS);
        let since = since(&clock.tsc, origin, &now);
        if clock.tsc().is_none() {
            same_namespace()?;
        } else if !since.agree() {
            return Err(refuse(format!(
                "since the arena {name:?} was made {} s passed by its clock and {} s by this process's CLOCK_MONOTONIC: is \
                 this process in a time namespace of its own, or was this virtual machine restored?",
                seconds(since.arena),
                seconds(since.system)
            )));
        }
        Ok(Self(Source::Host(Arc::new(clock))))
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
#[path = "host_tests.rs"]
mod tests;
