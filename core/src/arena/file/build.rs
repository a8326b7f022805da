//! A new file: room first, then content, then its name. Whoever dies on the way has published nothing.

use super::super::config::{MIN_CAPACITY, said_capacity};
use super::super::error::{ArenaError, ArenaErrorKind};
use super::super::header::HeaderData;
use super::super::layout::OBJECTS_AT;
use super::super::{DEFAULT_CAPACITY, HostConfig};
use super::folder::Locked;
use super::{Folder, above_streams, boot, file_name, filesystem, system, unmapped};
use crate::memory::Mapping;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate, openat, posix_fallocate, renameat};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, fchown, ftruncate, unlinkat};
use std::fs::File;
use std::path::PathBuf;

/// Names of arenas begin with no dot.
const PREFIX: &str = ".";
const SUFFIX: &str = ".arena.new";

/// Makes the file, in the place of what may be there of another boot.
pub(super) fn build(folder: &Folder, options: &HostConfig, _locked: &Locked) -> Result<(), ArenaError> {
    let capacity = capacity(options)?;
    remove_leftovers(folder)?;
    let temporary = Temporary::new(folder, options)?;
    make_room(folder, &temporary, capacity)?;
    let mode = match folder.group() {
        None => 0o600,
        Some(group) => {
            let given = fchown(&temporary.file, None, Some(group));
            given.map_err(|why| system(&format!("give to the group {group}"), &temporary.path(), why))?;
            0o660
        }
    };
    // Whatever the process's umask is.
    let opened = fchmod(&temporary.file, Mode::from_bits_truncate(mode));
    opened.map_err(|why| system("set the mode of", &temporary.path(), why))?;
    let mapping =
        Mapping::shared(&temporary.file, capacity).map_err(|error| unmapped(&temporary.path(), capacity, &error))?;
    HeaderData::new(capacity as u64, boot::id()?).write(&mapping);
    temporary.publish(&file_name(&options.name))
}

/// Bytes of a new file. A default larger than this process may make files is cut to that.
fn capacity(options: &HostConfig) -> Result<usize, ArenaError> {
    let (most, _) = getrlimit(Resource::RLIMIT_FSIZE).unwrap_or((u64::MAX, u64::MAX));
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let said = match options.capacity {
        Some(said) => Some(said),
        None => said_capacity()?,
    };
    match said {
        Some(said) if said > most => Err(too_large(said, most)),
        Some(said) => Ok(said),
        None if most < MIN_CAPACITY => Err(too_large(MIN_CAPACITY, most)),
        None => Ok(DEFAULT_CAPACITY.min(most & !4095)),
    }
}

/// The kernel would not only refuse it, but end the process (SIGXFSZ).
fn too_large(needs: usize, most: usize) -> ArenaError {
    let message = format!(
        "an arena of {needs} bytes is larger than the {most} bytes that this process may give a file: raise `ulimit \
         -f` (RLIMIT_FSIZE; systemd: LimitFSIZE), or ask for a smaller capacity"
    );
    ArenaError::new(ArenaErrorKind::NoSpace, message)
}

/// The file's size, and the space of what every arena has. Where the filesystem cannot give parts of a file their
/// space, all of it.
fn make_room(folder: &Folder, temporary: &Temporary<'_>, capacity: usize) -> Result<(), ArenaError> {
    let size = capacity as libc::off_t;
    let room = ftruncate(&temporary.file, size).and_then(|()| {
        match fallocate(&temporary.file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, OBJECTS_AT as libc::off_t) {
            // Nobody else knows the file yet, so here the library may write to it.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => posix_fallocate(&temporary.file, 0, size),
            done => done,
        }
    });
    match room {
        Ok(()) => Ok(()),
        Err(Errno::ENOSPC | Errno::EDQUOT | Errno::ENOMEM) => {
            let free = filesystem::free_bytes(folder)?;
            let message = format!(
                "no room for {}: it needs {OBJECTS_AT} bytes and those of its objects, {free} are free; make the \
                 filesystem larger (Docker: --shm-size; Kubernetes: sizeLimit of a memory emptyDir), or choose another \
                 directory (TIDEGATE_DIR or path)",
                temporary.path().display()
            );
            Err(ArenaError::new(ArenaErrorKind::NoSpace, message))
        }
        Err(why) => Err(system("reserve space for", &temporary.path(), why)),
    }
}

/// A file without its final name; it goes if it does not get one.
struct Temporary<'a> {
    folder: &'a Folder,
    name: String,
    file: File,
    published: bool,
}

impl<'a> Temporary<'a> {
    fn new(folder: &'a Folder, options: &HostConfig) -> Result<Self, ArenaError> {
        let name = format!("{PREFIX}{}{SUFFIX}", options.name);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = above_streams(|| openat(folder, name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR))
            .map_err(|why| system("make", &folder.path().join(&name), why))?;
        Ok(Self { folder, name, file: File::from(fd), published: false })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// In one step: nobody sees it under two names, or half made.
    fn publish(mut self, name: &str) -> Result<(), ArenaError> {
        renameat(self.folder, self.name.as_str(), self.folder, name)
            .map_err(|why| system("publish", &self.folder.path().join(name), why))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.published {
            // If it stays, the next who makes an arena here removes it.
            let _ = unlinkat(self.folder, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Who holds the lock is the only maker: other temporary files are of makers that died.
fn remove_leftovers(folder: &Folder) -> Result<(), ArenaError> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut entries =
        Dir::openat(folder, ".", flags, Mode::empty()).map_err(|why| system("read", folder.path(), why))?;
    for entry in entries.iter().flatten() {
        let name = entry.file_name();
        if name.to_str().is_ok_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(why) => return Err(system("remove the unfinished file in", folder.path(), why)),
            }
        }
    }
    Ok(())
}
