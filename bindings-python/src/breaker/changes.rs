//! `set_config`: settings by name.

use crate::args::{real, span_of, whole32};
use crate::errors::{config, wrong_type};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict};
use std::time::Duration;
use tidegate::BreakerConfig;
use tidegate::breaker::{SETTINGS, Window};

/// One setting that changes.
pub(super) type Change = Box<dyn Fn(&mut BreakerConfig) + Send + Sync>;

/// Those of them that are no settings.
pub(super) fn others<'py>(settings: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    let others = PyDict::new(settings.py());
    for (name, value) in settings.iter() {
        let text = name.extract::<String>()?;
        if !SETTINGS.fields.iter().any(|field| field.name == text) {
            others.set_item(name, value)?;
        }
    }
    Ok(others)
}

pub(super) fn apply(changes: &[Change], config: &mut BreakerConfig) {
    for change in changes {
        change(config);
    }
}

/// What the settings ask for that `what` was given. Raises TypeError for names that are none and ConfigError for what
/// is no value.
pub(super) fn of(changes: &Bound<'_, PyDict>, what: &str) -> PyResult<Vec<Change>> {
    if changes.contains("window_calls")? && changes.contains("window_duration")? {
        let message = "window_calls, window_duration: give one of the two windows, not both";
        return Err(config(changes.py(), message));
    }
    let mut known = Vec::new();
    for (name, value) in changes.iter() {
        let text = name.str()?.to_string_lossy().into_owned();
        match change(&text, Some(&value).filter(|value| !value.is_none()))? {
            Some(change) => known.push(change),
            None => {
                let names = SETTINGS.fields.iter().map(|field| field.name).chain(["count_overdue"]);
                let names = names.collect::<Vec<_>>().join(", ");
                let message = format!("{what} got an unexpected keyword argument {text:?}; it takes {names}");
                return Err(PyTypeError::new_err(message));
            }
        }
    }
    Ok(known)
}

/// A setting's change; no value is what holds where it is left out. `None`: there is no such setting.
fn change(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Change>> {
    let Some(field) = SETTINGS.fields.iter().find(|field| field.name == name) else { return Ok(None) };
    let usual = BreakerConfig::default();
    let whole = || value.map(|value| whole32(field, value)).transpose();
    let span = || value.map(|value| span_of(field, value)).transpose();
    let fraction = || value.map(|value| real(field, value)).transpose();
    Ok(Some(match name {
        "window_calls" => {
            let window = whole()?.map_or(usual.window, Window::Calls);
            Box::new(move |config| config.window = window)
        }
        "window_duration" => match span()? {
            Some(span) => Box::new(move |config| config.window = Window::Duration(span)),
            None => Box::new(move |config| config.window = usual.window),
        },
        "min_calls" => set(whole()?.unwrap_or(usual.min_calls), |config| &mut config.min_calls),
        "probes" => set(whole()?.unwrap_or(usual.probes), |config| &mut config.probes),
        "consecutive_failures" => set(whole()?, |config| &mut config.consecutive_failures),
        "probes_at_once" => set(whole()?, |config| &mut config.probes_at_once),
        "failure_rate_threshold" => {
            set(fraction()?.unwrap_or(usual.failure_rate_threshold), |config| &mut config.failure_rate_threshold)
        }
        "slow_call_rate_threshold" => {
            set(fraction()?.unwrap_or(usual.slow_call_rate_threshold), |config| &mut config.slow_call_rate_threshold)
        }
        "cooldown_backoff" => set(fraction()?.unwrap_or(usual.cooldown_backoff), |config| &mut config.cooldown_backoff),
        "cooldown_jitter" => set(fraction()?.unwrap_or(usual.cooldown_jitter), |config| &mut config.cooldown_jitter),
        "probe_failure_rate_threshold" => set(fraction()?, |config| &mut config.probe_failure_rate_threshold),
        "ramp_from" => set(fraction()?.unwrap_or(usual.ramp_from), |config| &mut config.ramp_from),
        "cooldown" => set(span()?.unwrap_or(usual.cooldown), |config| &mut config.cooldown),
        "probe_timeout" => set(span()?.unwrap_or(usual.probe_timeout), |config| &mut config.probe_timeout),
        "slow_call_duration" => spans(span()?, |config| &mut config.slow_call_duration),
        "max_cooldown" => spans(span()?, |config| &mut config.max_cooldown),
        "healthy_after" => spans(span()?, |config| &mut config.healthy_after),
        "ramp" => spans(span()?, |config| &mut config.ramp),
        _ => return Ok(None),
    }))
}

fn set<T: Copy + Send + Sync + 'static>(value: T, of: fn(&mut BreakerConfig) -> &mut T) -> Change {
    Box::new(move |config| *of(config) = value)
}

