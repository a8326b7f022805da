//! The directory in which arenas lie.

use super::super::HostConfig;
use super::super::error::{ArenaError, ArenaErrorKind};
use super::{above_streams, filesystem, group, no_entry, system};
use crate::sys::Kept;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg, OFlag, RenameFlags, open, openat, renameat, renameat2};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, fchmodat, fstat};
use nix::unistd::{Gid, UnlinkatFlags, fchownat, geteuid, mkdir, unlinkat};
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An open directory that passed its checks; whatever its path comes to mean, files are reached through it.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    group: Option<Gid>,
}

/// Under this lock files come and go in the folder. The kernel releases it when its holder dies.
#[derive(Debug)]
pub(super) struct Locked {
    // Dropped first. A child that is forked meanwhile lets go of the lock at once: it must not outlive its holder.
    _kept: Kept,
    _held: Flock<OwnedFd>,
}

/// How long to wait for who makes or removes a file: far longer than either takes.
const PATIENCE: Duration = Duration::from_secs(30);

const FLAGS: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

impl Folder {
    /// Opens the directory that the options say, or makes it.
    pub(super) fn open(options: &HostConfig) -> Result<Self, ArenaError> {
        let path = path(options);
        let group = checked_group(options)?;
        make(&path, group)?;
        let fd = open_at(&path)?;
        Self::checked(fd, path, group)
    }

