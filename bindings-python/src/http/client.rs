//! `ClientAddress`: whose request it is.

use crate::errors::from_core;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use tidegate::http;

/// Finds the client of a request: the socket's peer, unless that is a proxy you trust.
///
/// Args:
///     trusted: the proxies: networks (`"10.0.0.0/8"`), addresses, `"loopback"`, `"private"`, or `"unix"` for a peer
///         without an address.
///     header: the one header that they write: `"x-forwarded-for"`, `"forwarded"` (RFC 7239), or another that holds
///         addresses separated by commas.
///     ipv4_prefix, ipv6_prefix: how many leading bits of an address make a key.
///
/// The header is read from the right up to the first address that is not trusted, at most 64 entries. An entry that is
/// no address ends the walk at the last proxy that could be read. IPv4 mapped into IPv6 is IPv4; ports and zones are
/// dropped.
///
/// Raises ConfigError for a wrong network, header or prefix. Immutable, so safe on any thread.
#[pyclass(frozen, module = "tidegate")]
#[derive(Debug)]
pub(crate) struct ClientAddress {
    core: http::ClientAddress,
}

impl ClientAddress {
    /// The key of a peer that no header speaks for.
    pub(crate) fn peer<'py>(&self, peer: &Bound<'py, PyString>) -> Bound<'py, PyString> {
        self.key(peer, Vec::new())
    }
}

#[pymethods]
impl ClientAddress {
    #[new]
    #[pyo3(signature = (trusted = Vec::new(), header = "x-forwarded-for", *, ipv4_prefix = 32, ipv6_prefix = 64),
           text_signature = "(trusted=(), header='x-forwarded-for', *, ipv4_prefix=32, ipv6_prefix=64)")]
    fn new(py: Python<'_>, trusted: Vec<String>, header: &str, ipv4_prefix: i64, ipv6_prefix: i64) -> PyResult<Self> {
        // What no u8 holds is as wrong as 255.
        let prefix = |bits: i64| u8::try_from(bits).unwrap_or(u8::MAX);
        let core = http::ClientAddress::new()
            .with_trusted(trusted.iter().map(String::as_str))
            .and_then(|core| core.with_header(header))
            .and_then(|core| core.with_prefixes(prefix(ipv4_prefix), prefix(ipv6_prefix)));
        Ok(Self { core: core.map_err(|error| from_core(py, &error))? })
    }

    /// The header whose lines the methods want, in lower case; None where no proxy is trusted and none is read.
    #[getter]
    fn header(&self) -> Option<&str> {
        self.core.header()
    }

    /// The client's key: `192.0.2.1`, `2001:db8::/64`. A peer without an address is its own key, an absent one (`""`)
    /// the empty key. `lines` are the values of the header's lines, in the order in which they came.
    #[pyo3(signature = (peer, lines = Vec::new()), text_signature = "($self, peer, lines=())")]
    fn key<'py>(&self, peer: &Bound<'py, PyString>, lines: Vec<Bound<'py, PyBytes>>) -> Bound<'py, PyString> {
        let text = peer.to_string_lossy();
        match self.core.key(&text, lines.iter().map(|line| line.as_bytes())) {
            // Most keys are the text that came.
            std::borrow::Cow::Borrowed(_) => peer.clone(),
            std::borrow::Cow::Owned(key) => PyString::new(peer.py(), &key),
        }
    }

    /// The client's address as text; None where it has none.
    #[pyo3(signature = (peer, lines = Vec::new()), text_signature = "($self, peer, lines=())")]
    fn address(&self, peer: &Bound<'_, PyString>, lines: Vec<Bound<'_, PyBytes>>) -> Option<String> {
        let lines = lines.iter().map(|line| line.as_bytes());
        self.core.address(&peer.to_string_lossy(), lines).map(|address| address.to_string())
    }
}
