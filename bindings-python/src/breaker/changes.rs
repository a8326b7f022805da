//! `set_config`: settings by name.

use crate::args::{real, span_of, whole32};
use crate::errors::{config, wrong_type};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict};
use std::time::Duration;
use tidegate::BreakerConfig;
use tidegate::breaker::SETTINGS;
use tidegate::config::{Kind, Value};

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

/// The settings that an object begins with, whose None is as if it were not there.
pub(super) fn begin(settings: &Bound<'_, PyDict>, what: &str) -> PyResult<BreakerConfig> {
    let given = PyDict::new(settings.py());
    for (name, value) in settings.iter().filter(|(_, value)| !value.is_none()) {
        given.set_item(name, value)?;
    }
    let mut config = BreakerConfig::default();
    apply(&of(&given, what)?, &mut config);
    Ok(config)
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
    let value = match (value, field.kind) {
        (None, _) => None,
        (Some(value), Kind::Count { .. }) => Some(Value::Count(whole32(field, value)?.into())),
        (Some(value), Kind::Real { .. }) => Some(Value::Real(real(field, value)?)),
        (Some(value), _) => Some(Value::Span(span_of(field, value)?)),
    };
    Ok(Some(Box::new(move |config| config.set(field, value))))
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
    let all = PyDict::new(py);
    for field in SETTINGS.fields {
        match config.get(field) {
            Some(Value::Count(count)) => all.set_item(field.name, count)?,
            Some(Value::Real(real)) => all.set_item(field.name, real)?,
            Some(Value::Span(span)) => all.set_item(field.name, span.as_secs_f64())?,
            // It has one window; the other is none of its settings.
            None if field.name.starts_with("window_") => {}
            _ => all.set_item(field.name, py.None())?,
        }
    }
    Ok(all)
}
