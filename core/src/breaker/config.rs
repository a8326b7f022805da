//! A breaker's settings and their bounds.

use crate::{ConfigError, ConfigErrorKind};
use std::time::Duration;

/// The largest window of calls: judging a failure reads one word for every 16 calls of the window.
const MAX_WINDOW_CALLS: u32 = 65_536;
const MAX_PROBES: u32 = 1_024;
const MIN_SPAN: Duration = Duration::from_millis(1);
const MAX_SPAN: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How many cooldowns `max_cooldown` is by default.
const MAX_COOLDOWN_FACTOR: u32 = 64;

/// Over what the rates are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last N calls, 1 to 65 536.
    Calls(u32),
    /// The calls of the last span of time, 1 ms to 365 days, in ten slices: it forgets a tenth at a time.
    Duration(Duration),
}

/// Settings of a [`CircuitBreaker`](super::CircuitBreaker). Names and meanings are those of Resilience4j's `CircuitBreakerConfig`
/// where it has them. Every duration is 1 ms to 365 days.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerConfig {
    /// The last N calls, or the calls of the last T. Default: 20 calls.
    pub window: Window,
    /// Opens when `failed / calls` reaches this, 0 < rate ≤ 1. Default 0.5.
    pub failure_rate_threshold: f64,
    /// A call that takes at least this long is slow, above 0. Default: none is.
    pub slow_call_duration: Option<Duration>,
    /// Opens when `slow / calls` reaches this, 0 < rate ≤ 1. Default 1.0.
    pub slow_call_rate_threshold: f64,
    /// Opens at this many failures in a row, at least 1, whatever the rates and `min_calls`. Default: off.
    pub consecutive_failures: Option<u32>,
    /// The rates say nothing below this many calls, at least 1; a window of fewer calls lowers it to its own size. Default 10.
    pub min_calls: u32,
    /// How long it stays open. Default 30 s.
    pub cooldown: Duration,
    /// Each opening from half-open in a row (up to the 63rd) multiplies the cooldown by this, ≥ 1. Default 1.
    pub cooldown_backoff: f64,
    /// No cooldown is longer than this, before its jitter; at least `cooldown`. Default: 64 × cooldown.
    pub max_cooldown: Option<Duration>,
    /// The cooldown is lengthened by a random part of up to this fraction, fixed when it opens, 0 ≤ j ≤ 1. Default 0.
    pub cooldown_jitter: f64,
    /// How many probes a half-open cycle takes, and the most at once, 1 to 1 024. Default 1.
    pub probes: u32,
    /// A probe that has not reported by then is lost: half-open cannot stick. Default 60 s.
    pub probe_timeout: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: Window::Calls(20),
            failure_rate_threshold: 0.5,
            slow_call_duration: None,
            slow_call_rate_threshold: 1.0,
            consecutive_failures: None,
            min_calls: 10,
            cooldown: Duration::from_secs(30),
            cooldown_backoff: 1.0,
            max_cooldown: None,
            cooldown_jitter: 0.0,
            probes: 1,
            probe_timeout: Duration::from_secs(60),
        }
    }
}

impl BreakerConfig {
    /// `max_cooldown`, or its default.
    pub(super) fn longest_cooldown(&self) -> Duration {
        self.max_cooldown.unwrap_or_else(|| self.cooldown.saturating_mul(MAX_COOLDOWN_FACTOR).min(MAX_SPAN))
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        match self.window {
            Window::Calls(calls) => check_window_calls(calls)?,
            Window::Duration(span) => check_span("window", span)?,
        }
        check_rate("failure_rate_threshold", self.failure_rate_threshold)?;
        check_rate("slow_call_rate_threshold", self.slow_call_rate_threshold)?;
        if self.slow_call_duration == Some(Duration::ZERO) {
            let message = "0 would make every call slow; give a duration above 0, or none to leave slow calls out";
            return Err(ConfigError::out_of_range("slow_call_duration", message));
        }
        if self.consecutive_failures == Some(0) {
            let message =
                "0 failures in a row would open it without a call; give 1 or more, or none to leave the rule out";
            return Err(ConfigError::out_of_range("consecutive_failures", message));
        }
        if self.min_calls == 0 {
            let message = "0 calls have no rate; give 1 or more (1 judges from the first call on)";
            return Err(ConfigError::out_of_range("min_calls", message));
        }
        check_span("cooldown", self.cooldown)?;
        self.check_cooldown_growth()?;
        if !(1..=MAX_PROBES).contains(&self.probes) {
            let message = format!("{} is not within 1 to {MAX_PROBES} probes", self.probes);
            return Err(ConfigError::out_of_range("probes", message));
        }
        check_span("probe_timeout", self.probe_timeout)
    }

    fn check_cooldown_growth(&self) -> Result<(), ConfigError> {
        if !(self.cooldown_backoff.is_finite() && self.cooldown_backoff >= 1.0) {
            let message = format!(
                "{} is not a factor of 1 or more; 1 keeps every cooldown the same, 2 doubles it each time",
                self.cooldown_backoff
            );
            return Err(ConfigError::out_of_range("cooldown_backoff", message));
        }
        if let Some(longest) = self.max_cooldown {
            check_span("max_cooldown", longest)?;
            if longest < self.cooldown {
                let message = format!("{longest:?} is below cooldown ({:?}); raise it or leave it out", self.cooldown);
                return Err(ConfigError::new(ConfigErrorKind::Conflict, "max_cooldown", message));
            }
        }
        if !(0.0..=1.0).contains(&self.cooldown_jitter) {
            let message =
                format!("{} is not a fraction of 0 to 1; 0.1 lengthens by up to a tenth", self.cooldown_jitter);
            return Err(ConfigError::out_of_range("cooldown_jitter", message));
        }
        Ok(())
    }
}

fn check_window_calls(calls: u32) -> Result<(), ConfigError> {
    if (1..=MAX_WINDOW_CALLS).contains(&calls) {
        return Ok(());
    }
    let message = format!(
        "{calls} calls is not within 1 to {MAX_WINDOW_CALLS}; for more, take a window of time, which counts up to a million"
    );
    Err(ConfigError::out_of_range("window", message))
}

fn check_rate(field: &'static str, rate: f64) -> Result<(), ConfigError> {
    if rate > 0.0 && rate <= 1.0 {
        return Ok(());
    }
    // A percentage is the common mistake.
    let meant = if rate > 1.0 && rate <= 100.0 { rate / 100.0 } else { 0.5 };
    let message = format!("{rate} is not a fraction above 0 and up to 1; did you mean {meant}?");
    Err(ConfigError::out_of_range(field, message))
}

fn check_span(field: &'static str, span: Duration) -> Result<(), ConfigError> {
    if (MIN_SPAN..=MAX_SPAN).contains(&span) {
        return Ok(());
    }
    Err(ConfigError::out_of_range(field, format!("{span:?} is not within 1 ms to 365 days")))
}
