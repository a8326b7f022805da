//! The floor under every Python row, an empty method on a frozen class, and governor behind PyO3; built with the flags
//! of the extension.

use governor::{DefaultKeyedRateLimiter, Quota};
use pyo3::prelude::*;
use std::num::NonZeroU32;

/// A class with nothing in it.
#[pyclass(frozen)]
#[derive(Debug)]
struct Empty;

#[pymethods]
impl Empty {
    #[new]
    fn new() -> Self {
        Self
    }

    /// Returns at once.
    fn empty(&self) -> bool {
        true
    }

    /// Reads the key and returns.
    fn read(&self, key: &str) -> bool {
        !key.is_empty()
    }
}

/// governor's limit per key, in its default store, a sharded map.
#[pyclass(frozen)]
#[derive(Debug)]
struct Governor(DefaultKeyedRateLimiter<String>);

#[pymethods]
impl Governor {
    /// One a minute, and `burst` at once.
    #[new]
    fn new(burst: NonZeroU32) -> Self {
        Self(DefaultKeyedRateLimiter::keyed(Quota::per_minute(NonZeroU32::MIN).allow_burst(burst)))
    }

    /// Takes one of the key's, or nothing.
    fn try_acquire(&self, key: String) -> bool {
        self.0.check_key(&key).is_ok()
    }
}

/// The module of both.
#[pymodule(gil_used = false)]
mod floor {
    #[pymodule_export]
    use super::{Empty, Governor};
}