fn spans(value: Option<Duration>, of: fn(&mut BreakerConfig) -> &mut Option<Duration>) -> Change {
    set(value, of)
}

/// `count_overdue`, which is of a binding's object and no setting of the core.
pub(super) fn switch(py: Python<'_>, value: Option<&Bound<'_, PyAny>>, slow: Option<Duration>) -> PyResult<bool> {
    match value {
        Some(value) => needs_slow(py, is_on(value)?, slow),
        None => Ok(false),
    }
}

/// What `count_overdue` was given; None is what holds where it is left out.
pub(super) fn is_on(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match value.cast::<PyBool>() {
        Ok(on) => Ok(on.is_true()),
        Err(_) if value.is_none() => Ok(false),
        Err(_) => Err(wrong_type("count_overdue", "True or False", value)),
    }
}

/// `count_overdue` of the settings, and the others.
pub(super) fn without_switch<'py>(settings: &Bound<'py, PyDict>) -> PyResult<(Option<bool>, Bound<'py, PyDict>)> {
    let Some(value) = settings.get_item("count_overdue")? else { return Ok((None, settings.clone())) };
    let others = settings.copy()?;
    others.del_item("count_overdue")?;
    Ok((Some(is_on(&value)?), others))
}

/// Whether calls are watched, which they can be only where one can be slow.
pub(super) fn needs_slow(py: Python<'_>, on: bool, slow: Option<Duration>) -> PyResult<bool> {
    if on && slow.is_none() {
        let message = "count_overdue: without slow_call_duration no call is overdue; give one, such as 2.0 (seconds)";
        return Err(config(py, message));
    }
    Ok(on)
}

/// All settings by name.
pub(super) fn told<'py>(py: Python<'py>, config: &BreakerConfig) -> PyResult<Bound<'py, PyDict>> {
    let seconds = |span: Duration| span.as_secs_f64();
    let all = PyDict::new(py);
    match config.window {
        Window::Calls(calls) => all.set_item("window_calls", calls)?,
        Window::Duration(span) => all.set_item("window_duration", seconds(span))?,
    }
    all.set_item("failure_rate_threshold", config.failure_rate_threshold)?;
    all.set_item("slow_call_duration", config.slow_call_duration.map(seconds))?;
    all.set_item("slow_call_rate_threshold", config.slow_call_rate_threshold)?;
    all.set_item("consecutive_failures", config.consecutive_failures)?;
    all.set_item("min_calls", config.min_calls)?;
    all.set_item("cooldown", seconds(config.cooldown))?;
    all.set_item("cooldown_backoff", config.cooldown_backoff)?;
    all.set_item("max_cooldown", config.max_cooldown.map(seconds))?;
    all.set_item("cooldown_jitter", config.cooldown_jitter)?;
    all.set_item("probes", config.probes)?;
    all.set_item("probe_timeout", seconds(config.probe_timeout))?;
    all.set_item("probe_failure_rate_threshold", config.probe_failure_rate_threshold)?;
    all.set_item("probes_at_once", config.probes_at_once)?;
    all.set_item("healthy_after", config.healthy_after.map(seconds))?;
    all.set_item("ramp", config.ramp.map(seconds))?;
    all.set_item("ramp_from", config.ramp_from)?;
    Ok(all)
}
