//! Load shedder.

// `#[unsafe(no_mangle)]`, `unsafe impl` for structs of pointers and plain numbers.
#![allow(unsafe_code)]

use crate::arena::place::{Place, place, unused};
use crate::arena::tg_arena;
use crate::clock::tg_clock;
use crate::handle::{Handle, In, Out, Plain, Settings, versioned};
use crate::mode::mode;
use crate::panic::{guard, guard_system};
use crate::status::{Failure, tg_status};
use std::ffi::{c_char, c_void};
use std::mem::size_of;
use std::sync::Arc;
use std::time::Duration;
use tg_status::{TG_OK, TG_OUT_OF_RANGE, TG_SHED, TG_UNKNOWN_VALUE};
use tidegate_core::retry::draw;
use tidegate_core::shed::{LEVELS, Priority, Shed, ShedderConfig, Signal, SignalKind};
use tidegate_core::{ConfigError, LoadShedder};

/// Refuses calls when there is too much to do, the less important first. Each signal has a pressure,
/// (value - start) / (full - start) from 0 to 1, and the largest counts: at 1 the threshold rises each interval until
/// 5 % fewer of the calls that pass would have, at 0 it falls until 2 % of all more would have.
#[derive(Debug)]
pub struct tg_shedder(pub(crate) Arc<LoadShedder>);

impl Handle for tg_shedder {}

/// What a call is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_priority {
    /// Shed last, and only while the pressure has been at critical_at for critical_after_ns.
    TG_PRIORITY_CRITICAL = 0,
    /// What users wait for.
    TG_PRIORITY_HIGH = 1,
    /// In between.
    TG_PRIORITY_NORMAL = 2,
    /// What can be done later, or again.
    TG_PRIORITY_SHEDDABLE = 3,
}

/// What a signal measures. Those of the system's files are read by the shedder, the others are told with
/// tg_shedder_tell(), loop lag with tg_shedder_tell_lag().
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_signal_kind {
    /// Depth of a queue / capacity. Usual range .5 to .8.
    TG_SIGNAL_QUEUE_FILL = 0,
    /// Seconds that items waited in a queue, of an interval the least. .005 to .02.
    TG_SIGNAL_QUEUE_DELAY = 1,
    /// Calls under way / limit. .9 to 1.
    TG_SIGNAL_IN_FLIGHT = 2,
    /// CPU time / what the cgroup may use, from the system's files. .8 to .95.
    TG_SIGNAL_CPU = 3,
    /// Memory in use / what the cgroup may use, from the system's files. .85 to .95.
    TG_SIGNAL_MEMORY = 4,
    /// "some avg10" of the kernel's CPU pressure, from the system's files. 20 to 60.
    TG_SIGNAL_PSI_CPU = 5,
    /// "full avg10" of the kernel's memory pressure, from the system's files. 1 to 10.
    TG_SIGNAL_PSI_MEMORY = 6,
    /// Seconds that an event loop comes late, p99. .02 to .2.
    TG_SIGNAL_LOOP_LAG = 7,
    /// A number of one's own. No usual range.
    TG_SIGNAL_GAUGE = 8,
}

/// A signal of a shedder.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_signal {
    /// NULL: that of its kind ("queue_fill"). No other signal's. Copied.
    pub name: In<c_char>,
    /// Where its pressure begins; 0 with full = 0: its usual range.
    pub start: f64,
    /// Where it is full.
    pub full: f64,
    /// One of tg_signal_kind.
    pub kind: i32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: a pointer, NULL or good by the header's law, and numbers.
unsafe impl Plain for tg_signal {}

impl tg_signal {
    fn checked(&self) -> Result<Signal, Failure> {
        unused(self.reserved)?;
        let kind = usize::try_from(self.kind).ok().and_then(|place| SignalKind::ALL.get(place));
        let kind = *kind.ok_or_else(|| {
            let message = format!(
                "signals: {} is none of tg_signal_kind, TG_SIGNAL_QUEUE_FILL (0) to TG_SIGNAL_GAUGE (8)",
                self.kind
            );
            Failure::new(TG_UNKNOWN_VALUE, message)
        })?;
        let mut signal = Signal::new(kind);
        if let Some(name) = self.name.text("signals")? {
            signal = signal.named(name);
        }
        Ok(if self.start == 0.0 && self.full == 0.0 { signal } else { signal.range(self.start, self.full) })
    }
}

