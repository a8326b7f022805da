//! RateLimit and RateLimit-Policy of draft-ietf-httpapi-ratelimit-headers-10, written where they cost a tenth of what they cost
//! in Python: every answer carries them.

use crate::errors::config;
use crate::limit::bucket::TokenBucket;
use crate::limit::decision::Decision;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyString};
use std::io::Write as _;

/// A header's name, made once.
macro_rules! name {
    ($py:expr, $name:literal) => {{
        static NAME: PyOnceLock<Py<PyBytes>> = PyOnceLock::new();
        NAME.get_or_init($py, || PyBytes::new($py, $name).unbind()).bind($py)
    }};
}

/// How a limit presents itself: `name` in the structured fields, `legacy` for X-RateLimit-* as well.
///
/// X-RateLimit-Reset counts seconds from now, as Retry-After does.
#[pyclass(frozen, module = "tidegate.headers")]
#[derive(Debug)]
pub(crate) struct Policy {
    /// The limit's name.
    #[pyo3(get)]
    name: String,
    quoted: String,
    legacy: bool,
}

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(signature = (name = None, legacy = false), text_signature = "(name='default', legacy=False)")]
    fn new(name: Option<&Bound<'_, PyString>>, legacy: bool, py: Python<'_>) -> PyResult<Self> {
        let name = name.unwrap_or(intern!(py, "default"));
        let text = name.to_string_lossy().into_owned();
        if text.is_empty() || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            let shown = name.repr()?;
            return Err(config(py, format!("name: must be printable ASCII (it stands in a header), got {shown}")));
        }
        let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        Ok(Self { name: text, quoted, legacy })
    }

    /// The header fields of one decision; RateLimit-Policy only with the bucket that made it.
    #[pyo3(signature = (decision, bucket = None))]
    fn headers<'py>(
        &self,
        decision: &Bound<'py, Decision>,
        bucket: Option<&Bound<'py, TokenBucket>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let (py, decision) = (decision.py(), decision.get());
        let reset = decision.reset_after.ceil() as u64;
        let item = field(py, format_args!("{};r={};t={reset}", self.quoted, decision.remaining));
        let rate_limit = (name!(py, b"ratelimit"), item);
        let out = match bucket {
            Some(bucket) => {
                let quota = bucket.get().core.quota();
                let window = (quota.fill_time().as_secs_f64().ceil() as u64).max(1);
                let item = field(py, format_args!("{};q={};w={window}", self.quoted, quota.burst()));
                PyList::new(py, [(name!(py, b"ratelimit-policy"), item), rate_limit])?
            }
            None => PyList::new(py, [rate_limit])?,
        };
        if self.legacy {
            out.append((name!(py, b"x-ratelimit-limit"), field(py, format_args!("{}", decision.limit))))?;
            out.append((name!(py, b"x-ratelimit-remaining"), field(py, format_args!("{}", decision.remaining))))?;
            out.append((name!(py, b"x-ratelimit-reset"), field(py, format_args!("{reset}"))))?;
        }
        Ok(out)
    }
}

/// A header's value.
fn field<'py>(py: Python<'py>, text: std::fmt::Arguments<'_>) -> Bound<'py, PyBytes> {
    let mut value = Vec::with_capacity(64);
    // Writing to a Vec cannot fail.
    let _ = value.write_fmt(text);
    PyBytes::new(py, &value)
}
