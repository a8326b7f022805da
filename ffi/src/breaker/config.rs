//! A breaker's settings.

// `unsafe impl Settings` for a struct of plain numbers.
#![allow(unsafe_code)]

use crate::arena::place::unused;
use crate::arena::tg_arena;
use crate::clock::tg_clock;
use crate::handle::{In, Settings, versioned};
use crate::quota::{TG_NEVER, bound};
use crate::status::Failure;
use crate::status::tg_status::TG_CONFLICT;
use std::ffi::c_char;
use std::mem::size_of;
use std::time::Duration;
use tidegate_core::BreakerConfig;
use tidegate_core::breaker::Window;

/// Settings of a circuit breaker. Start from TG_BREAKER_CONFIG_INIT, which holds the defaults.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_breaker_config {
    /// sizeof(tg_breaker_config)
    pub struct_size: usize,
    /// For people, and its name in the arena; NULL: "default"; not "". Copied.
    pub name: In<c_char>,
    /// The time it lives by; NULL: the machine's monotonic clock. Must be NULL with an arena. Borrowed during the call.
    pub clock: In<tg_clock>,
    /// Rates are taken over the calls of the last so many nanoseconds; 0: over window_calls.
    pub window_duration_ns: u64,
    /// A call that takes at least this long is slow; TG_NEVER: none is.
    pub slow_call_duration_ns: u64,
    /// How long it stays open.
    pub cooldown_ns: u64,
    /// No cooldown is longer than this; 0: 64 times cooldown_ns.
    pub max_cooldown_ns: u64,
    /// A probe that has not reported by then is lost and its slot free again.
    pub probe_timeout_ns: u64,
    /// Opens when failed / calls reaches this, 0 < rate <= 1.
    pub failure_rate_threshold: f64,
    /// Opens when slow / calls reaches this, 0 < rate <= 1.
    pub slow_call_rate_threshold: f64,
    /// Each opening from half-open multiplies the cooldown by this, >= 1.
    pub cooldown_backoff: f64,
    /// The cooldown is lengthened by a random part of up to this fraction, 0 .. 1.
    pub cooldown_jitter: f64,
    /// Rates are taken over the last so many calls; 0: see window_duration_ns. Both 0: the last 20 calls.
    pub window_calls: u32,
    /// The rates say nothing below this many calls.
    pub min_calls: u32,
    /// Opens at this many failures in a row, whatever the rates and min_calls; 0: off.
    pub consecutive_failures: u32,
    /// How many probes a half-open cycle takes.
    pub probes: u32,
    /// Where its state lives; NULL: in memory of its own. Shared.
    pub arena: In<tg_arena>,
    /// One of tg_on_conflict; without an arena it says nothing.
    pub on_conflict: i32,
    /// 0.
    pub reserved: u32,
    /// A trip within this time of closing counts as another opening in a row for the backoff; 0: the last cooldown.
    pub healthy_after_ns: u64,
    /// After closing, calls come back by degrees over this time; 0: all pass at once.
    pub ramp_ns: u64,
    /// Opens again when this share of a cycle's probes failed, 0 < rate <= 1; 0: failure_rate_threshold.
    pub probe_failure_rate_threshold: f64,
    /// The chance of a call to pass right after closing, 0 < chance <= 1.
    pub ramp_from: f64,
    /// How many probes may be under way together, at most probes; 0: all.
    pub probes_at_once: u32,
    /// 0.
    pub reserved_too: u32,
}

versioned!(
    tg_breaker_config,
    first = 112,
    fields = [
        name,
        clock,
        window_duration_ns,
        slow_call_duration_ns,
        cooldown_ns,
        max_cooldown_ns,
        probe_timeout_ns,
        failure_rate_threshold,
        slow_call_rate_threshold,
        cooldown_backoff,
        cooldown_jitter,
        window_calls,
        min_calls,
        consecutive_failures,
        probes,
        arena,
        on_conflict,
        reserved,
        healthy_after_ns,
        ramp_ns,
        probe_failure_rate_threshold,
        ramp_from,
        probes_at_once,
        reserved_too
    ]
);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_breaker_config {}

