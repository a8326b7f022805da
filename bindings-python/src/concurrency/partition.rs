//! Partitions of a limiter: as they are declared, and as a call names its own.

use super::limiter::ConcurrencyLimiter;
use crate::errors::{from_core, wrong_type};
use crate::limit::key::utf8;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyMapping, PyString};
use tidegate::concurrency::{Partition, Partitions};

fn name_of(field: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.cast::<PyString>() {
        Ok(text) => Ok(utf8(text)?.into_owned()),
        Err(_) => Err(wrong_type(field, "the name of a partition, a str", value)),
    }
}

fn share_of(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let is_number = value.is_instance_of::<PyFloat>() || value.is_instance_of::<PyInt>();
    if is_number && !value.is_instance_of::<PyBool>() {
        // An int that no float holds is out of range, too.
        return Ok(value.extract().unwrap_or(f64::INFINITY));
    }
    Err(wrong_type("partitions", "the share of each as a float", value))
}

/// `partitions=` and `priority=`.
pub(super) fn partitions(
    py: Python<'_>,
    given: Option<&Bound<'_, PyAny>>,
    priority: Option<&Bound<'_, PyAny>>,
) -> PyResult<Partitions> {
    let mut shares = Vec::new();
    if let Some(given) = given {
        let Ok(all) = given.cast::<PyMapping>() else {
            return Err(wrong_type("partitions", "a dict of names and shares", given));
        };
        for item in all.items()?.iter() {
            let (name, share): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            shares.push((name_of("partitions", &name)?, share_of(&share)?));
        }
    }
    let mut order = Vec::new();
    if let Some(priority) = priority {
        let names = priority.try_iter().ok().filter(|_| !priority.is_instance_of::<PyString>());
        let names = names.ok_or_else(|| wrong_type("priority", "a list of names, the first first", priority))?;
        for name in names {
            order.push(name_of("priority", &name?)?);
        }
    }
    Partitions::new(shares).and_then(|all| all.with_priority(order)).map_err(|error| from_core(py, &error))
}

/// `partition=` of a call.
#[inline]
pub(super) fn partition(limiter: &ConcurrencyLimiter, given: Option<&Bound<'_, PyAny>>) -> PyResult<Partition> {
    partition_by(given, |name| limiter.core.partition(name))
}

/// As `find` says of the name.
#[inline]
pub(crate) fn partition_by(
    given: Option<&Bound<'_, PyAny>>,
    find: impl FnOnce(&str) -> Result<Partition, tidegate::ConfigError>,
) -> PyResult<Partition> {
    let Some(given) = given else { return Ok(Partition::default()) };
    let Ok(text) = given.cast::<PyString>() else {
        return Err(wrong_type("partition", "the name of one of its partitions, a str", given));
    };
    find(&utf8(text)?).map_err(|error| from_core(given.py(), &error))
}
