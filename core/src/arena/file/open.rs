//! Opening or making, once a process.

use super::super::error::{ArenaError, ArenaErrorKind};
use super::super::members::Members;
use super::super::{Arena, HostConfig, config, lock};
use super::find::{Found, find};
use super::{Folder, HostFile, above_streams, build, file_name, identity, no_entry, system};
use crate::sync::AtomicU32;
use crate::sys::ForkLock;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

/// Opens or makes the file. The same file opened twice in a process is one arena.
pub(in super::super) fn open(options: &HostConfig) -> Result<Arc<Arena>, ArenaError> {
    if let Some(capacity) = options.capacity {
        config::check_capacity(capacity)?;
    }
    let folder = Folder::open(options)?;
    let found = find(&folder, options)?;
    let found = found.map_or_else(|| make(&folder, options), Ok)?;
    adopt(&folder, options, found)
}

/// Makes the file, unless another process was faster.
fn make(folder: &Folder, options: &HostConfig) -> Result<Found, ArenaError> {
    let locked = folder.lock()?;
    if let Some(found) = find(folder, options)? {
        return Ok(found);
    }
    build::build(folder, options, &locked)?;
    find(folder, options)?.ok_or_else(|| {
        let message =
            format!("{} was removed as soon as it was made", folder.path().join(file_name(&options.name)).display());
        ArenaError::new(ArenaErrorKind::Removed, message)
    })
}

/// The arenas that this process has open, by file. An entry goes with its arena.
static OF_HOST: ForkLock<BTreeMap<(u64, u64), Weak<Arena>>> = ForkLock::new(BTreeMap::new());

/// An arena was dropped.
pub(in super::super) fn forget() {
    OF_HOST.lock().retain(|_, arena| arena.strong_count() > 0);
}

fn adopt(folder: &Folder, options: &HostConfig, found: Found) -> Result<Arc<Arena>, ArenaError> {
    let key = identity(&found.stat);
    // Outlives the lock: to drop the last handle takes it.
    let known;
    let mut arenas = OF_HOST.lock();
    known = arenas.get(&key).and_then(Weak::upgrade);
    // One whose descriptor is gone is of no use to who opens it after that.
    if let Some(arena) = &known
        && arena.members.file().is_some_and(|file| file.is_whole())
    {
        return Ok(arena.clone());
    }
    let made = arena(folder, options, found)?;
    arenas.insert(key, Arc::downgrade(&made));
    drop(arenas);
    // So that others see it in use.
    made.member()?;
    Ok(made)
}

/// The arena in this file, in addition to any that this process has of it.
pub(super) fn arena(folder: &Folder, options: &HostConfig, found: Found) -> Result<Arc<Arena>, ArenaError> {
    let host = HostFile::new(folder, options, found.stat, found.read_only);
    let mapping = Arc::new(found.mapping);
    let clock = found.facts.clock.open(&mapping, &options.name)?;
    let members = Members::of_file(&mapping, open_for_locks(folder, &host)?)
        .map_err(|error| no_entry("keep one more descriptor of", &host.path, &error))?;
    Ok(Arc::new(Arena {
        name: options.name.clone(),
        mapping,
        clock,
        secret: found.facts.secret,
        lock: lock::Lock::default(),
        members,
        refilling: AtomicU32::new(0),
        host: Some(host),
    }))
}

/// The same file once more: a mapping, of which a child of fork has a copy, keeps the description that it was made from
/// open, and its locks with it.
fn open_for_locks(folder: &Folder, host: &HostFile) -> Result<OwnedFd, ArenaError> {
    let access = if host.read_only { OFlag::O_RDONLY } else { OFlag::O_RDWR };
    // Its name may stand for anything by now, and to open a pipe waits for who writes to it.
    let flags = access | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let name = file_name(&host.options.name);
    match above_streams(|| openat(folder, name.as_str(), flags, Mode::empty())) {
        Ok(file) => {
            let stat = fstat(&file).map_err(|why| system("look at", &host.path, why))?;
            if identity(&stat) == identity(&host.stat) { Ok(file) } else { Err(host.removed()) }
        }
        Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO | Errno::EISDIR) => Err(host.removed()),
        Err(why) => Err(system("open once more", &host.path, why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    /// Between the two times that a file is opened its name may come to stand for anything.
    #[test]
    fn what_took_the_file_s_place_meanwhile_is_told_and_not_waited_for() {
        let path = std::path::PathBuf::from(format!("/dev/shm/tidegate-test-again-{}", std::process::id()));
        let options = HostConfig { path: Some(path.clone()), ..HostConfig::new("orders") };
        drop(open(&options).expect("made"));
        let file = path.join(file_name("orders"));
        let stat = nix::sys::stat::lstat(&file).expect("a file");
        let takers: [fn(&std::path::Path); 5] = [
            |_| {},
            |file| nix::unistd::mkfifo(file, Mode::S_IRWXU).expect("a pipe"),
            |file| std::os::unix::fs::symlink("/dev/null", file).expect("a link"),
            |file| std::fs::create_dir(file).expect("a directory"),
            |file| std::fs::write(file, "another").expect("a file"),
        ];
        for (number, take) in takers.into_iter().enumerate() {
            let away = path.join("away");
            std::fs::rename(&file, &away).expect("away");
            take(&file);
            for read_only in [false, true] {
                let (done, ended) = mpsc::channel();
                let options = options.clone();
                std::thread::spawn(move || {
                    let folder = Folder::open(&options).expect("a directory");
                    let host = HostFile::new(&folder, &options, stat, read_only);
                    done.send(open_for_locks(&folder, &host).expect_err("another").kind()).expect("waited for");
                });
                let kind = ended.recv_timeout(Duration::from_secs(20)).expect("it waits for the other end of a pipe");
                assert_eq!(kind, ArenaErrorKind::Removed, "{number}, {read_only}");
            }
            let _ = if number == 3 { std::fs::remove_dir(&file) } else { std::fs::remove_file(&file) };
            std::fs::rename(&away, &file).expect("back");
        }
        std::fs::remove_dir_all(&path).expect("removed");
    }
}
