//! The lock under which a limit's quota changes: never on the way of a decision.

use crate::ConfigError;
#[cfg(loom)]
use crate::sync::{Mutex, MutexGuard};

#[cfg(not(loom))]
use super::Backing;
#[cfg(not(loom))]
use crate::sys::{ForkGuard as MutexGuard, ForkLock as Mutex};
#[cfg(not(loom))]
use std::sync::Arc;

use super::ObjectAllocator;

/// Who changes an object takes turns: among the threads of a process, or of all processes.
#[derive(Debug)]
pub(crate) enum ChangeLock {
    Process(Mutex<()>),
    #[cfg(not(loom))]
    Shared(Arc<dyn Backing>),
}

/// One's turn.
#[derive(Debug)]
pub(crate) enum ChangeGuard<'a> {
    Process(#[allow(dead_code, reason = "held for its drop")] MutexGuard<'a, ()>),
    #[cfg(not(loom))]
    Shared(#[allow(dead_code, reason = "held for its drop")] Box<dyn std::fmt::Debug + 'a>),
}

impl ChangeLock {
    /// For an object in this room.
    pub(crate) fn of(room: &ObjectAllocator) -> Self {
        #[cfg(not(loom))]
        if let Some(backing) = room.backing() {
            return Self::Shared(backing.clone());
        }
        let _ = room;
        Self::Process(Mutex::new(()))
    }

    /// Whether other processes take turns as well.
    pub(crate) fn is_shared(&self) -> bool {
        !matches!(self, Self::Process(_))
    }

    /// Waits for its turn.
    ///
    /// Errors: `arena` where the system refuses its lock.
    pub(crate) fn lock(&self) -> Result<ChangeGuard<'_>, ConfigError> {
        match self {
            // A panic under the lock, or a fork while another thread held it, leaves a quota that was either changed or
            // not: both are fine to go on with.
            #[cfg(loom)]
            Self::Process(lock) => {
                Ok(ChangeGuard::Process(lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner)))
            }
            #[cfg(not(loom))]
            Self::Process(lock) => Ok(ChangeGuard::Process(lock.lock())),
            #[cfg(not(loom))]
            Self::Shared(backing) => Ok(ChangeGuard::Shared(backing.lock_changes()?)),
        }
    }
}
