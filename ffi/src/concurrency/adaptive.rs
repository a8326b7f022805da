//! A concurrency limit that follows what calls report of themselves.

// `#[unsafe(no_mangle)]`, `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

use super::config::{most, order};
use super::partition::{partitions, tg_partition};
use super::tg_concurrency;
use super::tg_concurrency_permit;
use crate::arena::place::{Place, place};
use crate::arena::tg_arena;
use crate::clock::tg_clock;
use crate::handle::{In, Out, Settings, versioned};
use crate::mode::mode;
use crate::panic::{guard, guard_system};
use crate::quota::bound;
use crate::status::{Failure, tg_status};
use std::ffi::c_char;
use std::mem::size_of;
use std::time::Duration;
use tg_status::{TG_NOT_HELD, TG_OK, TG_UNKNOWN_VALUE};
use tidegate_core::concurrency::{AdaptiveAlgorithm, AdaptiveConfig, ConcurrencyPermit, Outcome};
use tidegate_core::{ConcurrencyConfig, ConcurrencyLimiter};

/// How an adaptive limit moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_adaptive_algorithm {
    /// The median against the latency of an unloaded call, which is probed for. The one to take.
    TG_ADAPTIVE_GRADIENT = 0,
    /// Netflix's Gradient2Limit, for those who migrate; its defaults there: min_limit 20, max_limit 200, tolerance 1.5,
    /// window_ns 1 s, samples 10.
    TG_ADAPTIVE_GRADIENT2 = 1,
    /// Netflix's VegasLimit, for those who migrate; its defaults there: window_ns 1 s, samples 10.
    TG_ADAPTIVE_VEGAS = 2,
    /// Netflix's AIMDLimit, for those who migrate; its defaults there: min_limit 20, max_limit 200, window_ns 1 s,
    /// samples 10.
    TG_ADAPTIVE_AIMD = 3,
}

/// What became of a call that held a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_concurrency_outcome {
    /// It was done; its latency counts.
    TG_CONCURRENCY_SUCCESS = 0,
    /// It says nothing of the latency.
    TG_CONCURRENCY_IGNORE = 1,
    /// It timed out, or was refused downstream.
    TG_CONCURRENCY_DROPPED = 2,
}

/// Settings of an adaptive concurrency limit. Start from TG_ADAPTIVE_CONFIG_INIT, which holds the defaults of
/// TG_ADAPTIVE_GRADIENT.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_adaptive_config {
    /// sizeof(tg_adaptive_config)
    pub struct_size: usize,
    /// The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Waiting always uses the
    /// machine's. Borrowed during the call.
    pub clock: In<tg_clock>,
    /// Where its state lives; NULL: in memory of its own. Shared.
    pub arena: In<tg_arena>,
    /// Its name in the arena; without an arena it says nothing. Borrowed during the call.
    pub name: In<c_char>,
    /// How many times the latency of an unloaded call the median may be.
    pub tolerance: f64,
    /// TG_ADAPTIVE_AIMD: what a drop leaves of the limit.
    pub backoff_ratio: f64,
    /// The limit moves once in so long.
    pub window_ns: u64,
    /// A window with fewer than samples ends after so long.
    pub max_window_ns: u64,
    /// After so long without an unloaded look a saturated limit probes, up to 15 % later.
    pub probe_every_ns: u64,
    /// A median above it always lowers the limit and teaches nothing; 0: none.
    pub max_latency_ns: u64,
    /// The latency of an unloaded call, where it is known: it is not measured then; 0: it is.
    pub base_ns: u64,
    /// TG_ADAPTIVE_AIMD: a mean latency above it is a drop.
    pub timeout_ns: u64,
    /// The limit never falls below.
    pub min_limit: u32,
    /// Where it begins.
    pub initial_limit: u32,
    /// It never rises above, at most 4096: a place for each is kept.
    pub max_limit: u32,
    /// A window that is long enough ends with so many samples.
    pub samples: u32,
    /// A window with fewer changes nothing.
    pub min_samples: u32,
    /// Whether the latency of an unloaded call is probed for; 0: not.
    pub probe: u32,
    /// The least limit of a probe; 0: min_limit.
    pub probe_floor: u32,
    /// One of tg_adaptive_algorithm.
    pub algorithm: i32,
    /// One of tg_mode.
    pub mode: i32,
    /// One of tg_on_conflict; without an arena it says nothing.
    pub on_conflict: i32,
    /// The most that wait at once in this process, 1 .. 1000000: who comes then is refused at once. 0: any number.
    pub max_waiting: u32,
    /// Who of those that wait in this process is served first: one of tg_concurrency_order.
    pub order: i32,
    /// An array of partitions_len, at most 8; NULL with 0. With some, max_waiting holds for each. Borrowed during the
    /// call.
    pub partitions: In<tg_partition>,
    /// How many.
    pub partitions_len: usize,
    /// An array of priority_len names of partitions, the first first: each may starve those behind it, and those that
    /// are not in it, of all but their guarantee. NULL with 0. Borrowed during the call.
    pub priority: In<In<c_char>>,
    /// How many.
    pub priority_len: usize,
}

