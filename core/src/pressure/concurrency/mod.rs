//! Concurrency limit: how many calls may be under way at once.

mod config;
mod permit;

pub use config::ConcurrencyConfig;
pub use permit::{ConcurrencyGuard, ConcurrencyPermit};

use crate::limit::Mode;
use crate::{Clock, ConfigError};
use std::time::Duration;

/// At most so many calls at once: each holds a permit while it runs.
///
/// Thread safety: all methods may be called from any thread at any time. Decisions take no lock; waiting forms do among
/// those who wait.
#[derive(Debug)]
pub struct ConcurrencyLimiter {
    config: ConcurrencyConfig,
    clock: Clock,
}

/// Counts since the limiter was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConcurrencyStats {
    /// The limit in force.
    pub limit: u32,
    /// Permits held now.
    pub in_use: u32,
    /// Calls admitted.
    pub admitted: u64,
    /// Calls denied; a call that waited in vain counts once.
    pub denied: u64,
    /// Calls admitted by a dry run that would have been denied.
    pub would_deny: u64,
    /// Permits taken back from processes that died (host scope).
    pub reclaimed: u64,
}

impl ConcurrencyLimiter {
    /// At most `limit` at once (1 to 4,096).
    ///
    /// Errors: `limit` outside its range.
    pub fn new(limit: u32) -> Result<Self, ConfigError> {
        Self::with_config(ConcurrencyConfig::new(limit), Clock::monotonic())
    }

    /// As `config` says; `clock` times the reaping of dead owners and nothing else.
    ///
    /// Errors: as [`new`](Self::new).
    pub fn with_config(config: ConcurrencyConfig, clock: Clock) -> Result<Self, ConfigError> {
        let _ = (&config, &clock);
        todo!()
    }

    /// The limiter `name` of an arena, opened or made: one limit for all who share the arena.
    ///
    /// Errors: as [`new`](Self::new), and those of the arena: another shape (`max_limit`) or other settings (`limit`) under the name.
    #[cfg(not(loom))]
    pub fn in_arena(
        arena: &std::sync::Arc<crate::Arena>,
        name: &str,
        config: ConcurrencyConfig,
        on_conflict: crate::OnConflict,
    ) -> Result<Self, crate::arena::ArenaError> {
        let _ = (arena, name, config, on_conflict);
        todo!()
    }

    /// A permit, or `None` when the limit is reached. Give it back with [`release`](Self::release).
    pub fn try_acquire(&self) -> Option<ConcurrencyPermit> {
        todo!()
    }

    /// A permit as a guard that gives itself back when dropped.
    pub fn try_enter(&self) -> Option<ConcurrencyGuard<'_>> {
        todo!()
    }

    /// Blocks this thread for a permit, first come first served within the process; `None` after `timeout` (`None`: never gives up).
    pub fn acquire(&self, timeout: Option<Duration>) -> Option<ConcurrencyPermit> {
        let _ = timeout;
        todo!()
    }

    /// Gives a permit back. False, and nothing happens: it was given back before, taken back from a dead process, or belongs to
    /// another process (the parent of a fork).
    pub fn release(&self, permit: ConcurrencyPermit) -> bool {
        let _ = permit;
        todo!()
    }

    /// Permits held now.
    pub fn in_use(&self) -> u32 {
        todo!()
    }

    /// The limit in force.
    pub fn limit(&self) -> u32 {
        todo!()
    }

    /// Changes the limit, at most to the config's `max_limit`; permits above a lower one stay until they are given back.
    ///
    /// Errors: `limit` outside 1 to `max_limit`.
    pub fn set_limit(&self, limit: u32) -> Result<(), ConfigError> {
        let _ = limit;
        todo!()
    }

    /// Off, or only watching.
    pub fn mode(&self) -> Mode {
        self.config.mode
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Counts.
    pub fn stats(&self) -> ConcurrencyStats {
        todo!()
    }
}