/// Settings of a load shedder. Start from TG_SHEDDER_CONFIG_INIT, which holds the defaults, and give it signals.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_shedder_config {
    /// sizeof(tg_shedder_config)
    pub struct_size: usize,
    /// The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
    pub clock: In<tg_clock>,
    /// Where its state lives; NULL: in memory of its own. Shared.
    pub arena: In<tg_arena>,
    /// Its name in the arena; without an arena it says nothing. Borrowed during the call.
    pub name: In<c_char>,
    /// 1 to 16. CPU signals need one beside them that tells of a server which waits. Borrowed during the call.
    pub signals: In<tg_signal>,
    /// How many.
    pub signal_count: usize,
    /// Users have the same levels in all services with this key; NULL: none. Borrowed during the call.
    pub level_key: In<c_char>,
    /// At pressure 1, the part of those who pass that is shed in addition each interval.
    pub rise: f64,
    /// At pressure 0, the part of all that passes in addition each interval.
    pub fall: f64,
    /// The part of each class that passes in any case.
    pub min_admit: f64,
    /// From this pressure on, held for critical_after_ns, critical calls are shed too.
    pub critical_at: f64,
    /// How many CPUs there are to use; 0: what the system's files say.
    pub cpu_limit: f64,
    /// See critical_at.
    pub critical_after_ns: u64,
    /// For so long after full pressure no more pass than did.
    pub cool_off_ns: u64,
    /// How often signals are read and the threshold moves.
    pub interval_ns: u64,
    /// One of tg_mode.
    pub mode: i32,
    /// One of tg_on_conflict; without an arena it says nothing.
    pub on_conflict: i32,
}

versioned!(
    tg_shedder_config,
    first = 128,
    fields = [
        clock,
        arena,
        name,
        signals,
        signal_count,
        level_key,
        rise,
        fall,
        min_admit,
        critical_at,
        cpu_limit,
        critical_after_ns,
        cool_off_ns,
        interval_ns,
        mode,
        on_conflict
    ]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_shedder_config {}

impl Default for tg_shedder_config {
    fn default() -> Self {
        let core = ShedderConfig::new(Vec::new());
        let ns = |span: Duration| span.as_nanos() as u64;
        Self {
            struct_size: size_of::<Self>(),
            clock: In::default(),
            arena: In::default(),
            name: In::default(),
            signals: In::default(),
            signal_count: 0,
            level_key: In::default(),
            rise: core.rise,
            fall: core.fall,
            min_admit: core.min_admit,
            critical_at: core.critical_at,
            cpu_limit: 0.0,
            critical_after_ns: ns(core.critical_after),
            cool_off_ns: ns(core.cool_off),
            interval_ns: ns(core.interval),
            mode: 0,
            on_conflict: 0,
        }
    }
}

impl tg_shedder_config {
    fn checked(&self) -> Result<ShedderConfig, Failure> {
        let signals = self.signals.array(self.signal_count, "signals")?;
        let signals = signals.iter().map(tg_signal::checked).collect::<Result<Vec<_>, _>>()?;
        Ok(ShedderConfig {
            rise: self.rise,
            fall: self.fall,
            min_admit: self.min_admit,
            critical_at: self.critical_at,
            critical_after: Duration::from_nanos(self.critical_after_ns),
            cool_off: Duration::from_nanos(self.cool_off_ns),
            interval: Duration::from_nanos(self.interval_ns),
            cpu_limit: (self.cpu_limit != 0.0).then_some(self.cpu_limit),
            level_key: self.level_key.text("level_key")?.unwrap_or_default().to_owned(),
            mode: mode(self.mode)?,
            ..ShedderConfig::new(signals)
        })
    }
}

/// A decision with its reasons. Start from TG_SHED_DECISION_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_shed_decision {
    /// sizeof(tg_shed_decision)
    pub struct_size: usize,
    /// The largest pressure of all signals at the last step, 0 to 1.
    pub pressure: f64,
    /// For a refused call: time until one like it passes if the pressure falls to 0 now. Else 0.
    pub retry_after_ns: u64,
    /// The place in the config of the signal with that pressure; -1: none has any.
    pub signal: i32,
    /// 1 or 0.
    pub allowed: i32,
}

