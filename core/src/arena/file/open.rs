//! Opening or making, once a process.

use super::super::error::{ArenaError, ArenaErrorKind};
use super::super::{Arena, HostOptions, lock, options};
use super::find::{Found, find};
use super::{Folder, HostFile, build, file_name, identity};
use crate::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// Opens or makes the file. The same file opened twice in a process is one arena.
pub(in super::super) fn open(options: &HostOptions) -> Result<Arc<Arena>, ArenaError> {
    if let Some(capacity) = options.capacity {
        options::check_capacity(capacity)?;
    }
    let folder = Folder::open(options)?;
    let found = find(&folder, options)?;
    let found = found.map_or_else(|| make(&folder, options), Ok)?;
    adopt(folder, options, found)
}

/// Makes the file, unless another process was faster.
fn make(folder: &Folder, options: &HostOptions) -> Result<Found, ArenaError> {
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

fn adopt(folder: Folder, options: &HostOptions, found: Found) -> Result<Arc<Arena>, ArenaError> {
    static ARENAS: OnceLock<Mutex<HashMap<(u64, u64), Weak<Arena>>>> = OnceLock::new();
    let mut arenas = ARENAS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let key = identity(&found.stat);
    if let Some(arena) = arenas.get(&key).and_then(Weak::upgrade) {
        return Ok(arena);
    }
    let arena = arena(folder, &options.name, found)?;
    arenas.retain(|_, arena| arena.strong_count() > 0);
    arenas.insert(key, Arc::downgrade(&arena));
    Ok(arena)
}

/// The arena in this file, in addition to any that this process has of it.
pub(super) fn arena(folder: Folder, name: &str, found: Found) -> Result<Arc<Arena>, ArenaError> {
    let host = HostFile { folder, name: file_name(name), stat: found.stat };
    Ok(Arc::new(Arena {
        name: name.to_owned(),
        mapping: Arc::new(found.mapping),
        clock: Clock::monotonic(),
        secret: found.facts.secret,
        lock: lock::Lock::default(),
        host: Some(host),
    }))
}
