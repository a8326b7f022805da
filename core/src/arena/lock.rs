//! The lock under which an arena's names and quotas change. The kernel releases it when its holder dies.

use super::Arena;
use super::error::{ArenaError, ArenaErrorKind};
use super::fork::{ForkGuard, ForkLock};
use super::layout::NAMES_LOCK;
use super::lock_file::LockFile;

/// Held while names or quotas change: a turn among the threads of the process, then the file's byte among processes (whose
/// lock is one for all threads).
#[derive(Debug)]
pub(crate) struct Held<'a> {
    // Dropped first: the next thread of this process finds the byte free.
    _processes: Option<Byte<'a>>,
    _threads: ForkGuard<'a, ()>,
}

#[derive(Debug)]
struct Byte<'a>(&'a LockFile);

impl Drop for Byte<'_> {
    fn drop(&mut self) {
        // In a child of fork there is nothing to release, and that is no error.
        let _ = self.0.unlock(NAMES_LOCK);
    }
}

#[derive(Debug, Default)]
pub(super) struct Lock {
    threads: ForkLock<()>,
}

impl Arena {
    /// Waits for the lock. Not for decisions, and not twice in a thread.
    ///
    /// Errors: [`System`](ArenaErrorKind::System) where the kernel refuses it.
    pub(crate) fn lock(&self) -> Result<Held<'_>, ArenaError> {
        let threads = self.lock.threads.lock();
        let Some(file) = self.members.file() else {
            return Ok(Held { _processes: None, _threads: threads });
        };
        if !file.is_whole() {
            return Err(self.lost_descriptor());
        }
        file.lock(NAMES_LOCK).map_err(|error| {
            let message = format!("the lock of the arena {:?} was refused: {error}", self.name());
            ArenaError::new(ArenaErrorKind::System, message)
        })?;
        Ok(Held { _processes: Some(Byte(file)), _threads: threads })
    }
}
