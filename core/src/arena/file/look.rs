//! For those who look after arenas: which there are, opening one without taking part, removing one.

use super::super::error::{ArenaError, ArenaErrorKind};
use super::super::{Arena, ArenaFile, HostConfig, directory, layout};
use super::find::find_to_look;
use super::folder;
use super::{Folder, HostFile, file_name, open, system};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, OFlag, fcntl, openat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the options say that arenas lie.
pub(in super::super) fn directory(options: &HostConfig) -> PathBuf {
    folder::path(options)
}

/// Whatever name the options say.
pub(in super::super) fn list(options: &HostConfig) -> Result<Vec<ArenaFile>, ArenaError> {
    match Folder::to_look(options)? {
        Some(folder) => files(&folder),
        None => Ok(Vec::new()),
    }
}

pub(in super::super) fn inspect(options: &HostConfig) -> Result<Arc<Arena>, ArenaError> {
    let found = match Folder::to_look(options)? {
        Some(folder) => find_to_look(&folder, options)?.map(|found| (folder, found)),
        None => None,
    };
    let Some((folder, found)) = found else {
        let message = format!("there is no arena {:?} of this boot of the machine", options.name);
        return Err(ArenaError::new(ArenaErrorKind::Removed, message));
    };
    open::arena(&folder, options, found)
}

pub(in super::super) fn unlink(options: &HostConfig) -> Result<Option<ArenaFile>, ArenaError> {
    let Some(folder) = Folder::to_look(options)? else { return Ok(None) };
    let _locked = folder.lock()?;
    let name = file_name(&options.name);
    let Some(file) = file(&folder, &name) else { return Ok(None) };
    match unlinkat(&folder, name.as_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::ENOENT) => Ok(None),
        Err(why) => Err(system("remove", &file.path, why)),
    }
}

impl HostFile {
    /// Other layouts of this arena that living processes use.
    pub(in super::super) fn notices(&self) -> Vec<String> {
        let arena = &self.options.name;
        // A directory that cannot be read any more has nothing to say.
        let folder = Folder::to_look(&self.options).ok().flatten();
        let files = folder.and_then(|folder| files(&folder).ok()).unwrap_or_default();
        let other =
            files.into_iter().filter(|file| file.name == *arena && file.version != layout::VERSION && file.in_use);
        let notice = |file: ArenaFile| {
            format!(
                "the arena {arena:?} is in use with layout version {} as well ({}), by processes of another version of \
                 tidegate: until they are gone they count on their own, and this one counts in {}",
                file.version,
                file.path.display(),
                self.path.display()
            )
        };
        other.map(notice).collect()
    }
}

/// The arenas in a directory, in order.
fn files(folder: &Folder) -> Result<Vec<ArenaFile>, ArenaError> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut entries =
        Dir::openat(folder, ".", flags, Mode::empty()).map_err(|why| system("read", folder.path(), why))?;
    let names = entries.iter().flatten().filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
    let mut files: Vec<_> = names.filter_map(|name| file(folder, &name)).collect();
    files.sort();
    Ok(files)
}

/// `None`: no such file, or not an arena's name.
fn file(folder: &Folder, file_name: &str) -> Option<ArenaFile> {
    let (name, version) = file_name.strip_suffix(".arena")?.rsplit_once(".v")?;
    let version = version.parse().ok()?;
    directory::check_name("name", name, "an arena's name").ok()?;
    let stat = fstatat(folder, file_name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let in_use = openat(folder, file_name, flags, Mode::empty()).is_ok_and(|fd| in_use(&fd));
    Some(ArenaFile { name: name.to_owned(), version, path: folder.path().join(file_name), bytes, in_use })
}

/// Whether a living process holds the lock of a slot: where they begin is the same in all layouts.
fn in_use(fd: &OwnedFd) -> bool {
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: layout::SLOT_LOCKS as libc::off_t,
        l_len: 0, // All from there on.
        l_pid: 0,
    };
    fcntl(fd, FcntlArg::F_OFD_GETLK(&mut lock)).is_ok() && lock.l_type != libc::F_UNLCK as libc::c_short
}
