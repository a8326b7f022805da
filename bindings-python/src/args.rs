//! Arguments as Python passes them: seconds, counts and costs, each with a sentence for what is wrong.

use crate::errors::{config, from_core, wrong_type};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::type_object::PyTypeCheck;
use pyo3::types::{PyBool, PyBytes, PyDelta, PyDeltaAccess, PyDict, PyFloat, PyInt, PyString, PyType};
use std::str::FromStr;
use std::time::Duration;
use tidegate::ConfigError;
use tidegate::config::{Field, PYTHON};
use tidegate::decision::NEVER;

/// Nanoseconds of the core as Python's seconds; "never" is `math.inf`.
#[inline]
pub(crate) fn seconds(ns: u64) -> f64 {
    if ns == NEVER { f64::INFINITY } else { ns as f64 / 1e9 }
}

/// Python's seconds as nanoseconds of the core, up, so that nothing ends before its time; what no clock can say is the
/// nearest that one can. What [`seconds`] gives comes back, and the error of floats is no part of a number.
pub(crate) fn nanoseconds(secs: f64) -> u64 {
    whole_ns(secs, f64::ceil)
}

fn whole_ns(secs: f64, otherwise: fn(f64) -> f64) -> u64 {
    // Of a number that came of a few steps with floats, as a part of it: 2^-50.
    const NOISE: f64 = 4.0 * f64::EPSILON;
    let ns = secs * 1e9;
    let nearest = ns.round();
    // `as` saturates: `math.inf` becomes NEVER.
    (if (ns - nearest).abs() <= ns * NOISE { nearest } else { otherwise(ns) }) as u64
}

/// A span of time from a float, an int or a `timedelta`. `None` means "no end" (`math.inf`).
pub(crate) fn span(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    span_as(field, value, nanoseconds)
}

/// What has passed on a clock that tests move: as [`finite`], and no nanosecond more, so that nothing is over early.
pub(crate) fn passed(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    span_as(field, value, |secs| whole_ns(secs, f64::floor))?.ok_or_else(|| endless(field, value))
}

fn span_as(field: &str, value: &Bound<'_, PyAny>, ns: fn(f64) -> u64) -> PyResult<Option<Duration>> {
    let py = value.py();
    if let Ok(delta) = value.cast::<PyDelta>() {
        // The longest are more microseconds than 64 bits hold.
        let seconds = i64::from(delta.get_days()) * 86_400 + i64::from(delta.get_seconds());
        return match (u64::try_from(seconds), u32::try_from(delta.get_microseconds())) {
            (Ok(seconds), Ok(micros)) => Ok(Some(Duration::new(seconds, micros * 1000))),
            _ => Err(config(py, format!("{field}: must be 0 or more, got {}", value.str()?))),
        };
    }
    let secs = number(field, "seconds as a float or a timedelta", value)?;
    if secs.is_nan() || secs < 0.0 {
        return Err(config(py, format!("{field}: must be 0 or more seconds, got {secs}")));
    }
    if secs == f64::INFINITY {
        return Ok(None);
    }
    let ns = ns(secs);
    if ns == NEVER {
        return Err(config(py, format!("{field}: {secs} seconds are more than 584 years; math.inf means \"no end\"")));
    }
    Ok(Some(Duration::from_nanos(ns)))
}

/// A span that must end.
pub(crate) fn finite(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    span(field, value)?.ok_or_else(|| endless(field, value))
}

fn endless(field: &str, value: &Bound<'_, PyAny>) -> PyErr {
    config(value.py(), format!("{field}: must be a finite number of seconds, got inf"))
}

/// `retry_after=`: seconds that are told whatever the rate.
pub(crate) fn told(retry_after: Option<&Bound<'_, PyAny>>) -> PyResult<Option<f64>> {
    retry_after.map(|wait| Ok(finite("retry_after", wait)?.as_secs_f64())).transpose()
}

/// A span of time of a setting: what no `Duration` holds is told with the setting's range.
pub(crate) fn span_of(field: &'static Field, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    const LONGEST: f64 = 1.8e10;
    if !value.is_instance_of::<PyDelta>() {
        let secs = real_number(value, || wrong(field, value), || outside(field, value))?;
        if !(0.0..=LONGEST).contains(&secs) {
            return Err(from_core(value.py(), &field.outside(format!("{secs:?} s"), "")));
        }
    } else if span(field.name, value).is_err() {
        return Err(outside(field, value));
    }
    finite(field.name, value)
}

/// A whole number of a setting, within its range.
pub(crate) fn whole(field: &'static Field, value: &Bound<'_, PyAny>) -> PyResult<u64> {
    if !is_int(value) {
        return Err(wrong(field, value));
    }
    let n = value.extract::<u64>().map_err(|_| outside(field, value))?;
    field.check_count(n, "").map_err(|error| from_core(value.py(), &error))?;
    Ok(n)
}

/// As [`whole`], where the range is that of a `u32`, or within it.
pub(crate) fn whole32(field: &'static Field, value: &Bound<'_, PyAny>) -> PyResult<u32> {
    u32::try_from(whole(field, value)?).map_err(|_| outside(field, value))
}

/// A fraction or a factor of a setting; its range is the core's to check.
pub(crate) fn real(field: &'static Field, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    real_number(value, || wrong(field, value), || outside(field, value))
}

/// A setting that is yes or no, or may be left out.
pub(crate) fn flag(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<bool>> {
    let flag = |value: &Bound<'_, PyAny>| match value.cast::<PyBool>() {
        Ok(flag) => Ok(flag.is_true()),
        Err(_) => Err(wrong_type(name, "True or False", value)),
    };
    value.map(flag).transpose()
}