versioned!(
    tg_adaptive_config,
    first = 136,
    fields = [
        clock,
        arena,
        name,
        tolerance,
        backoff_ratio,
        window_ns,
        max_window_ns,
        probe_every_ns,
        max_latency_ns,
        base_ns,
        timeout_ns,
        min_limit,
        initial_limit,
        max_limit,
        samples,
        min_samples,
        probe,
        probe_floor,
        algorithm,
        mode,
        on_conflict,
        max_waiting,
        order,
        partitions,
        partitions_len,
        priority,
        priority_len
    ]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_adaptive_config {}

impl Default for tg_adaptive_config {
    fn default() -> Self {
        let core = AdaptiveConfig::default();
        let ns = |span: Duration| span.as_nanos() as u64;
        Self {
            struct_size: size_of::<Self>(),
            clock: In::default(),
            arena: In::default(),
            name: In::default(),
            tolerance: core.tolerance,
            backoff_ratio: core.backoff_ratio,
            window_ns: ns(core.window),
            max_window_ns: ns(core.max_window),
            probe_every_ns: ns(core.probe_every),
            max_latency_ns: 0,
            base_ns: 0,
            timeout_ns: ns(core.timeout),
            min_limit: core.min_limit,
            initial_limit: core.initial_limit,
            max_limit: core.max_limit,
            samples: core.samples,
            min_samples: core.min_samples,
            probe: core.probe.into(),
            probe_floor: 0,
            algorithm: 0,
            mode: 0,
            on_conflict: 0,
            max_waiting: 0,
            order: 0,
            partitions: In::default(),
            partitions_len: 0,
            priority: In::default(),
            priority_len: 0,
        }
    }
}

impl tg_adaptive_config {
    fn checked(&self) -> Result<ConcurrencyConfig, Failure> {
        let algorithm = usize::try_from(self.algorithm).ok().and_then(|it| AdaptiveAlgorithm::ALL.get(it));
        let Some(&algorithm) = algorithm else {
            let message = format!("algorithm: {} is none of tg_adaptive_algorithm, 0 to 3", self.algorithm);
            return Err(Failure::new(TG_UNKNOWN_VALUE, message));
        };
        let span = Duration::from_nanos;
        let option = |ns: u64| (ns != 0).then(|| span(ns));
        let adaptive = AdaptiveConfig {
            algorithm,
            min_limit: self.min_limit,
            initial_limit: self.initial_limit,
            max_limit: self.max_limit,
            tolerance: self.tolerance,
            window: span(self.window_ns),
            samples: self.samples,
            max_window: span(self.max_window_ns),
            min_samples: self.min_samples,
            probe: self.probe != 0,
            probe_every: span(self.probe_every_ns),
            probe_floor: (self.probe_floor != 0).then_some(self.probe_floor),
            max_latency: option(self.max_latency_ns),
            base: option(self.base_ns),
            timeout: span(self.timeout_ns),
            backoff_ratio: self.backoff_ratio,
        };
        let max_waiting = most(self.max_waiting);
        let (order, mode) = (order(self.order)?, mode(self.mode)?);
        let partitions = partitions(&self.partitions, self.partitions_len, &self.priority, self.priority_len)?;
        Ok(ConcurrencyConfig { max_waiting, order, partitions, mode, ..ConcurrencyConfig::adaptive(adaptive) })
    }
}

// C's numbers are core's order.
const _: () = {
    use tg_adaptive_algorithm::{TG_ADAPTIVE_AIMD, TG_ADAPTIVE_GRADIENT, TG_ADAPTIVE_GRADIENT2, TG_ADAPTIVE_VEGAS};
    use tg_concurrency_outcome::{TG_CONCURRENCY_DROPPED, TG_CONCURRENCY_IGNORE, TG_CONCURRENCY_SUCCESS};
    let all = [TG_ADAPTIVE_GRADIENT, TG_ADAPTIVE_GRADIENT2, TG_ADAPTIVE_VEGAS, TG_ADAPTIVE_AIMD];
    let outcomes = [TG_CONCURRENCY_SUCCESS, TG_CONCURRENCY_IGNORE, TG_CONCURRENCY_DROPPED];
    let mut i = 0;
    while i < all.len() {
        assert!(all[i] as usize == i && AdaptiveAlgorithm::ALL[i] as usize == i);
        i += 1;
    }
    let mut i = 0;
    while i < outcomes.len() {
        assert!(outcomes[i] as usize == i && Outcome::ALL[i] as usize == i);
        i += 1;
    }
};

/// Makes a concurrency limit that follows what calls report, or opens the one of that name in an arena: all processes
/// feed one estimate and obey one limit. Take and wait for permits as of any other; give each back by
/// tg_concurrency_report(). tg_concurrency_set_limit() does not change it: TG_CONFLICT.
///
/// Errors: TG_UTF8; TG_OUT_OF_RANGE; TG_NO_MEMORY (for max_limit); TG_CONFLICT (limits that contradict each other, a
/// clock beside an arena, an arena without a name); TG_UNKNOWN_VALUE (algorithm, order, mode, on_conflict); TG_INVALID
/// (a name that is none); TG_ARENA_SHAPE (another max_limit or other partitions under the name, or a fixed limit),
/// TG_ARENA_SETTINGS, TG_ARENA_FULL, TG_ARENA_*.
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_new_adaptive(
    config: In<tg_adaptive_config>,
    concurrency: Out<*mut tg_concurrency>,
) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        concurrency.require("concurrency")?;
        let settings = config.checked()?;
        let made = match place(&config.arena, &config.name, config.on_conflict, &config.clock)? {
            Place::Private(clock) => ConcurrencyLimiter::with_config(settings, clock)?,
            Place::Arena(arena, name, on_conflict) => ConcurrencyLimiter::in_arena(arena, name, settings, on_conflict)?,
        };
        concurrency.give(tg_concurrency(std::sync::Arc::new(made)));
        Ok(TG_OK)
    })
}

