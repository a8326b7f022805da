//! A breaker's settings and their bounds.

use super::rules::{lease_shift, nanos};
use crate::setting::{Field, Kind, Preset, Slot, Table, Value, of_name, time};
use crate::{ConfigError, ConfigErrorKind};
use std::time::Duration;

/// The largest window of calls: judging a failure reads one word for every 16 calls of the window.
const MAX_WINDOW_CALLS: u64 = 65_536;
const MAX_PROBES: u64 = 1_024;
const MAX_SPAN: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How many cooldowns `max_cooldown` is by default.
const MAX_COOLDOWN_FACTOR: u64 = 64;

/// Over what the rates are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The last N calls, 1 to 65 536.
    Calls(u32),
    /// The calls of the last span of time, 1 ms to 365 days, in ten slices: it forgets a tenth at a time. An outcome
    /// that is read behind the newest slice counts there; a slice more than a minute ahead of the clock is given up,
    /// with what counted in it, when readings have gone on for a minute behind it.
    Duration(Duration),
}

/// Settings of a [`CircuitBreaker`](super::CircuitBreaker). Names and meanings are those of Resilience4j's
/// `CircuitBreakerConfig` where it has them. Every duration is 1 ms to 365 days.
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
    /// The rates say nothing below this many calls, at least 1 and at most the window's. Default 10, or all calls of a
    /// smaller window.
    pub min_calls: u32,
    /// How long it stays open. Default 30 s.
    pub cooldown: Duration,
    /// Each opening from half-open in a row (up to the 63rd) multiplies the cooldown by this, ≥ 1. Default 1.
    pub cooldown_backoff: f64,
    /// No cooldown is longer than this, before its jitter; at least `cooldown`. Default: 64 × cooldown.
    pub max_cooldown: Option<Duration>,
    /// The cooldown is lengthened by a random part of up to this fraction, fixed when it opens, 0 ≤ j ≤ 1. Default 0.
    pub cooldown_jitter: f64,
    /// How many probes a half-open cycle takes, 1 to 1 024. Default 1.
    pub probes: u32,
    /// A probe that has not reported by then is lost: half-open cannot stick. Default 60 s. Where a bad reading of the
    /// clock put the end more than a minute too far ahead, it is lost when readings have gone on for a minute behind
    /// it.
    pub probe_timeout: Duration,
    /// Opens again when this share of a cycle's probes failed, 0 < rate ≤ 1. Default: `failure_rate_threshold`.
    pub probe_failure_rate_threshold: Option<f64>,
    /// How many probes may be under way together, 1 to `probes`. Default: all.
    pub probes_at_once: Option<u32>,
    /// A trip within this time of closing counts as another opening in a row for the backoff: the cooldown starts small
    /// again only after so long without one. Default: the cooldown that went before, without its jitter and without
    /// what a server asked for. A closing that a bad reading of the clock dated more than a minute ahead counts as long
    /// ago.
    pub healthy_after: Option<Duration>,
    /// After closing, calls come back by degrees: in this time the chance of one to pass grows from `ramp_from` to 1. A
    /// trip in it counts as another opening in a row. Where a bad reading of the clock put the closing more than a
    /// minute too far ahead, the ramp is over when readings have gone on for a minute behind it. Default: all pass at
    /// once.
    pub ramp: Option<Duration>,
    /// The chance of a call to pass right after closing, 0 < chance ≤ 1. Default 0.1.
    pub ramp_from: f64,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: Window::Calls(WINDOW_CALLS.count() as u32),
            failure_rate_threshold: FAILURE_RATE.real(),
            slow_call_duration: None,
            slow_call_rate_threshold: SLOW_RATE.real(),
            consecutive_failures: None,
            min_calls: MIN_CALLS.count() as u32,
            cooldown: COOLDOWN.span(),
            cooldown_backoff: BACKOFF.real(),
            max_cooldown: None,
            cooldown_jitter: JITTER.real(),
            probes: PROBES.count() as u32,
            probe_timeout: PROBE_TIMEOUT.span(),
            probe_failure_rate_threshold: None,
            probes_at_once: None,
            healthy_after: None,
            ramp: None,
            ramp_from: RAMP_FROM.real(),
        }
    }
}

impl BreakerConfig {
    /// What a setting of [`SETTINGS`] is set to; `None`: it is left out, as one of the two windows is.
    pub fn get(&self, field: &Field) -> Option<Value> {
        match (field.name, self.window) {
            ("window_calls", Window::Calls(calls)) => calls.value(),
            ("window_duration", Window::Duration(span)) => span.value(),
            ("window_calls" | "window_duration", _) => None,
            // The slot is where to read as well as where to write.
            (name, _) => self.clone().slot(name).value(),
        }
    }

