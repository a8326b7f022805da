//! Memory that threads and processes share: named objects in one mapping.
//!
//! | file | idea |
//! |---|---|
//! | `layout.rs` | what stands where |
//! | `file/` | the mapped file of a host's arena: found, checked, built, published |
//! | `header.rs` | what its first page says |
//! | `backing.rs` | what memory and counters ask of it |
//! | `directory.rs` | names, shapes, declared settings |
//! | `members.rs` | the processes that have it open, and whether they live; `presence.rs` is what objects ask of it |
//! | `lock.rs` | the lock for names and quotas |
//! | `policy.rs` | which policy is in force |
//! | `refill.rs` | the lock of the one who keeps the leases of a cluster |
//! | `scope.rs` | `"host:orders"` |
//! | `inspect.rs` | what tools that look after arenas see of one |
//! | `clock.rs` | one time for all its processes |
#![cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "there are no files to open"))]

mod arena_file;
mod backing;
mod clock;
mod config;
mod directory;
mod error;
#[cfg(target_os = "linux")]
mod file;
#[cfg(not(target_os = "linux"))]
#[path = "file/elsewhere.rs"]
mod file;
mod header;
mod inspect;
pub(crate) mod layout;
mod lock;
mod members;
mod object;
mod policy;
mod presence;
mod refill;
mod scope;
pub(crate) mod text;

pub use arena_file::ArenaFile;
pub use config::HostConfig;
#[cfg(feature = "policy")]
pub(crate) use directory::check_object_name;
pub use directory::{ObjectInfo, ObjectKind, OnConflict};
pub use error::{ArenaError, ArenaErrorKind};
/// Names that an arena has room for.
pub use layout::OBJECTS as MOST_OBJECTS;
/// The number of the layout of this build's arenas. It is part of a file's name: builds with other numbers have files
/// of their own.
pub use layout::VERSION as LAYOUT_VERSION;
pub(crate) use members::Member;
pub use members::MemberInfo;
pub(crate) use object::{ArenaObject, OpenContext, Settings, damaged};
pub use policy::PolicyInForce;
pub use refill::Refilling;
pub use scope::Scope;

use crate::Clock;
use crate::hash::{Secret, random_secret};
use crate::memory::Mapping;
use crate::sync::AtomicU32;
use crate::sys::ForkLock;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Weak};

/// Memory in which named objects live: of this process for its threads, or of the machine for all its processes.
///
/// Objects of the same name are the same object, whoever opens them. An arena has one clock for all, which its creator
/// chose. It stays open as long as an object in it, or this handle, does.
///
/// Thread safety: all methods may be called from any thread at any time.
pub struct Arena {
    name: String,
    mapping: Arc<Mapping>,
    clock: Clock,
    secret: Secret,
    lock: lock::Lock,
    members: members::Members,
    /// The generation of the process of which a thread keeps its leases, or 0.
    refilling: AtomicU32,
    /// `None`: of this process.
    host: Option<file::HostFile>,
}

/// Without the secret, which must not end in a log.
impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Arena");
        shown.field("name", &self.name).field("capacity", &self.capacity()).field("host", &self.host);
        shown.finish_non_exhaustive()
    }
}

/// The arenas of this process by name. An entry goes with its arena.
static OF_PROCESS: ForkLock<BTreeMap<String, Weak<Arena>>> = ForkLock::new(BTreeMap::new());

impl Drop for Arena {
    fn drop(&mut self) {
        if self.host.is_some() {
            return file::forget();
        }
        let mut arenas = OF_PROCESS.lock();
        // Made anew under its name meanwhile, or another that only its handle knew: not this one's entry.
        if arenas.get(&self.name).is_some_and(|arena| arena.strong_count() == 0) {
            arenas.remove(&self.name);
        }
    }
}

/// Bytes of an arena where nothing else is said. Address space: memory is taken for what is made in it.
pub const DEFAULT_CAPACITY: usize = 256 << 20;

impl Arena {
    /// The arena `name` of this machine with default options, opened or made.
    ///
    /// Errors: see [`ArenaErrorKind`]; [`Unsupported`](ArenaErrorKind::Unsupported) where there is no host scope.
    pub fn host(name: &str) -> Result<Arc<Self>, ArenaError> {
        Self::open(&HostConfig::new(name))
    }