versioned!(tg_shed_decision, first = 32, fields = [pressure, retry_after_ns, signal, allowed]);

/// A look at a load shedder. Start from TG_SHEDDER_SNAPSHOT_INIT.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct tg_shedder_snapshot {
    /// sizeof(tg_shedder_snapshot)
    pub struct_size: usize,
    // <stats shedder>
    /// Calls that were admitted.
    pub admitted: u64,
    /// Calls that were refused, of each priority: critical. Shed last, and only while the pressure has been at
    /// critical_at for critical_after_ns.
    pub shed_critical: u64,
    /// Calls that were refused, of each priority: high. What users wait for.
    pub shed_high: u64,
    /// Calls that were refused, of each priority: normal. Where nothing is said.
    pub shed_normal: u64,
    /// Calls that were refused, of each priority: sheddable. What can be done later, or again.
    pub shed_sheddable: u64,
    /// Calls that a dry run let through and that would have been refused.
    pub would_shed: u64,
    /// The largest pressure at the last step.
    pub pressure: f64,
    /// The part of the calls that the threshold refuses, by what was asked for of late.
    pub shed_share: f64,
    // </stats>
}

versioned!(
    tg_shedder_snapshot,
    first = 72,
    fields = [admitted, shed_critical, shed_high, shed_normal, shed_sheddable, would_shed, pressure, shed_share]
);

/// A priority and a level of it.
pub(crate) fn class(priority: i32, level: u32) -> Result<(Priority, u8), Failure> {
    let found = usize::try_from(priority).ok().and_then(|place| Priority::ALL.get(place));
    let found = *found.ok_or_else(|| {
        let message = format!(
            "priority: {priority} is none of tg_priority, TG_PRIORITY_CRITICAL (0) to TG_PRIORITY_SHEDDABLE (3)"
        );
        Failure::new(TG_UNKNOWN_VALUE, message)
    })?;
    if level >= LEVELS {
        let message = format!("level: {level} is not within 0 to {}; 0 is shed last", LEVELS - 1);
        return Err(Failure::new(TG_OUT_OF_RANGE, message));
    }
    Ok((found, level as u8))
}

fn answer(allowed: bool) -> tg_status {
    if allowed { TG_OK } else { TG_SHED }
}

/// Makes a load shedder, or opens the one of that name in an arena.
///
/// Errors: TG_UTF8; TG_OUT_OF_RANGE (rise, fall, min_admit, critical_at, cpu_limit, critical_after_ns, cool_off_ns,
/// interval_ns, a signal's range, more than 16 of them); TG_CONFLICT (no signal, a CPU signal without one that tells
/// of a server which waits, a name twice, a gauge without a range, a clock beside an arena, an arena without a name);
/// TG_UNKNOWN_VALUE (kind, mode, on_conflict); TG_SYNTAX, TG_INVALID (a name that is none); TG_ARENA_SHAPE (other
/// signals under the name), TG_ARENA_SETTINGS, TG_ARENA_FULL, TG_ARENA_*.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_new(config: In<tg_shedder_config>, shedder: Out<*mut tg_shedder>) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        shedder.require("shedder")?;
        let settings = config.checked()?;
        let made = match place(&config.arena, &config.name, config.on_conflict, &config.clock)? {
            Place::Private(clock) => LoadShedder::with_clock(settings, clock)?,
            Place::Arena(arena, name, on_conflict) => LoadShedder::in_arena(arena, name, settings, on_conflict)?,
        };
        shedder.give(tg_shedder(Arc::new(made)));
        Ok(TG_OK)
    })
}

