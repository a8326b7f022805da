//! The lock under which an arena's names and quotas change. The kernel releases it when its holder dies.

use super::Arena;
use super::error::{ArenaError, ArenaErrorKind};
use super::layout::NAMES_LOCK;
use crate::sys::{ForkGuard, ForkLock, LockFile};
use crossbeam_utils::Backoff;
use std::time::{Duration, Instant};

/// How long to wait for who changes names or quotas: far longer than that takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Held while names or quotas change: a turn among the threads of the process, then the file's byte among processes
/// (whose lock is one for all threads).
#[derive(Debug)]
pub(crate) struct ArenaGuard<'a> {
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
    /// Waits for the lock, but not for ever: a process that was stopped under it keeps it until it goes on or is
    /// killed. Not for decisions, and not twice in a thread.
    ///
    /// Errors: [`System`](ArenaErrorKind::System) where the kernel refuses it, and when the wait was in vain.
    pub(crate) fn lock(&self) -> Result<ArenaGuard<'_>, ArenaError> {
        self.lock_within(PATIENCE)
    }

    pub(super) fn lock_within(&self, patience: Duration) -> Result<ArenaGuard<'_>, ArenaError> {
        self.check_writable()?;
        let deadline = Instant::now() + patience;
        let Some(threads) = wait(deadline, || Ok(self.lock.threads.try_lock()))? else {
            return Err(self.in_vain("a thread of this process", patience));
        };
        let Some(file) = self.members.file() else {
            return Ok(ArenaGuard { _processes: None, _threads: threads });
        };
        if !file.is_whole() {
            return Err(self.lost_descriptor());
        }
        let taken = wait(deadline, || match file.try_lock(NAMES_LOCK) {
            Ok(taken) => Ok(taken.then_some(Byte(file))),
            Err(error) => {
                let message = format!("the lock of the arena {:?} was refused: {error}", self.name());
                Err(ArenaError::new(ArenaErrorKind::System, message))
            }
        })?;
        match taken {
            Some(byte) => Ok(ArenaGuard { _processes: Some(byte), _threads: threads }),
            None => Err(self.in_vain("another process", patience)),
        }
    }

    fn in_vain(&self, who: &str, patience: Duration) -> ArenaError {
        let message = format!(
            "{who} has held the lock of the arena {:?} for {} s, under which names and quotas change: is it stopped \
             (SIGSTOP, a debugger, a frozen cgroup)? Continue or end it; decisions go on",
            self.name(),
            patience.as_secs_f64()
        );
        ArenaError::new(ArenaErrorKind::System, message)
    }
}

/// Tries again and again, up to the deadline; `None`: in vain.
fn wait<T>(
    deadline: Instant,
    mut attempt: impl FnMut() -> Result<Option<T>, ArenaError>,
) -> Result<Option<T>, ArenaError> {
    let backoff = Backoff::new();
    let mut pause = Duration::from_micros(50);
    loop {
        if let Some(got) = attempt()? {
            return Ok(Some(got));
        }
        if !backoff.is_completed() {
            backoff.snooze();
        } else if Instant::now() < deadline {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(2));
        } else {
            return Ok(None);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::arena::HostConfig;

    #[test]
    fn who_holds_it_for_ever_is_told_of_and_waited_for_no_longer() {
        let directory = std::path::PathBuf::from(format!("/dev/shm/tidegate-test-names-{}", std::process::id()));
        let mut options = HostConfig::new("orders");
        options.path = Some(directory.clone());
        let arena = Arena::open(&options).expect("made");
        let path = arena.path().expect("a file");
        let stopped = std::fs::File::options().read(true).write(true).open(path).expect("the file");
        let stopped = LockFile::new(stopped.into()).expect("another description");
        assert!(stopped.try_lock(NAMES_LOCK).expect("asked"));
        let start = Instant::now();
        let error = arena.lock_within(Duration::from_millis(20)).expect_err("held");
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert_eq!(error.kind(), ArenaErrorKind::System);
        assert!(error.message().contains("another process has held the lock of the arena \"orders\""), "{error}");
        stopped.unlock(NAMES_LOCK).expect("given back");
        let held = arena.lock_within(Duration::ZERO).expect("free");
        let error = arena.lock_within(Duration::from_millis(20)).expect_err("held by this thread");
        assert!(error.message().contains("a thread of this process has held"), "{error}");
        drop(held);
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
