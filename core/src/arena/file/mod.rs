//! The file behind an arena of the machine: found and checked, or built and published whole.
//!
//! | file | idea |
//! |---|---|
//! | `folder.rs` | the directory: whose it is, who may write to it, the lock under which files come and go |
//! | `descriptor.rs` | descriptors that are no standard stream's |
//! | `filesystem.rs` | which filesystems share memory between the processes of one machine |
//! | `find.rs` | an existing file: whose it is, and whether it is an arena |
//! | `build.rs` | a new file: space first, then content, then its name |
//! | `open.rs` | one or the other, once a process |
//! | `look.rs` | which there are, opening without taking part, removing |

mod boot;
mod build;
mod descriptor;
mod filesystem;
mod find;
mod folder;
mod group;
mod look;
mod open;

pub(super) use look::directory;
pub(super) use look::{inspect, list, unlink};
pub(super) use open::{forget, open};

use super::HostConfig;
use super::error::{ArenaError, ArenaErrorKind};
use super::layout::VERSION;
use descriptor::above_streams;
use folder::Folder;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, lstat};
use std::io;
use std::path::{Path, PathBuf};

/// Where an arena's file was found, and what it was. No descriptor: some programs close all that they find.
#[derive(Debug)]
pub(super) struct HostFile {
    /// The directory's path is said in them, and absolute.
    options: HostConfig,
    path: PathBuf,
    stat: FileStat,
    read_only: bool,
}

impl HostFile {
    fn new(folder: &Folder, options: &HostConfig, stat: FileStat, read_only: bool) -> Self {
        let options = HostConfig { path: Some(folder.path().to_owned()), ..options.clone() };
        Self { path: folder.path().join(file_name(&options.name)), options, stat, read_only }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this process may only read it.
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether the file is still what its name stands for.
    pub(super) fn check_linked(&self) -> Result<(), ArenaError> {
        if let Ok(now) = lstat(&self.path)
            && identity(&now) == identity(&self.stat)
        {
            return self.check_size(&now);
        }
        Err(self.removed())
    }

    fn removed(&self) -> ArenaError {
        let message = format!(
            "{} was removed or replaced while this process had it open; what is open goes on in the old one, alone: \
             restart the processes that use it",
            self.path.display()
        );
        ArenaError::new(ArenaErrorKind::Removed, message)
    }

    fn check_size(&self, now: &FileStat) -> Result<(), ArenaError> {
        if now.st_size == self.stat.st_size {
            return Ok(());
        }
        let message = format!(
            "{} was resized from {} to {} bytes while this process had it open; stop who uses it and remove it",
            self.path.display(),
            self.stat.st_size,
            now.st_size
        );
        Err(ArenaError::new(ArenaErrorKind::Foreign, message))
    }
}

/// What a file is, whatever it is called.
fn identity(stat: &FileStat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// The file's name. The layout's version is part of it, so that old and new programs run side by side.
fn file_name(arena: &str) -> String {
    format!("{arena}.v{VERSION}.arena")
}

/// What the system refused.
fn system(doing: &str, path: &Path, why: Errno) -> ArenaError {
    let kind = match why {
        Errno::EACCES | Errno::EPERM | Errno::EROFS => ArenaErrorKind::Permission,
        Errno::ENOSPC | Errno::EDQUOT | Errno::ENOMEM => ArenaErrorKind::NoSpace,
        _ => ArenaErrorKind::System,
    };
    ArenaError::new(kind, format!("cannot {doing} {}: {}", path.display(), why.desc()))
}

/// The same, from the standard library.
fn io_error(doing: &str, path: &Path, why: &io::Error) -> ArenaError {
    system(doing, path, Errno::from_raw(why.raw_os_error().unwrap_or(0)))
}

/// The same, where a mapping of so many bytes could not be had.
fn unmapped(path: &Path, bytes: usize, why: &io::Error) -> ArenaError {
    if why.raw_os_error() != Some(Errno::ENOMEM as i32) {
        return io_error("map", path, why);
    }
    let message = format!(
        "this process gets no memory to map the {bytes} bytes of {}: raise `ulimit -v` (RLIMIT_AS; systemd: LimitAS), \
         or make the arena smaller where it is first opened (capacity, TIDEGATE_CAPACITY)",
        path.display()
    );
    ArenaError::new(ArenaErrorKind::NoSpace, message)
}

/// The same, for a descriptor that a child of fork must know of.
fn no_entry(doing: &str, path: &Path, why: &io::Error) -> ArenaError {
    if why.raw_os_error() != Some(Errno::EMFILE as i32) {
        return io_error(doing, path, why);
    }
    let message = format!(
        "this process has {} arenas open, the most that it can have; put more objects into fewer arenas",
        crate::sys::ENTRIES
    );
    ArenaError::new(ArenaErrorKind::Full, message)
}
