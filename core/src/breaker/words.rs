//! The settings as numbers, in an order of their own: what memory that is shared holds.

use super::config::{BreakerConfig, Window};
use super::rules::nanos;
use std::time::Duration;

pub(super) const KIND: usize = 0;
pub(super) const WINDOW: usize = 1;
pub(super) const FAILURE_RATE: usize = 2;
pub(super) const SLOW_CALL: usize = 3;
pub(super) const SLOW_RATE: usize = 4;
pub(super) const RUN: usize = 5;
pub(super) const MIN_CALLS: usize = 6;
pub(super) const COOLDOWN: usize = 7;
pub(super) const BACKOFF: usize = 8;
pub(super) const MAX_COOLDOWN: usize = 9;
pub(super) const JITTER: usize = 10;
pub(super) const PROBES: usize = 11;
pub(super) const PROBE_TIMEOUT: usize = 12;
pub(super) const PROBE_RATE: usize = 13;
pub(super) const AT_ONCE: usize = 14;
pub(super) const HEALTHY: usize = 15;
pub(super) const RAMP: usize = 16;
pub(super) const RAMP_FROM: usize = 17;
/// How many there are.
pub(super) const CONFIG_WORDS: usize = 18;

/// The settings as numbers.
pub(super) fn words(config: &BreakerConfig) -> [u64; CONFIG_WORDS] {
    let (kind, window) = match config.window {
        Window::Calls(calls) => (0, calls.into()),
        Window::Duration(span) => (1, nanos(span)),
    };
    [
        kind,
        window,
        config.failure_rate_threshold.to_bits(),
        config.slow_call_duration.map_or(0, nanos),
        config.slow_call_rate_threshold.to_bits(),
        config.consecutive_failures.unwrap_or(0).into(),
        config.min_calls.into(),
        nanos(config.cooldown),
        config.cooldown_backoff.to_bits(),
        config.max_cooldown.map_or(0, nanos),
        config.cooldown_jitter.to_bits(),
        config.probes.into(),
        nanos(config.probe_timeout),
        config.probe_failure_rate_threshold.map_or(0, f64::to_bits),
        config.probes_at_once.unwrap_or(0).into(),
        config.healthy_after.map_or(0, nanos),
        config.ramp.map_or(0, nanos),
        config.ramp_from.to_bits(),
    ]
}

/// The settings that [`words`] says; from shared memory they are to be checked as any argument.
pub(super) fn config(words: &[u64; CONFIG_WORDS]) -> BreakerConfig {
    let small = |word: u64| u32::try_from(word).unwrap_or(u32::MAX);
    let some = |word: u64| (word != 0).then_some(word);
    let window = match words[KIND] {
        0 => Window::Calls(small(words[WINDOW])),
        _ => Window::Duration(Duration::from_nanos(words[WINDOW])),
    };
    BreakerConfig {
        window,
        failure_rate_threshold: f64::from_bits(words[FAILURE_RATE]),
        slow_call_duration: some(words[SLOW_CALL]).map(Duration::from_nanos),
        slow_call_rate_threshold: f64::from_bits(words[SLOW_RATE]),
        consecutive_failures: some(words[RUN]).map(small),
        min_calls: small(words[MIN_CALLS]),
        cooldown: Duration::from_nanos(words[COOLDOWN]),
        cooldown_backoff: f64::from_bits(words[BACKOFF]),
        max_cooldown: some(words[MAX_COOLDOWN]).map(Duration::from_nanos),
        cooldown_jitter: f64::from_bits(words[JITTER]),
        probes: small(words[PROBES]),
        probe_timeout: Duration::from_nanos(words[PROBE_TIMEOUT]),
        probe_failure_rate_threshold: some(words[PROBE_RATE]).map(f64::from_bits),
        probes_at_once: some(words[AT_ONCE]).map(small),
        healthy_after: some(words[HEALTHY]).map(Duration::from_nanos),
        ramp: some(words[RAMP]).map(Duration::from_nanos),
        ramp_from: f64::from_bits(words[RAMP_FROM]),
    }
}

/// A word in which 0 stands for "never".
#[inline]
pub(super) fn or_never(word: u64) -> u64 {
    word.wrapping_sub(1).saturating_add(1)
}