impl Default for tg_breaker_config {
    fn default() -> Self {
        let mut usual = Self::of(&BreakerConfig::default());
        // No window: the default one.
        usual.window_calls = 0;
        usual
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(TG_NEVER)
}

impl tg_breaker_config {
    /// As the core has it, with a name, a clock and a place of nobody's.
    pub(super) fn of(config: &BreakerConfig) -> Self {
        let (window_calls, window_duration_ns) = match config.window {
            Window::Calls(calls) => (calls, 0),
            Window::Duration(span) => (0, ns(span)),
        };
        Self {
            struct_size: size_of::<Self>(),
            name: In::default(),
            clock: In::default(),
            window_duration_ns,
            slow_call_duration_ns: config.slow_call_duration.map_or(TG_NEVER, ns),
            cooldown_ns: ns(config.cooldown),
            max_cooldown_ns: config.max_cooldown.map_or(0, ns),
            probe_timeout_ns: ns(config.probe_timeout),
            failure_rate_threshold: config.failure_rate_threshold,
            slow_call_rate_threshold: config.slow_call_rate_threshold,
            cooldown_backoff: config.cooldown_backoff,
            cooldown_jitter: config.cooldown_jitter,
            window_calls,
            min_calls: config.min_calls,
            consecutive_failures: config.consecutive_failures.unwrap_or(0),
            probes: config.probes,
            arena: In::default(),
            on_conflict: 0,
            reserved: 0,
            healthy_after_ns: config.healthy_after.map_or(0, ns),
            ramp_ns: config.ramp.map_or(0, ns),
            probe_failure_rate_threshold: config.probe_failure_rate_threshold.unwrap_or(0.0),
            ramp_from: config.ramp_from,
            probes_at_once: config.probes_at_once.unwrap_or(0),
            reserved_too: 0,
        }
    }

    pub(crate) fn checked(&self) -> Result<BreakerConfig, Failure> {
        unused(self.reserved)?;
        unused(self.reserved_too)?;
        let default = BreakerConfig::default();
        let window = match (self.window_calls, self.window_duration_ns) {
            (0, 0) => default.window,
            (calls, 0) => Window::Calls(calls),
            (0, span) => Window::Duration(Duration::from_nanos(span)),
            _ => {
                let message = "window_calls: set beside window_duration_ns; leave one of them 0";
                return Err(Failure::new(TG_CONFLICT, message));
            }
        };
        Ok(BreakerConfig {
            window,
            failure_rate_threshold: self.failure_rate_threshold,
            slow_call_duration: bound(self.slow_call_duration_ns),
            slow_call_rate_threshold: self.slow_call_rate_threshold,
            consecutive_failures: (self.consecutive_failures != 0).then_some(self.consecutive_failures),
            min_calls: self.min_calls,
            cooldown: Duration::from_nanos(self.cooldown_ns),
            cooldown_backoff: self.cooldown_backoff,
            max_cooldown: (self.max_cooldown_ns != 0).then(|| Duration::from_nanos(self.max_cooldown_ns)),
            cooldown_jitter: self.cooldown_jitter,
            probes: self.probes,
            probe_timeout: Duration::from_nanos(self.probe_timeout_ns),
            probe_failure_rate_threshold: (self.probe_failure_rate_threshold != 0.0)
                .then_some(self.probe_failure_rate_threshold),
            probes_at_once: (self.probes_at_once != 0).then_some(self.probes_at_once),
            healthy_after: (self.healthy_after_ns != 0).then(|| Duration::from_nanos(self.healthy_after_ns)),
            ramp: (self.ramp_ns != 0).then(|| Duration::from_nanos(self.ramp_ns)),
            ramp_from: self.ramp_from,
        })
    }
}
