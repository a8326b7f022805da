//! A concurrency limiter's settings.

use crate::limit::Mode;

/// Settings of a [`ConcurrencyLimiter`](super::ConcurrencyLimiter).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConcurrencyConfig {
    /// The most at once, 1 to `max_limit`.
    pub limit: u32,
    /// What `set_limit` may raise it to, at most 4,096: a place for each is kept. By default the limit.
    pub max_limit: u32,
    /// Off, or only watching. By default [`Mode::from_env`].
    pub mode: Mode,
}

impl ConcurrencyConfig {
    /// At most `limit` at once.
    pub fn new(limit: u32) -> Self {
        Self { limit, max_limit: limit, mode: Mode::default() }
    }
}
