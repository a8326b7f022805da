//! The file behind an arena of the machine: found and checked, or built and published whole.
//!
//! | file | idea |
//! |---|---|
//! | `folder.rs` | the directory: whose it is, who may write to it, the lock under which files come and go |
//! | `filesystem.rs` | which filesystems share memory between the processes of one machine |
//! | `find.rs` | an existing file: whose it is, and whether it is an arena |
//! | `build.rs` | a new file: space first, then content, then its name |
//! | `open.rs` | one or the other, once a process |
//! | `look.rs` | which there are, opening without taking part, removing |

mod boot;
mod build;
mod filesystem;
mod find;
mod folder;
mod group;
mod look;
mod open;

#[cfg(feature = "cli")]
pub(super) use look::directory;
pub(super) use look::{inspect, list, unlink};
pub(super) use open::open;

use super::error::{ArenaError, ArenaErrorKind};
use super::layout::VERSION;
use folder::Folder;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, fstatat};
use std::path::{Path, PathBuf};

/// Where an arena's file was found, and what it was.
#[derive(Debug)]
pub(super) struct HostFile {
    folder: Folder,
    name: String,
    stat: FileStat,
}

impl HostFile {
    /// Whether the file is still what its name stands for.
    pub(super) fn check_linked(&self) -> Result<(), ArenaError> {
        let now = fstatat(&self.folder, self.name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
        if let Ok(now) = now
            && identity(&now) == identity(&self.stat)
        {
            return self.check_size(&now);
        }
        let message = format!(
            "{} was removed or replaced while this process had it open; what is open goes on in the old one, alone: restart \
             the processes that use it",
            self.path().display()
        );
        Err(ArenaError::new(ArenaErrorKind::Removed, message))
    }

    fn check_size(&self, now: &FileStat) -> Result<(), ArenaError> {
        if now.st_size == self.stat.st_size {
            return Ok(());
        }
        let message = format!(
            "{} was resized from {} to {} bytes while this process had it open; stop who uses it and remove it",
            self.path().display(),
            self.stat.st_size,
            now.st_size
        );
        Err(ArenaError::new(ArenaErrorKind::Foreign, message))
    }

    /// Where it was found.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
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
