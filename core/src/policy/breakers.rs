//! `[breakers]`.

use super::section::Section;
use super::value::Settings;
use crate::breaker::{BreakerConfig, SETTINGS, Window};

/// A breaker as it was written, and what it is made from.
pub(super) fn read(section: &Section<'_, '_>) -> (Settings, Option<BreakerConfig>) {
    let names: Vec<_> = SETTINGS.fields.iter().map(|field| field.name).collect();
    section.check_keys(&names);
    let before = section.report.count();
    let given = section.fields(SETTINGS.fields.iter().map(|field| (field.name, field)));
    let windows = ["window_calls", "window_duration"];
    if windows.iter().all(|window| section.find(window).is_some()) {
        let last = windows.into_iter().max_by_key(|window| section.key_at(window)).unwrap_or(windows[1]);
        let other = windows[usize::from(last == windows[0])];
        section.wrong_key(last, format!("a breaker has one window; leave out this or {other}"), None);
    }
    if section.report.count() > before {
        return (given, None);
    }
    let config = config(&given);
    if let Err(error) = config.validate() {
        section.told(&error, str::to_owned);
        return (given, None);
    }
    (given, Some(config))
}

fn config(given: &Settings) -> BreakerConfig {
    let own = BreakerConfig::default();
    let by_calls = given.count32("window_calls").map_or(own.window, Window::Calls);
    BreakerConfig {
        window: given.span("window_duration").map_or(by_calls, Window::Duration),
        failure_rate_threshold: given.real("failure_rate_threshold").unwrap_or(own.failure_rate_threshold),
        slow_call_duration: given.span("slow_call_duration"),
        slow_call_rate_threshold: given.real("slow_call_rate_threshold").unwrap_or(own.slow_call_rate_threshold),
        consecutive_failures: given.count32("consecutive_failures"),
        min_calls: given.count32("min_calls").unwrap_or(own.min_calls),
        cooldown: given.span("cooldown").unwrap_or(own.cooldown),
        cooldown_backoff: given.real("cooldown_backoff").unwrap_or(own.cooldown_backoff),
        max_cooldown: given.span("max_cooldown"),
        cooldown_jitter: given.real("cooldown_jitter").unwrap_or(own.cooldown_jitter),
        probes: given.count32("probes").unwrap_or(own.probes),
        probe_timeout: given.span("probe_timeout").unwrap_or(own.probe_timeout),
        probe_failure_rate_threshold: given.real("probe_failure_rate_threshold"),
        probes_at_once: given.count32("probes_at_once"),
        healthy_after: given.span("healthy_after"),
        ramp: given.span("ramp"),
        ramp_from: given.real("ramp_from").unwrap_or(own.ramp_from),
    }
}