/// Frees a load shedder; NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_free(shedder: Out<tg_shedder>) {
    guard_system(|| {
        shedder.free();
        Ok(TG_OK)
    });
}

/// Asks whether a call may be served: TG_OK, or TG_SHED. priority is one of tg_priority; level its place within the
/// class, from 0, the last to be shed, to 127: tg_shedder_level_of() its user. Whose turn it is reads a file.
///
/// Errors: TG_UNKNOWN_VALUE (priority), TG_OUT_OF_RANGE (level).
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_admit(shedder: In<tg_shedder>, priority: i32, level: u32) -> tg_status {
    // What makes system calls (a file of the system's) holds cancellation off.
    guard_system(|| {
        let (priority, level) = class(priority, level)?;
        Ok(answer(shedder.get("shedder")?.0.admit(priority, level)))
    })
}

/// tg_shedder_admit() at now_ns of its clock, by a random number from 0 up to, but not including, 1: refused where it
/// is not below the part of its level that passes, or is no number.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_admit_at(
    shedder: In<tg_shedder>,
    now_ns: u64,
    priority: i32,
    level: u32,
    draw: f64,
) -> tg_status {
    guard_system(|| {
        let (priority, level) = class(priority, level)?;
        Ok(answer(shedder.get("shedder")?.0.admit_at(now_ns, priority, level, draw)))
    })
}

fn decided(it: &LoadShedder, shed: Shed<'_>) -> tg_shed_decision {
    let place = shed.signal.and_then(|name| it.config().signals.iter().position(|signal| signal.name() == name));
    tg_shed_decision {
        pressure: shed.pressure,
        retry_after_ns: shed.retry_after_ns,
        signal: place.map_or(-1, |place| place as i32),
        allowed: shed.allowed.into(),
        ..Default::default()
    }
}

/// tg_shedder_admit() with its reasons.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_check(
    shedder: In<tg_shedder>,
    priority: i32,
    level: u32,
    decision: Out<tg_shed_decision>,
) -> tg_status {
    guard_system(|| {
        let it = &shedder.get("shedder")?.0;
        let (priority, level) = class(priority, level)?;
        let room = decision.room("decision")?;
        let shed = it.check_at(it.clock().now(), priority, level, draw());
        decision.fill(room, decided(it, shed));
        Ok(answer(shed.allowed))
    })
}

/// tg_shedder_check() at now_ns of its clock, by a random number.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_check_at(
    shedder: In<tg_shedder>,
    now_ns: u64,
    priority: i32,
    level: u32,
    draw: f64,
    decision: Out<tg_shed_decision>,
) -> tg_status {
    guard_system(|| {
        let it = &shedder.get("shedder")?.0;
        let (priority, level) = class(priority, level)?;
        let room = decision.room("decision")?;
        let shed = it.check_at(now_ns, priority, level, draw);
        decision.fill(room, decided(it, shed));
        Ok(answer(shed.allowed))
    })
}

/// Tells the level of a user: a keyed hash of user and hour, the same in all services with that level_key.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_level_of(
    shedder: In<tg_shedder>,
    user: In<c_void>,
    user_len: usize,
    level: Out<u32>,
) -> tg_status {
    guard_system(|| {
        let it = &shedder.get("shedder")?.0;
        level.require("level")?;
        level.set(it.level_of(user.bytes(user_len, "user")?).into());
        Ok(TG_OK)
    })
}

/// tg_shedder_level_of() at unix_s seconds since 1970.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_level_of_at(
    shedder: In<tg_shedder>,
    unix_s: u64,
    user: In<c_void>,
    user_len: usize,
    level: Out<u32>,
) -> tg_status {
    guard(|| {
        let it = &shedder.get("shedder")?.0;
        level.require("level")?;
        level.set(it.level_of_at(user.bytes(user_len, "user")?, unix_s).into());
        Ok(TG_OK)
    })
}

fn told(result: Result<(), ConfigError>) -> Result<tg_status, Failure> {
    result?;
    Ok(TG_OK)
}