    /// As [`open`](Self::open), but makes nothing; `None` when it is not there.
    pub(super) fn to_look(options: &HostConfig) -> Result<Option<Self>, ArenaError> {
        let path = path(options);
        let group = checked_group(options)?;
        if path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(None);
        }
        Self::checked(open_at(&path)?, path, group).map(Some)
    }

    fn checked(fd: OwnedFd, path: PathBuf, group: Option<Gid>) -> Result<Self, ArenaError> {
        let stat = fstat(&fd).map_err(|why| system("look at", &path, why))?;
        check(&path, &stat, group)?;
        let folder = Self { fd, path, group };
        filesystem::check(&folder)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The group that shares what lies in it.
    pub(super) fn group(&self) -> Option<Gid> {
        self.group
    }

    /// Waits for the lock.
    pub(super) fn lock(&self) -> Result<Locked, ArenaError> {
        // A description of its own: threads of one process exclude each other as well.
        let opened = above_streams(|| openat(self, ".", FLAGS, Mode::empty()));
        let mut fd = opened.map_err(|why| system("open", &self.path, why))?;
        let kept = Kept::new(&fd).map_err(|error| no_entry("lock", &self.path, &error))?;
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(200);
        loop {
            fd = match Flock::lock(fd, FlockArg::LockExclusiveNonblock) {
                Ok(held) => return Ok(Locked { _kept: kept, _held: held }),
                Err((fd, Errno::EWOULDBLOCK | Errno::EINTR)) if Instant::now() < deadline => fd,
                Err((_, Errno::EWOULDBLOCK)) => {
                    let message = format!(
                        "another process has held the lock of {} for {} s: is it stopped?",
                        self.path.display(),
                        PATIENCE.as_secs()
                    );
                    return Err(ArenaError::new(ArenaErrorKind::System, message));
                }
                Err((_, why)) => return Err(system("lock", &self.path, why)),
            };
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Where the options, else `TIDEGATE_DIR`, else the user's own place in shared memory is.
pub(super) fn path(options: &HostConfig) -> PathBuf {
    let path = said(options).unwrap_or_else(|| PathBuf::from(format!("/dev/shm/tidegate-{}", geteuid())));
    // Wherever the process goes later on.
    let path = std::path::absolute(&path).unwrap_or(path);
    // A slash at the end would have a link followed.
    path.components().collect()
}

fn said(options: &HostConfig) -> Option<PathBuf> {
    let environment = || std::env::var_os("TIDEGATE_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    options.path.clone().or_else(environment)
}

/// Errors: [`Argument`](ArenaErrorKind::Argument) for a group that is none, and without a directory that others would
/// look in.
fn checked_group(options: &HostConfig) -> Result<Option<Gid>, ArenaError> {
    let Some(group) = &options.group else { return Ok(None) };
    if said(options).is_none() {
        let message = format!(
            "group: {group:?} shares an arena between users, and the default directory is one user's: say which \
             directory all use (TIDEGATE_DIR or path)"
        );
        return Err(ArenaError::new(ArenaErrorKind::Argument, message));
    }
    group::id(group).map(Some)
}

/// Makes the directory, if it is not there; its parent must be. It gets its name when it is as it should be: others
/// that come at the same moment find none or one that they may use, whatever this process's umask is.
fn make(path: &Path, group: Option<Gid>) -> Result<(), ArenaError> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(path);
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{:08x}.new", std::process::id(), fastrand::u32(..)));
    let unnamed = parent.join(name);
    match mkdir(&unnamed, Mode::S_IRWXU) {
        Ok(()) => {}
        Err(Errno::ENOENT) if !parent.exists() => {
            let message =
                format!("{} is not there; make it, or choose a directory (TIDEGATE_DIR or path)", parent.display());
            return Err(ArenaError::new(ArenaErrorKind::Filesystem, message));
        }
        Err(why) => return Err(system("make the directory", path, why)),
    }
    let done = prepare(&unnamed, group).and_then(|()| publish(&unnamed, path));
    done.map_err(|why| {
        let _ = remove(&unnamed);
        match (group, why) {
            (Some(group), Errno::EPERM) => system(&format!("give to the group {group}"), path, why),
            _ => system("make the directory", path, why),
        }
    })
}

/// Its group and mode. Through a descriptor that needs no right to the directory: the umask may have taken all.
fn prepare(unnamed: &Path, group: Option<Gid>) -> nix::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = above_streams(|| open(unnamed, flags, Mode::empty()))?;
    if let Some(group) = group {
        fchownat(&fd, "", None, Some(group), AtFlags::AT_EMPTY_PATH)?;
    }
    // Files in it get the group as well (2000), whoever makes them.
    let mode = Mode::from_bits_truncate(if group.is_some() { 0o2770 } else { 0o700 });
    let itself = format!("/proc/self/fd/{}", fd.as_raw_fd());
    fchmodat(AT_FDCWD, itself.as_str(), mode, FchmodatFlags::FollowSymlink)
}

fn remove(unnamed: &Path) -> nix::Result<()> {
    unlinkat(AT_FDCWD, unnamed, UnlinkatFlags::RemoveDir)
}

/// Gives it its name, unless somebody else was faster.
fn publish(unnamed: &Path, path: &Path) -> nix::Result<()> {
    match renameat2(AT_FDCWD, unnamed, AT_FDCWD, path, RenameFlags::RENAME_NOREPLACE) {
        // Where the filesystem cannot say "unless": an empty directory is replaced by its like, one that is in use is
        // not.
        Err(Errno::EINVAL | Errno::ENOSYS) => match renameat(AT_FDCWD, unnamed, AT_FDCWD, path) {
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => remove(unnamed),
            done => done,
        },
        Err(Errno::EEXIST) => remove(unnamed),
        done => done,
    }
}

fn open_at(path: &Path) -> Result<OwnedFd, ArenaError> {
    above_streams(|| open(path, FLAGS, Mode::empty())).map_err(|why| match why {
        Errno::ELOOP | Errno::ENOTDIR => {
            let message =
                format!("{} is a link or no directory; links are not followed: say where it leads", path.display());
            ArenaError::new(ArenaErrorKind::Permission, message)
        }
        why => system("open", path, why),
    })
}

/// Whoever may write to the directory can put another file in an arena's place.
fn check(path: &Path, stat: &FileStat, group: Option<Gid>) -> Result<(), ArenaError> {
    let refuse = |why: String| Err(ArenaError::new(ArenaErrorKind::Permission, format!("{} {why}", path.display())));
    let (me, shown) = (geteuid(), path.display());
    let of_group = group.is_some_and(|group| group.as_raw() == stat.st_gid);
    if stat.st_uid != me.as_raw() && !of_group {
        return refuse(format!(
            "belongs to the user {}, this process runs as {me}; choose a directory of your own (TIDEGATE_DIR or path), \
             or a group that shares it",
            stat.st_uid
        ));
    }
    if stat.st_mode & 0o002 != 0 {
        return refuse(format!("may be written by everybody; `chmod o-w {shown}`, or choose a directory within it"));
    }
    if stat.st_mode & 0o020 != 0 && !of_group {
        return refuse(format!(
            "may be written by the group {}; `chmod g-w {shown}`, or open the arena with group={}",
            stat.st_gid, stat.st_gid
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