/// A text that may be left out.
pub(crate) fn text(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<String>> {
    let text = |value: &Bound<'_, PyAny>| match value.cast::<PyString>() {
        Ok(text) => Ok(text.to_string_lossy().into_owned()),
        Err(_) => Err(wrong_type(name, "a str", value)),
    };
    value.map(text).transpose()
}

/// A text of a setting that is one of a few.
pub(crate) fn choice<T: FromStr<Err = ConfigError>>(field: &'static Field, value: &Bound<'_, PyAny>) -> PyResult<T> {
    match value.cast::<PyString>() {
        Ok(text) => text.to_string_lossy().parse().map_err(|error| from_core(value.py(), &error)),
        Err(_) => Err(wrong(field, value)),
    }
}

/// An object of one of this module's classes.
pub(crate) fn object<'a, 'py, T: PyTypeCheck>(
    name: &str,
    expected: &str,
    value: &'a Bound<'py, PyAny>,
) -> PyResult<&'a Bound<'py, T>> {
    value.cast::<T>().map_err(|_| wrong_type(name, expected, value))
}

/// A setting of the wrong type, named like Python names it.
pub(crate) fn wrong(field: &'static Field, value: &Bound<'_, PyAny>) -> PyErr {
    wrong_type(&field.name(&PYTHON), &field.wanted(&PYTHON), value)
}

fn outside(field: &'static Field, value: &Bound<'_, PyAny>) -> PyErr {
    from_core(value.py(), &field.outside(brief(value), ""))
}

/// An int, which a bool is not.
pub(crate) fn is_int(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>()
}

/// A span that may be left out.
pub(crate) fn optional(field: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Duration>> {
    value.map(|value| finite(field, value)).transpose()
}

/// A real number; `bool` is not one.
pub(crate) fn number(field: &str, expected: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let too_large = || config(value.py(), format!("{field}: the number is too large"));
    real_number(value, || wrong_type(field, expected, value), too_large)
}

fn real_number(
    value: &Bound<'_, PyAny>,
    wrong: impl FnOnce() -> PyErr,
    too_large: impl FnOnce() -> PyErr,
) -> PyResult<f64> {
    if value.is_exact_instance_of::<PyFloat>() {
        return value.extract();
    }
    // `__float__` would also let numpy scalars and Decimals through; strings and bools have no business here.
    if value.is_instance_of::<PyBool>() {
        return Err(wrong());
    }
    value
        .extract::<f64>()
        .map_err(|error| if error.is_instance_of::<PyOverflowError>(value.py()) { too_large() } else { wrong() })
}

/// A whole number from 0 to `max`.
pub(crate) fn count(field: &str, value: &Bound<'_, PyAny>, max: u64) -> PyResult<u64> {
    if !is_int(value) {
        return Err(wrong_type(field, "an int", value));
    }
    match value.extract::<u64>() {
        Ok(n) if n <= max => Ok(n),
        _ => Err(config(value.py(), format!("{field}: must be a whole number from 0 to {max}, got {}", brief(value)))),
    }
}

/// A number for a message: an int of thousands of digits is not printed (Python may refuse to).
pub(crate) fn brief(value: &Bound<'_, PyAny>) -> String {
    match value.str() {
        Ok(text) if text.to_string_lossy().len() <= 40 => text.to_string(),
        _ => "a number of more than 40 digits".to_owned(),
    }
}

/// How many tokens a call takes.
#[derive(Clone, Copy)]
pub(crate) struct Cost(pub(crate) u32);

impl<'py> FromPyObject<'_, 'py> for Cost {
    type Error = PyErr;

    #[inline]
    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if value.is_exact_instance_of::<PyInt>()
            && let Ok(n) = value.extract::<u32>()
        {
            return Ok(Self(n));
        }
        if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
            // A key for a limit that has none, or behind another argument.
            let expected = "an int (one limit for each key is a RateLimiter, which takes the key first)";
            return Err(wrong_type("n", expected, &value));
        }
        count("n", &value, u64::from(u32::MAX)).map(|n| Self(n as u32))
    }
}

/// What a constructor does not know. Python hands the arguments of a subclass to `__new__` before its `__init__`, and a
/// class that cannot be changed once it is made, so that no call has to ask, takes everything there.
pub(crate) fn known(cls: &Bound<'_, PyType>, unknown: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    let Some((name, _)) = unknown.and_then(|unknown| unknown.iter().next()) else { return Ok(()) };
    let is_ours = |class: &Bound<'_, PyAny>| class.getattr("__module__").and_then(|module| module.eq("tidegate"));
    let base = cls.mro().iter().find(|class| is_ours(class).unwrap_or(false)).map(|base| base.cast_into::<PyType>());
    let base = base.transpose()?.unwrap_or_else(|| cls.clone());
    let text = format!("{}() got an unexpected keyword argument {}", cls.name()?, name.repr()?);
    if cls.is(&base) {
        return Err(PyTypeError::new_err(format!("{text}; it takes {}", parameters(&base)?)));
    }
    Err(PyTypeError::new_err(format!(
        "{text}: {} is made in __new__, which gets the arguments before __init__; take them there as well: \
         def __new__(cls, {name}, *args, **kwargs): return super().__new__(cls, *args, **kwargs)",
        base.name()?
    )))
}

/// The names of what a class is made with, as its signature has them.
fn parameters(class: &Bound<'_, PyType>) -> PyResult<String> {
    let signature: String = class.getattr("__text_signature__")?.extract()?;
    let names = signature.trim_matches(['(', ')']).split(',').map(|one| one.split('=').next().unwrap_or("").trim());
    Ok(names.filter(|name| !name.is_empty() && *name != "*").collect::<Vec<_>>().join(", "))
}