/// Gives a permit back and says what became of the call, one of tg_concurrency_outcome: TG_OK, or TG_NOT_HELD and
/// nothing counts, as of tg_concurrency_release(). ns: its latency as you have measured it, waiting for the permit
/// included; TG_NEVER: from asking for the permit to now (after tg_concurrency_poll(): from the look that gave it). A
/// plain tg_concurrency_release() says TG_CONCURRENCY_IGNORE. A limit that is not adaptive forgets what it is told.
///
/// Thread safety: not only the one that took it.
/// Errors: TG_UNKNOWN_VALUE (outcome): the permit is still held.
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_report(
    concurrency: In<tg_concurrency>,
    permit: tg_concurrency_permit,
    outcome: i32,
    ns: u64,
) -> tg_status {
    guard(|| {
        let concurrency = &concurrency.get("concurrency")?.0;
        let Some(&outcome) = usize::try_from(outcome).ok().and_then(|it| Outcome::ALL.get(it)) else {
            let message = format!("outcome: {outcome} is none of tg_concurrency_outcome, 0 to 2");
            return Err(Failure::new(TG_UNKNOWN_VALUE, message));
        };
        let permit = ConcurrencyPermit { word: permit.word, cell: permit.cell };
        let reported = match bound(ns) {
            Some(latency) => concurrency.report_latency(permit, outcome, latency),
            None => concurrency.report(permit, outcome),
        };
        Ok(if reported { TG_OK } else { TG_NOT_HELD })
    })
}

/// Writes what holds an adaptive limit where it is and a NUL into the size bytes of buffer: a line for each thing,
/// ended by \n, for people; "" of a fixed one. *length (may be NULL): without the NUL.
///
/// Ownership: buffer may be NULL when size is 0, to ask for the length.
/// Errors: TG_BUFFER (too few bytes; nothing is written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_concurrency_explain(
    concurrency: In<tg_concurrency>,
    buffer: Out<c_char>,
    size: usize,
    length: Out<usize>,
) -> tg_status {
    guard_system(|| {
        let text: String = concurrency.get("concurrency")?.0.explain().iter().map(|line| format!("{line}\n")).collect();
        buffer.fill_text(size, &length, &text)
    })
}
