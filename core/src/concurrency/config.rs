//! A concurrency limiter's settings.

use crate::config::name;
use crate::mode::Mode;
use crate::{ConfigError, ConfigErrorKind};

/// The most that a limit can be: a denial looks at as many places.
const MOST: u32 = 4_096;

/// Places are laid out by so many, so that in a named scope a changed limit seldom is another shape.
#[cfg(not(loom))]
const STEP: usize = 64;
#[cfg(loom)]
const STEP: usize = 1;

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

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        // Where nothing is said of it, it is the limit, and that is what the caller wrote.
        let wrote = if self.limit == self.max_limit { "limit" } else { "max_limit" };
        check(wrote, self.max_limit, MOST)?;
        if self.limit > self.max_limit && self.limit <= MOST {
            let most = name("max_limit");
            let message = format!(
                "is {}, above {most}, {}: lower it, or give a higher {most} (at most {MOST})",
                self.limit, self.max_limit
            );
            return Err(ConfigError::new(ConfigErrorKind::Conflict, "limit", message));
        }
        self.check_limit(self.limit)
    }

    pub(super) fn check_limit(&self, limit: u32) -> Result<(), ConfigError> {
        check("limit", limit, self.max_limit)
    }

    /// How many places it takes.
    pub(super) fn places(&self) -> usize {
        (self.max_limit as usize).next_multiple_of(STEP)
    }
}

fn check(field: &'static str, value: u32, most: u32) -> Result<(), ConfigError> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    let why = if value == 0 { ", so nothing could ever run" } else { "" };
    let more =
        if most < MOST { format!("; the limiter was made with this {}", name("max_limit")) } else { String::new() };
    Err(ConfigError::out_of_range(field, format!("is {value}{why}; give how many may run at once, 1 to {most}{more}")))
}
