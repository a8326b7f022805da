//! `ConcurrencyLimiter.adaptive`: its settings.

use crate::args::{choice, flag, real, span_of, whole32};
use pyo3::prelude::*;
use std::time::Duration;
use tidegate::concurrency::{ADAPTIVE_SETTINGS, AdaptiveAlgorithm, AdaptiveConfig};
use tidegate::config::Field;

type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// The settings as they were given, in the order of the core's table behind the algorithm.
pub(super) struct Settings<'a, 'py> {
    pub(super) algorithm: Given<'a, 'py>,
    pub(super) limits: [Given<'a, 'py>; 3],
    pub(super) reals: [Given<'a, 'py>; 2],
    pub(super) spans: [Given<'a, 'py>; 6],
    pub(super) counts: [Given<'a, 'py>; 3],
    pub(super) probe: Given<'a, 'py>,
}

fn field(name: &str) -> &'static Field {
    ADAPTIVE_SETTINGS.field(name)
}

fn count(name: &str, value: Given<'_, '_>) -> PyResult<Option<u32>> {
    value.map(|value| whole32(field(name), value)).transpose()
}

fn span(name: &str, value: Given<'_, '_>) -> PyResult<Option<Duration>> {
    value.map(|value| span_of(field(name), value)).transpose()
}

fn factor(name: &str, value: Given<'_, '_>) -> PyResult<Option<f64>> {
    value.map(|value| real(field(name), value)).transpose()
}

impl Settings<'_, '_> {
    pub(super) fn config(self) -> PyResult<AdaptiveConfig> {
        let algorithm = self.algorithm.map(|algorithm| choice(field("algorithm"), algorithm)).transpose()?;
        let own = AdaptiveConfig::new(algorithm.unwrap_or(AdaptiveAlgorithm::Gradient));
        let [min, initial, max] = self.limits;
        let own = own.within(count("min_limit", min)?, count("initial_limit", initial)?, count("max_limit", max)?);
        let [tolerance, backoff_ratio] = self.reals;
        let [window, max_window, probe_every, max_latency, base, timeout] = self.spans;
        let [samples, min_samples, probe_floor] = self.counts;
        Ok(AdaptiveConfig {
            tolerance: factor("tolerance", tolerance)?.unwrap_or(own.tolerance),
            window: span("window", window)?.unwrap_or(own.window),
            samples: count("samples", samples)?.unwrap_or(own.samples),
            max_window: span("max_window", max_window)?.unwrap_or(own.max_window),
            min_samples: count("min_samples", min_samples)?.unwrap_or(own.min_samples),
            probe: flag("probe", self.probe)?.unwrap_or(own.probe),
            probe_every: span("probe_every", probe_every)?.unwrap_or(own.probe_every),
            probe_floor: count("probe_floor", probe_floor)?,
            max_latency: span("max_latency", max_latency)?,
            base: span("base", base)?,
            timeout: span("timeout", timeout)?.unwrap_or(own.timeout),
            backoff_ratio: factor("backoff_ratio", backoff_ratio)?.unwrap_or(own.backoff_ratio),
            ..own
        })
    }
}