    /// Sets a setting of [`SETTINGS`]; `None`: to what holds where it is left out. Of the two windows the one that is
    /// set holds.
    ///
    /// # Panics
    /// The value is not of the setting's kind.
    pub fn set(&mut self, field: &Field, value: Option<Value>) {
        let usual = Self::default();
        match (field.name, value) {
            ("window_calls" | "window_duration", None) => self.window = usual.window,
            ("window_calls", Some(Value::Count(calls))) => {
                self.window = Window::Calls(u32::try_from(calls).unwrap_or(u32::MAX));
            }
            ("window_duration", Some(Value::Span(span))) => self.window = Window::Duration(span),
            (name, value) => self.slot(name).put(field, value.or_else(|| usual.get(field))),
        }
    }

    /// Where a setting stands that is no window.
    fn slot(&mut self, name: &str) -> &mut dyn Slot {
        match name {
            "failure_rate_threshold" => &mut self.failure_rate_threshold,
            "slow_call_duration" => &mut self.slow_call_duration,
            "slow_call_rate_threshold" => &mut self.slow_call_rate_threshold,
            "consecutive_failures" => &mut self.consecutive_failures,
            "min_calls" => &mut self.min_calls,
            "cooldown" => &mut self.cooldown,
            "cooldown_backoff" => &mut self.cooldown_backoff,
            "max_cooldown" => &mut self.max_cooldown,
            "cooldown_jitter" => &mut self.cooldown_jitter,
            "probes" => &mut self.probes,
            "probe_timeout" => &mut self.probe_timeout,
            "probe_failure_rate_threshold" => &mut self.probe_failure_rate_threshold,
            "probes_at_once" => &mut self.probes_at_once,
            "healthy_after" => &mut self.healthy_after,
            "ramp" => &mut self.ramp,
            "ramp_from" => &mut self.ramp_from,
            _ => panic!("a breaker has no setting {name}"),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        match self.window {
            Window::Calls(calls) => {
                WINDOW_CALLS
                    .check_count(calls.into(), "; for more, take a window of time, which counts up to a million")?;
                // The default is lowered to the window, and stands for "not said".
                if self.min_calls > calls && u64::from(self.min_calls) != MIN_CALLS.count() {
                    let window = of_name(&WINDOW_CALLS);
                    let message = format!(
                        "{} is more than the {calls} calls of {window}, so no rate would ever count; give 1 to \
                         {calls}, or a larger {window}",
                        self.min_calls
                    );
                    return Err(MIN_CALLS.error(ConfigErrorKind::Conflict, message));
                }
            }
            Window::Duration(span) => WINDOW_DURATION.check_span(span, "")?,
        }
        check_rate(&FAILURE_RATE, self.failure_rate_threshold)?;
        check_rate(&SLOW_RATE, self.slow_call_rate_threshold)?;
        if let Some(span) = self.slow_call_duration {
            // Longer ones are allowed as far as a `Duration` goes: no call is slow then.
            SLOW_CALL.check_span(span.min(Duration::from_nanos(u64::MAX)), "; leave it out if no call is slow")?;
        }
        if let Some(run) = self.consecutive_failures {
            RUN.check_count(run.into(), "; leave it out to leave the rule out")?;
        }
        MIN_CALLS.check_count(self.min_calls.into(), "; 1 judges from the first call on")?;
        COOLDOWN.check_span(self.cooldown, "")?;
        BACKOFF.check_real(self.cooldown_backoff, "; 1 keeps every cooldown the same, 2 doubles it each time")?;
        if let Some(longest) = self.max_cooldown {
            MAX_COOLDOWN.check_span(longest, "")?;
            if longest < self.cooldown {
                let (longest, least) = (time(nanos(longest)), time(nanos(self.cooldown)));
                let message = format!("{longest} is below {} ({least}); raise it or leave it out", of_name(&COOLDOWN));
                return Err(MAX_COOLDOWN.error(ConfigErrorKind::Conflict, message));
            }
        }
        JITTER.check_real(self.cooldown_jitter, "; 0.1 lengthens by up to a tenth")?;
        PROBES.check_count(self.probes.into(), "")?;
        PROBE_TIMEOUT.check_span(self.probe_timeout, "")?;
        if let Some(rate) = self.probe_failure_rate_threshold {
            check_rate(&PROBE_RATE, rate)?;
        }
        if let Some(at_once) = self.probes_at_once {
            AT_ONCE.check_count(at_once.into(), "; leave it out to let all go together")?;
            if at_once > self.probes {
                let (all, probes) = (self.probes, of_name(&PROBES));
                let message = format!("{at_once} is more than {probes} ({all}); give 1 to {all}, or leave it out");
                return Err(AT_ONCE.error(ConfigErrorKind::Conflict, message));
            }
        }
        if let Some(span) = self.healthy_after {
            HEALTHY.check_span(span, "")?;
        }
        if let Some(span) = self.ramp {
            RAMP.check_span(span, "; leave it out to let all calls pass at once")?;
        }
        RAMP_FROM.check_real(self.ramp_from, "; 0.1 begins with every tenth call")
    }
}

/// Nanoseconds of `max_cooldown` where it is left out.
pub(super) fn longest_by_default(cooldown_ns: u64) -> u64 {
    cooldown_ns.saturating_mul(MAX_COOLDOWN_FACTOR).min(nanos(MAX_SPAN))
}

/// A change asks for a window of the other kind.
pub(super) fn other_window(has_calls: bool) -> ConfigError {
    let (given, has, asked) =
        if has_calls { (&WINDOW_DURATION, "calls", "time") } else { (&WINDOW_CALLS, "time", "calls") };
    let message = format!(
        "this breaker's window is one of {has} and its kind stays; for a window of {asked}, make another breaker"
    );
    given.error(ConfigErrorKind::Conflict, message)
}

const FOR_GOOD: &str = ", what this breaker has had room for since it was made; for more, make another breaker";

/// Whether a window that was made for `most` calls can hold them.
pub(super) fn fits_calls(calls: u32, most: u32) -> Result<(), ConfigError> {
    if calls <= most { Ok(()) } else { Err(WINDOW_CALLS.outside_of(calls.into(), most.into(), FOR_GOOD)) }
}

/// Whether a window can be taken over this time with the slices that it was made with.
pub(super) fn fits_span(span: Duration, (least, most): (u64, u64)) -> Result<(), ConfigError> {
    if (least..=most).contains(&nanos(span)) {
        return Ok(());
    }
    let message = format!(
        "{} is not within {} to {}, half of and five times what this breaker was made with; for another, make another \
         breaker",
        time(nanos(span)),
        time(least),
        time(most)
    );
    Err(WINDOW_DURATION.error(ConfigErrorKind::OutOfRange, message))
}

pub(super) fn fits_probes(probes: u32, most: u32) -> Result<(), ConfigError> {
    if probes <= most { Ok(()) } else { Err(PROBES.outside_of(probes.into(), most.into(), FOR_GOOD)) }
}

/// Whether leases of this length are counted in the unit that the breaker was made with.
pub(super) fn fits_leases(probe_timeout: Duration, shift: u32) -> Result<(), ConfigError> {
    if lease_shift(probe_timeout) == shift {
        return Ok(());
    }
    let message = format!(
        "{} cannot be told in the unit in which this breaker has counted since it was made ({}); make another breaker",
        time(nanos(probe_timeout)),
        time(1_000_000 << shift)
    );
    Err(PROBE_TIMEOUT.error(ConfigErrorKind::OutOfRange, message))
}

fn check_rate(field: &Field, rate: f64) -> Result<(), ConfigError> {
    // A percentage is the common mistake.
    let meant = if rate > 1.0 && rate <= 100.0 { rate / 100.0 } else { 0.5 };
    field.check_real(rate, &format!("; did you mean {meant}?"))
}

const U32: u64 = u32::MAX as u64;
const SPAN: Kind = Kind::Span { min_ns: 1_000_000, max_ns: MAX_SPAN.as_secs() * SECOND };
const RATE: Kind = Kind::Real { min: 0.0, from_min: false, max: 1.0 };
const SECOND: u64 = 1_000_000_000;

pub(super) const WINDOW_CALLS: Field = Field::new(
    "window_calls",
    Kind::Count { min: 1, max: MAX_WINDOW_CALLS },
    Preset::Count(20),
    "rates are taken over the last N calls",
);
const WINDOW_DURATION: Field =
    Field::new("window_duration", SPAN, Preset::Unset, "rates are taken over the calls of the last T instead");
const FAILURE_RATE: Field =
    Field::new("failure_rate_threshold", RATE, Preset::Real(0.5), "opens when failed / calls reaches this");
const SLOW_CALL: Field = Field::new(
    "slow_call_duration",
    Kind::Span { min_ns: 1, max_ns: u64::MAX },
    Preset::Unset,
    "a call that takes this long is slow; left out, none is",
);
const SLOW_RATE: Field =
    Field::new("slow_call_rate_threshold", RATE, Preset::Real(1.0), "opens when slow / calls reaches this");
const RUN: Field = Field::new(
    "consecutive_failures",
    Kind::Count { min: 1, max: U32 },
    Preset::Unset,
    "opens at this many failures in a row, whatever the rates; left out, at none",
);
const MIN_CALLS: Field = Field::new(
    "min_calls",
    Kind::Count { min: 1, max: U32 },
    Preset::Count(10),
    "the rates say nothing below; at most the window's calls",
);
const COOLDOWN: Field = Field::new("cooldown", SPAN, Preset::Span(30 * SECOND), "how long it stays open");
const BACKOFF: Field = Field::new(
    "cooldown_backoff",
    Kind::Real { min: 1.0, from_min: true, max: f64::MAX },
    Preset::Real(1.0),
    "each opening from half-open multiplies the cooldown by this",
);
const MAX_COOLDOWN: Field = Field::new(
    "max_cooldown",
    SPAN,
    Preset::Unset,
    "no cooldown is longer; at least the cooldown; left out, 64 times that",
);
const JITTER: Field = Field::new(
    "cooldown_jitter",
    Kind::Real { min: 0.0, from_min: true, max: 1.0 },
    Preset::Real(0.0),
    "lengthens the cooldown by a random part of up to this fraction",
);
pub(super) const PROBES: Field = Field::new(
    "probes",
    Kind::Count { min: 1, max: MAX_PROBES },
    Preset::Count(1),
    "how many probes a half-open cycle takes",
);
const PROBE_TIMEOUT: Field =
    Field::new("probe_timeout", SPAN, Preset::Span(60 * SECOND), "a probe that has not reported by then is lost");
const PROBE_RATE: Field = Field::new(
    "probe_failure_rate_threshold",
    RATE,
    Preset::Unset,
    "opens again when this share of a cycle's probes failed; left out, the failure rate above",
);
const AT_ONCE: Field = Field::new(
    "probes_at_once",
    Kind::Count { min: 1, max: MAX_PROBES },
    Preset::Unset,
    "how many probes may be under way together, at most all of them; left out, all",
);
const HEALTHY: Field = Field::new(
    "healthy_after",
    SPAN,
    Preset::Unset,
    "the backoff starts again after so long without a trip; left out, after the last cooldown",
);
const RAMP: Field = Field::new(
    "ramp",
    SPAN,
    Preset::Unset,
    "the time after closing in which a call's chance to pass grows to 1; left out, all pass at once",
);
const RAMP_FROM: Field =
    Field::new("ramp_from", RATE, Preset::Real(0.1), "the chance of a call to pass right after closing");

/// The settings of a breaker.
pub static SETTINGS: Table = Table {
    object: "breaker",
    fields: &[
        WINDOW_CALLS,
        WINDOW_DURATION,
        FAILURE_RATE,
        SLOW_CALL,
        SLOW_RATE,
        RUN,
        MIN_CALLS,
        COOLDOWN,
        BACKOFF,
        MAX_COOLDOWN,
        JITTER,
        PROBES,
        PROBE_TIMEOUT,
        PROBE_RATE,
        AT_ONCE,
        HEALTHY,
        RAMP,
        RAMP_FROM,
    ],
};

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_set_and_read_by_its_description() {
        let usual = BreakerConfig::default();
        for field in SETTINGS.fields {
            let value = match field.kind {
                Kind::Count { .. } => Value::Count(7),
                Kind::Real { max, .. } => Value::Real(if max > 1.0 { 3.0 } else { 0.75 }),
                _ => Value::Span(Duration::from_secs(77)),
            };
            let mut config = usual.clone();
            config.set(field, Some(value));
            assert_eq!(config.get(field), Some(value), "{}", field.name);
            let is_window = |field: &Field| field.name.starts_with("window_");
            for other in SETTINGS.fields.iter().filter(|other| other.name != field.name) {
                let expected = if is_window(field) && is_window(other) { None } else { usual.get(other) };
                assert_eq!(config.get(other), expected, "{} beside {}", other.name, field.name);
            }
            config.set(field, None);
            assert_eq!(config, usual, "{} left out", field.name);
        }
    }

    #[test]
    #[should_panic(expected = "cooldown cannot be Some(Count(5))")]
    fn a_value_of_another_kind_is_a_mistake_of_the_binding() {
        BreakerConfig::default().set(SETTINGS.field("cooldown"), Some(Value::Count(5)));
    }
}