    /// The arena of this machine that `options` say, opened or made. The same arena opened twice in a process is one.
    ///
    /// Errors: as [`host`](Self::host).
    pub fn open(options: &HostConfig) -> Result<Arc<Self>, ArenaError> {
        Self::check_name("name", &options.name)?;
        file::open(options)
    }

    /// The arenas in a directory, by default where [`HostConfig::path`] says, of all layout versions, by name.
    ///
    /// Errors: [`Permission`](ArenaErrorKind::Permission) and [`Filesystem`](ArenaErrorKind::Filesystem) as for opening
    /// one. No directory is no error.
    pub fn list(path: Option<&Path>) -> Result<Vec<ArenaFile>, ArenaError> {
        file::list(&HostConfig { path: path.map(Path::to_owned), ..HostConfig::new("any") })
    }

    /// Opens an arena of this machine to look at it: makes none, and takes no process slot. One that this process may
    /// only read (a read-only mount) is copied as it is now; open it again to see what changed.
    ///
    /// Errors: as [`open`](Self::open); [`Removed`](ArenaErrorKind::Removed) when there is none.
    pub fn inspect(options: &HostConfig) -> Result<Arc<Self>, ArenaError> {
        Self::check_name("name", &options.name)?;
        file::inspect(options)
    }

    /// Removes the file of an arena, whatever is in it. Who has it open goes on with it, alone: names in it can no
    /// longer be opened; the next who opens the arena makes a new one. Returns what was removed, and whether it was in
    /// use.
    ///
    /// Errors: as [`list`](Self::list).
    pub fn unlink(options: &HostConfig) -> Result<Option<ArenaFile>, ArenaError> {
        Self::check_name("name", &options.name)?;
        file::unlink(options)
    }

    /// What its user should hear once, when it is first opened: sentences for people. At present only that processes
    /// use another layout version of the same arena.
    pub fn notices(&self) -> Vec<String> {
        self.host.as_ref().map_or_else(Vec::new, file::HostFile::notices)
    }

    /// The arena `name` of this process, opened or made: threads that share no objects share it by name. A child of
    /// fork has an independent copy.
    ///
    /// It has as many bytes as `TIDEGATE_CAPACITY` says, else 256 MiB of address space.
    ///
    /// Errors: [`Argument`](ArenaErrorKind::Argument) when the name is none; [`NoSpace`](ArenaErrorKind::NoSpace)
    /// without memory.
    pub fn process(name: &str) -> Result<Arc<Self>, ArenaError> {
        Self::of_process(name, None)
    }

    /// [`process`](Self::process) with `capacity` bytes of address space, whatever the environment says. It never
    /// grows: asking for another than it was made with is an error.
    ///
    /// Errors: as [`process`](Self::process); [`Argument`](ArenaErrorKind::Argument) for a `capacity` below 256 KiB or
    /// another than it has.
    pub fn process_with_capacity(name: &str, capacity: usize) -> Result<Arc<Self>, ArenaError> {
        Self::of_process(name, Some(capacity))
    }

    fn of_process(name: &str, asked: Option<usize>) -> Result<Arc<Self>, ArenaError> {
        Self::check_name("name", name)?;
        asked.map_or(Ok(()), config::check_capacity)?;
        // Outlives the lock: to drop the last handle takes it.
        let known;
        let mut arenas = OF_PROCESS.lock();
        known = arenas.get(name).and_then(Weak::upgrade);
        if let Some(arena) = known {
            return match asked.filter(|&asked| asked != arena.capacity()) {
                None => Ok(arena),
                Some(asked) => Err(ArenaError::new(
                    ArenaErrorKind::Argument,
                    format!(
                        "capacity: the arena {name:?} of this process was made with {} bytes, here {asked} are asked \
                         for; it never changes: ask for the same, or for none",
                        arena.capacity()
                    ),
                )),
            };
        }
        let capacity = match asked {
            Some(asked) => asked,
            None => config::said_capacity()?.unwrap_or(DEFAULT_CAPACITY),
        };
        let arena = Self::private(name, capacity, Clock::monotonic())?;
        arenas.insert(name.to_owned(), Arc::downgrade(&arena));
        Ok(arena)
    }

