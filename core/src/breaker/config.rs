//! A breaker's settings and their bounds.

use std::time::Duration;

/// Over what the rates are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last N calls.
    Calls(u32),
    /// The calls of the last span of time.
    Duration(Duration),
}

/// Settings of a [`CircuitBreaker`](super::CircuitBreaker); the defaults are the design's.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerConfig {
    /// The last N calls, or the calls of the last T. Default: 20 calls.
    pub window: Window,
    /// Opens when `failed / calls` reaches this, 0 < rate ≤ 1. Default 0.5.
    pub failure_rate_threshold: f64,
    /// A call that takes at least this long is slow. Default: none is.
    pub slow_call_duration: Option<Duration>,
    /// Opens when `slow / calls` reaches this, 0 < rate ≤ 1. Default 1.0.
    pub slow_call_rate_threshold: f64,
    /// Opens at this many failures in a row, whatever the rates and `min_calls`. Default: off.
    pub consecutive_failures: Option<u32>,
    /// The rates say nothing below this many calls. Default 10.
    pub min_calls: u32,
    /// How long it stays open. Default 30 s.
    pub cooldown: Duration,
    /// Each opening from half-open multiplies the cooldown by this, ≥ 1. Default 1.
    pub cooldown_backoff: f64,
    /// No cooldown is longer than this. Default: 64 × cooldown.
    pub max_cooldown: Option<Duration>,
    /// The cooldown is lengthened by a random part of up to this fraction, fixed when it opens, 0 ≤ j ≤ 1. Default 0.
    pub cooldown_jitter: f64,
    /// Successful probes needed to close, and the most at once. Default 1.
    pub probes: u32,
    /// A probe that has not reported by then is lost and its slot free again. Default 60 s.
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
