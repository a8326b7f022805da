//! An existing file: whose it is, and whether it is an arena.

use super::super::HostConfig;
use super::super::config::MIN_CAPACITY;
use super::super::error::{ArenaError, ArenaErrorKind};
use super::super::header::HeaderData;
use super::super::layout::OBJECTS_AT;
use super::{Folder, above_streams, boot, file_name, io_error, system, unmapped};
use crate::memory::Mapping;
use crate::sys::reserve;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::geteuid;
use std::fs::File;

/// A file that is an arena of this boot.
pub(super) struct Found {
    pub(super) stat: FileStat,
    pub(super) mapping: Mapping,
    pub(super) facts: HeaderData,
    /// It can be read only: the mapping is memory of this process, into which
    /// [`Arena::reserve`](super::super::Arena::reserve) copies what is looked at.
    pub(super) read_only: bool,
}

/// `None`: there is none, or one of another boot, which is to be replaced.
pub(super) fn find(folder: &Folder, options: &HostConfig) -> Result<Option<Found>, ArenaError> {
    find_as(folder, options, false)
}

/// The same for who only looks: a file that this process may not write to, or through a read-only mount, is found too.
pub(super) fn find_to_look(folder: &Folder, options: &HostConfig) -> Result<Option<Found>, ArenaError> {
    find_as(folder, options, true)
}

fn find_as(folder: &Folder, options: &HostConfig, to_look: bool) -> Result<Option<Found>, ArenaError> {
    let name = file_name(&options.name);
    let path = folder.path().join(&name);
    let opened = |access: OFlag| {
        let flags = access | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        above_streams(|| openat(folder, name.as_str(), flags, Mode::empty()))
    };
    let (file, read_only) = match opened(OFlag::O_RDWR) {
        Err(Errno::EROFS | Errno::EACCES | Errno::EPERM) if to_look => (opened(OFlag::O_RDONLY), true),
        file => (file, false),
    };
    let file = match file {
        Ok(fd) => File::from(fd),
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ELOOP) => {
            let message = format!("{} is a link; links are not followed", path.display());
            return Err(ArenaError::new(ArenaErrorKind::Permission, message));
        }
        Err(why) if read_only => return Err(system("open for reading", &path, why)),
        Err(why) => return Err(system("open for reading and writing", &path, why)),
    };
    let stat = fstat(&file).map_err(|why| system("look at", &path, why))?;
    let refuse = |kind, why: &str| ArenaError::new(kind, format!("{} {why}", path.display()));
    check_owner(folder, &stat).map_err(|why| refuse(ArenaErrorKind::Permission, &why))?;
    let mend = format!("stop who uses it and remove it with `tidegate rm {}`", options.name);
    let size = usize::try_from(stat.st_size).unwrap_or(0);
    if size < MIN_CAPACITY {
        let why = format!("is no arena: it has {size} bytes, the smallest has {MIN_CAPACITY}; {mend}");
        return Err(refuse(ArenaErrorKind::Foreign, &why));
    }
    let facts = HeaderData::read(&file).map_err(|(kind, why)| refuse(kind, &format!("{why}; {mend}")))?;
    if facts.size != size as u64 {
        let why = format!("has {size} bytes and was made with {}: it was resized; {mend}", facts.size);
        return Err(refuse(ArenaErrorKind::Foreign, &why));
    }
    if facts.boot_id != boot::id()? {
        return Ok(None);
    }
    if let Some(asked) = options.capacity.filter(|&asked| asked != size) {
        let why = format!(
            "was made with a capacity of {size} bytes, here {asked} are asked for; it never changes: ask for the same \
             or for none, or stop who uses it and remove it with `tidegate rm {}`",
            options.name
        );
        return Err(refuse(ArenaErrorKind::Argument, &why));
    }
    if read_only {
        let no_memory = |error: std::io::Error| {
            refuse(ArenaErrorKind::NoSpace, &format!("cannot be copied, this process gets no memory: {error}"))
        };
        let mapping = Mapping::private(size).map_err(no_memory)?;
        mapping.copy(&file, 0, OBJECTS_AT).map_err(|error| io_error("read", &path, &error))?;
        return Ok(Some(Found { stat, mapping, facts, read_only }));
    }
    reserve(&file, 0, OBJECTS_AT).map_err(|why| match why {
        Errno::ENOSPC | Errno::EDQUOT | Errno::ENOMEM => refuse(
            ArenaErrorKind::NoSpace,
            &format!(
                "has holes (a sparse copy?), and its filesystem no room to fill them; make that larger, or {mend}"
            ),
        ),
        why => system("reserve space for", &path, why),
    })?;
    let mapping = Mapping::shared(&file, size).map_err(|error| unmapped(&path, size, &error))?;
    Ok(Some(Found { stat, mapping, facts, read_only }))
}

fn check_owner(folder: &Folder, stat: &FileStat) -> Result<(), String> {
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err("is not a regular file".to_owned());
    }
    let me = geteuid();
    let others = stat.st_mode & 0o777;
    match folder.group() {
        None if stat.st_uid != me.as_raw() => Err(format!(
            "belongs to the user {}, this process runs as {me}; open it as its owner, or share it by a group",
            stat.st_uid
        )),
        None if others & 0o077 != 0 => Err(format!(
            "has the mode {others:o}, an arena of one user has 600; open it with group={}, if that group is to share \
             it",
            stat.st_gid
        )),
        Some(group) if stat.st_gid != group.as_raw() => {
            Err(format!("belongs to the group {}, not to {group}; all must open it with the same group", stat.st_gid))
        }
        Some(_) if others & 0o007 != 0 => Err(format!("has the mode {others:o}, an arena of a group has 660")),
        _ => Ok(()),
    }
}
