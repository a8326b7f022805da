//! `AccessList`: who is never, and who is always refused.

use crate::errors::from_core;
use crate::limit::key::Key;
use pyo3::prelude::*;
use tidegate::http::{self, Verdict, parse_address};

/// Entries that allow and entries that deny: addresses, networks, and exact keys written `"key:…"`.
///
/// The most specific entry that fits decides: a key before any network, a longer prefix before a shorter one; where
/// both lists have the same, deny. Raises ConfigError for an entry that is none of these. Immutable, so safe on any
/// thread.
#[pyclass(frozen, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct AccessList {
    pub(crate) core: http::AccessList,
}

#[pymethods]
impl AccessList {
    #[new]
    #[pyo3(signature = (allow = Vec::new(), deny = Vec::new()), text_signature = "(allow=(), deny=())")]
    fn new(py: Python<'_>, allow: Vec<String>, deny: Vec<String>) -> PyResult<Self> {
        let core = http::AccessList::new(allow.iter().map(String::as_str), deny.iter().map(String::as_str));
        Ok(Self { core: core.map_err(|error| from_core(py, &error))? })
    }

    /// `"allow"`, `"deny"`, or None where neither list has an entry for this client. No address lies in no network.
    #[pyo3(signature = (address = None, key = None))]
    fn verdict(&self, address: Option<&str>, key: Option<&Bound<'_, PyAny>>) -> PyResult<Option<&'static str>> {
        let address = address.and_then(|text| parse_address(text.as_bytes()));
        let key = key.map(Key::of).transpose()?;
        let verdict = self.core.verdict(address, key.as_ref().map_or(b"", Key::bytes));
        Ok((verdict != Verdict::Limit).then(|| verdict.name()))
    }
}
