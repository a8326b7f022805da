//! The lock under which an arena's names and quotas change. The kernel releases it when its holder dies.

use super::Arena;
use super::error::ArenaError;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held while names or quotas change.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    _threads: MutexGuard<'a, ()>,
}

#[derive(Debug, Default)]
pub(super) struct Lock {
    threads: Mutex<()>,
}

impl Arena {
    /// Waits for the lock. Not for decisions.
    pub(crate) fn lock(&self) -> Result<Held<'_>, ArenaError> {
        Ok(Held { _threads: self.lock.threads.lock().unwrap_or_else(PoisonError::into_inner) })
    }
}
