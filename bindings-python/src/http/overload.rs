//! How long a client waits that finds no room.

use crate::args::{count, finite, number};
use crate::errors::config;
use pyo3::prelude::*;
use tidegate::http;

/// Seconds for Retry-After of a refusal by a full queue or concurrency limit: the time that `depth` items or calls
/// take, where `done` were done in the last `window` seconds; 1 to 60, and up to a fifth more by `draw`, from 0 up to,
/// but not including, 1 (`random.random()`; 0: no more). Less than a second tells no rate: 1. Where nothing was done in
/// ten seconds: 60.
#[pyfunction]
pub(crate) fn overload_retry_after(
    depth: &Bound<'_, PyAny>,
    done: &Bound<'_, PyAny>,
    window: &Bound<'_, PyAny>,
    draw: &Bound<'_, PyAny>,
) -> PyResult<u64> {
    let (depth, done) = (count("depth", depth, u64::MAX)?, count("done", done, u64::MAX)?);
    let window = finite("window", window)?;
    let drawn = number("draw", "a number", draw)?;
    if !(0.0..1.0).contains(&drawn) {
        return Err(config(draw.py(), format!("draw: must be from 0 up to, but not including, 1, got {drawn:?}")));
    }
    Ok(http::overload_retry_after(depth, done, window, drawn))
}

/// What has left in the last ten seconds, looked at when somebody is refused.
#[pyclass(frozen, module = "tidegate._tidegate")]
#[derive(Debug)]
pub(crate) struct Outflow(http::Outflow);

#[pymethods]
impl Outflow {
    #[new]
    fn new() -> Self {
        Self(http::Outflow::new())
    }

    /// Seconds for who is refused at `now_ns`, with `depth` in the way and `left` gone since the beginning.
    fn retry_after(&self, now_ns: u64, depth: u64, left: u64) -> f64 {
        self.0.retry_after(now_ns, depth, left) as f64
    }
}
