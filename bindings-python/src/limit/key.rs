//! A key as Python passes it: the UTF-8 of a str, or bytes as they are.

use crate::errors::wrong_type;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use std::borrow::Cow;

/// The bytes of a key, borrowed from the Python object wherever it has them.
pub(crate) enum Key<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
}

impl<'a> Key<'a> {
    #[inline]
    pub(crate) fn of(key: &'a Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(text) = key.cast::<PyString>() {
            return match text.to_str() {
                Ok(text) => Ok(Self::Borrowed(text.as_bytes())),
                Err(error) => without_surrogates(text, error).map(Self::Owned),
            };
        }
        match key.cast::<PyBytes>() {
            Ok(bytes) => Ok(Self::Borrowed(bytes.as_bytes())),
            Err(_) => Err(wrong_type("key", "a str or bytes", key)),
        }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// A text that the core compares: as that of a key.
#[inline]
pub(crate) fn utf8<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, str>> {
    match text.to_str() {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(error) => Ok(Cow::Owned(String::from_utf8_lossy(&without_surrogates(text, error)?).into_owned())),
    }
}

/// UTF-8 with U+FFFD for each surrogate, as every binding writes it.
#[cold]
fn without_surrogates(text: &Bound<'_, PyString>, error: PyErr) -> PyResult<Vec<u8>> {
    // The fast methods come here without PyO3 knowing that this thread is attached.
    Python::attach(|_| drop(error));
    let encoded = text.call_method1("encode", ("utf-8", "surrogatepass"))?;
    let mut bytes = encoded.cast::<PyBytes>()?.as_bytes().to_vec();
    // A surrogate is the only character whose UTF-8 begins with ED and goes on above 9F; U+FFFD is three bytes too.
    for at in 0..bytes.len().saturating_sub(2) {
        if bytes[at] == 0xED && bytes[at + 1] > 0x9F {
            bytes[at..at + 3].copy_from_slice("\u{FFFD}".as_bytes());
        }
    }
    Ok(bytes)
}