/// Tells a signal its value: of a queue's delay (seconds) the least of an interval counts, of others the largest. What
/// is no number is no value.
///
/// Errors: TG_CONFLICT (there is no such signal, or it is read from the system's files); TG_UTF8.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_tell(shedder: In<tg_shedder>, signal: In<c_char>, value: f64) -> tg_status {
    guard_system(|| {
        let it = &shedder.get("shedder")?.0;
        let signal = signal.text("signal")?.ok_or_else(|| Failure::null("signal"))?;
        told(it.tell(signal, value))
    })
}

/// tg_shedder_tell() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_tell_at(
    shedder: In<tg_shedder>,
    now_ns: u64,
    signal: In<c_char>,
    value: f64,
) -> tg_status {
    guard_system(|| {
        let it = &shedder.get("shedder")?.0;
        let signal = signal.text("signal")?.ok_or_else(|| Failure::null("signal"))?;
        told(it.tell_at(now_ns, signal, value))
    })
}

/// Tells that a tick of an event loop came late_ns late; they come each period_ns.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_tell_lag(shedder: In<tg_shedder>, late_ns: u64, period_ns: u64) -> tg_status {
    guard(|| {
        let it = &shedder.get("shedder")?.0;
        it.tell_lag(Duration::from_nanos(late_ns), Duration::from_nanos(period_ns));
        Ok(TG_OK)
    })
}

/// Reads the next signal, or moves the threshold, if it is time: for a loop, where calls are rare. Once each 20 ms is
/// often enough.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_sample(shedder: In<tg_shedder>) -> tg_status {
    guard_system(|| {
        shedder.get("shedder")?.0.sample();
        Ok(TG_OK)
    })
}

/// tg_shedder_sample() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_sample_at(shedder: In<tg_shedder>, now_ns: u64) -> tg_status {
    guard_system(|| {
        shedder.get("shedder")?.0.sample_at(now_ns);
        Ok(TG_OK)
    })
}

/// Tells the largest pressure of all signals at the last step, 0 to 1.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_pressure(shedder: In<tg_shedder>, pressure: Out<f64>) -> tg_status {
    guard(|| {
        let it = &shedder.get("shedder")?.0;
        pressure.require("pressure")?;
        pressure.set(it.pressure());
        Ok(TG_OK)
    })
}

/// tg_shedder_pressure() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_pressure_at(shedder: In<tg_shedder>, now_ns: u64, pressure: Out<f64>) -> tg_status {
    guard(|| {
        let it = &shedder.get("shedder")?.0;
        pressure.require("pressure")?;
        pressure.set(it.pressure_at(now_ns));
        Ok(TG_OK)
    })
}

/// Tells the counts since the shedder was made, and what its last step found.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_stats(shedder: In<tg_shedder>, snapshot: Out<tg_shedder_snapshot>) -> tg_status {
    guard(|| {
        let it = &shedder.get("shedder")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, it.stats().into());
        Ok(TG_OK)
    })
}

/// tg_shedder_stats() at now_ns of its clock.
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_stats_at(
    shedder: In<tg_shedder>,
    now_ns: u64,
    snapshot: Out<tg_shedder_snapshot>,
) -> tg_status {
    guard(|| {
        let it = &shedder.get("shedder")?.0;
        let room = snapshot.room("snapshot")?;
        snapshot.fill(room, it.stats_at(now_ns).into());
        Ok(TG_OK)
    })
}

/// Writes the state in words: a line for pressure, threshold, cool-off, each signal (one that is off says why) and the
/// limits of the cgroup. For people, and the text may change. *length is that of the text, without its NUL.
///
/// Ownership: buffer may be NULL when size is 0, to ask for the length.
/// Errors: TG_BUFFER (too few bytes; nothing is written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_shedder_explain(
    shedder: In<tg_shedder>,
    buffer: Out<c_char>,
    size: usize,
    length: Out<usize>,
) -> tg_status {
    guard_system(|| {
        let text: String = shedder.get("shedder")?.0.explain().iter().map(|line| format!("{line}\n")).collect();
        buffer.fill_text(size, &length, &text)
    })
}
