//! `Block`: a time without service for keys that go on after being denied.

use crate::args::{real, span_of, whole32};
use crate::errors::from_core;
use pyo3::prelude::*;
use pyo3::types::PyType;
use tidegate::limit::{self, LIMITER_SETTINGS};

/// Blocks a key for a time after repeated denials, longer each time.
///
/// Args:
///     after: the denial that blocks, 1 to 255.
///     within: seconds from the first of those denials in which they count.
///     duration: seconds of the first block.
///     growth: the factor from one block of a key to its next while it is not forgotten (it is when it was neither
///         blocked nor denied for the longer of `within` and twice its last block).
///     max: seconds of the longest block; default 64 x `duration`, at most a year.
///
/// Raises ConfigError for a value outside what is allowed. Immutable: share it as you like.
#[pyclass(frozen, eq, module = "tidegate")]
#[derive(Debug, PartialEq)]
pub(crate) struct Block {
    /// The denial that blocks.
    #[pyo3(get)]
    after: u32,
    /// Seconds in which denials count.
    #[pyo3(get)]
    within: f64,
    /// Seconds of the first block.
    #[pyo3(get)]
    duration: f64,
    /// The factor from one block to the next.
    #[pyo3(get)]
    growth: f64,
    /// Seconds of the longest block, None for the default.
    #[pyo3(get)]
    max: Option<f64>,
    pub(crate) core: limit::Block,
}

#[pymethods]
impl Block {
    #[new]
    #[pyo3(signature = (after, within, duration, growth = None, max = None),
           text_signature = "(after, within, duration, growth=2, max=None)")]
    fn new(
        after: &Bound<'_, PyAny>,
        within: &Bound<'_, PyAny>,
        duration: &Bound<'_, PyAny>,
        growth: Option<&Bound<'_, PyAny>>,
        max: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = after.py();
        let field = |name| LIMITER_SETTINGS.field(name);
        let after = whole32(field("block_after"), after)?;
        let (within, duration) = (span_of(field("block_within"), within)?, span_of(field("block_duration"), duration)?);
        let growth = growth.map_or(Ok(limit::Block::GROWTH), |growth| real(field("block_growth"), growth))?;
        let max = max.map(|max| span_of(field("block_max"), max)).transpose()?;
        let core = limit::Block::new(after, within, duration, growth, max).map_err(|error| from_core(py, &error))?;
        let (within, duration) = (within.as_secs_f64(), duration.as_secs_f64());
        Ok(Self { after, within, duration, growth, max: max.map(|max| max.as_secs_f64()), core })
    }

    fn __repr__(&self) -> String {
        let Self { after, within, duration, growth, max, .. } = self;
        let max = max.map_or_else(|| "None".to_owned(), |max| format!("{max:?}"));
        format!("Block(after={after}, within={within:?}, duration={duration:?}, growth={growth:?}, max={max})")
    }

    #[allow(clippy::type_complexity)] // The arguments of `__new__`, in order.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (u32, f64, f64, f64, Option<f64>)) {
        let b = slf.get();
        (slf.get_type(), (b.after, b.within, b.duration, b.growth, b.max))
    }
}