    /// An arena of this process that only this handle knows, on a clock of its own: for tests.
    ///
    /// Errors: as [`process`](Self::process); [`Argument`](ArenaErrorKind::Argument) for a `capacity` (bytes) below 256
    /// KiB.
    pub fn private(name: &str, capacity: usize, clock: Clock) -> Result<Arc<Self>, ArenaError> {
        Self::check_name("name", name)?;
        config::check_capacity(capacity)?;
        let no_memory = |error: std::io::Error| {
            let mend = "give it a smaller capacity (TIDEGATE_CAPACITY), or the process more memory";
            let message = format!("no memory for an arena of {capacity} bytes ({error}); {mend}");
            ArenaError::new(ArenaErrorKind::NoSpace, message)
        };
        let mapping = Arc::new(Mapping::private(capacity).map_err(no_memory)?);
        let members = members::Members::of_process(&mapping);
        let (name, secret, lock) = (name.to_owned(), random_secret(), lock::Lock::default());
        let refilling = AtomicU32::new(0);
        Ok(Arc::new(Self { name, mapping, clock, secret, lock, members, refilling, host: None }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its file was found; `None` for an arena of a process.
    pub fn path(&self) -> Option<&Path> {
        self.host.as_ref().map(file::HostFile::path)
    }

    /// The clock of everything in it.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Bytes of the whole.
    pub fn capacity(&self) -> usize {
        self.mapping.size()
    }

    /// Takes the space of `at..end` from the filesystem, before anything there is touched: a page that it cannot give
    /// when it is touched ends the process (SIGBUS).
    ///
    /// Of a file that can only be read, copies these bytes as they are now.
    ///
    /// Errors: [`NoSpace`](ArenaErrorKind::NoSpace); [`System`](ArenaErrorKind::System) without a descriptor.
    pub(crate) fn reserve(&self, at: usize, end: usize) -> Result<(), ArenaError> {
        let Some(file) = self.members.file() else { return Ok(()) };
        if !file.is_whole() {
            return Err(self.lost_descriptor());
        }
        #[cfg(target_os = "linux")]
        if self.is_read_only() {
            let copied = file.to_read().and_then(|file| self.mapping.copy(&file, at, end));
            return copied.map_err(|error| {
                let message = format!("{} bytes of the arena {:?} could not be read: {error}", end - at, self.name);
                ArenaError::new(ArenaErrorKind::System, message)
            });
        }
        file.reserve(at, end).map_err(|error| {
            let message = format!(
                "no room for {} bytes of the arena {:?}: {error}; make the filesystem larger (Docker: --shm-size; \
                 Kubernetes: sizeLimit of a memory emptyDir), give objects less room (max_keys), or choose another \
                 directory (TIDEGATE_DIR or path)",
                end.saturating_sub(at),
                self.name
            );
            ArenaError::new(ArenaErrorKind::NoSpace, message)
        })
    }

    pub(crate) fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// Seeds for the hash of one object's keys.
    pub(crate) fn secret(&self) -> Secret {
        self.secret
    }

    /// Whether its file is still there under its name.
    fn check_linked(&self) -> Result<(), ArenaError> {
        self.host.as_ref().map_or(Ok(()), file::HostFile::check_linked)
    }

    /// Whether it is a copy of a file that this process can only read: what changes there does not show here, and the
    /// other way.
    pub fn is_read_only(&self) -> bool {
        self.host.as_ref().is_some_and(file::HostFile::is_read_only)
    }

    /// Errors: [`Permission`](ArenaErrorKind::Permission) for what is only looked at.
    pub fn check_writable(&self) -> Result<(), ArenaError> {
        if !self.is_read_only() {
            return Ok(());
        }
        let message = format!(
            "the arena {:?} can be looked at here and not changed: {} may only be read by this process (a read-only \
             mount, or its permissions); do this where it is mounted read-write",
            self.name,
            self.path().unwrap_or(Path::new("")).display()
        );
        Err(ArenaError::new(ArenaErrorKind::Permission, message))
    }

    fn foreign(&self, why: &str) -> ArenaError {
        let message = format!(
            "the arena {:?} is damaged: {why}; stop who uses it and remove it with `tidegate rm {}`",
            self.name, self.name
        );
        ArenaError::new(ArenaErrorKind::Foreign, message)
    }

    /// `argument`: what the caller knows it as.
    fn check_name(argument: &str, name: &str) -> Result<(), ArenaError> {
        directory::check_name(argument, name, "an arena's name")?;
        if name.contains(['/', ':']) {
            let message =
                format!("{argument}: {name:?} is not an arena's name: it becomes a file's name, so no / and no :");
            return Err(ArenaError::new(ArenaErrorKind::Argument, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
