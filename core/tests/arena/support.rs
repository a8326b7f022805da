//! A directory of its own for each test, and what tests do to files.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate::arena::{ArenaError, ArenaErrorKind, HostConfig, LAYOUT_VERSION};
use tidegate::limit::{Algorithm, BucketConfig, LimiterConfig};
use tidegate::{Arena, OnConflict, RateLimiter, TokenBucket};

/// A directory in shared memory that goes with the test.
pub(crate) struct Place {
    path: PathBuf,
    mounted: bool,
}

impl Place {
    /// Not there yet: who opens an arena in it makes it.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only different for each.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/dev/shm/tidegate-test-{}-{number}", std::process::id()));
        // What a killed run of the same number left.
        let _ = std::fs::remove_dir_all(&path);
        Self { path, mounted: false }
    }

    /// A filesystem of this size; `None`, and says why, where this process may not mount one.
    pub(crate) fn of_size(bytes: usize) -> Option<Self> {
        let mut place = Self::new();
        std::fs::create_dir(&place.path).expect("a directory");
        let options = format!("size={bytes},mode=700");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tidegate-test"]).arg(&place.path).output();
        place.mounted = mount.as_ref().is_ok_and(|output| output.status.success());
        if !place.mounted {
            eprintln!("skipped: needs the right to mount a small filesystem: {mount:?}");
        }
        place.mounted.then_some(place)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Options for an arena here.
    pub(crate) fn options(&self, name: &str) -> HostConfig {
        let mut options = HostConfig::new(name);
        options.path = Some(self.path.clone());
        options.capacity = Some(16 << 20);
        options
    }

    pub(crate) fn open(&self, name: &str) -> Result<Arc<Arena>, ArenaError> {
        Arena::open(&self.options(name))
    }

    /// Opens it, and leaves the file.
    pub(crate) fn make(&self, name: &str) -> PathBuf {
        drop(self.open(name).expect("a new arena"));
        self.file(name)
    }

    /// Where that arena's file is.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(named(&format!("{name}.vN.arena")))
    }

    /// The names in it, in order; of this build's arenas as `vN`.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.path).expect("a directory");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
        names.iter_mut().for_each(|name| *name = name.replace(&named(".vN."), ".vN."));
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(&self.path).status();
        }
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The name of a file in which `vN` stands for the layout version of this build.
pub(crate) fn named(file: &str) -> String {
    file.replace(".vN.", &format!(".v{LAYOUT_VERSION}."))
}

/// Asserts the kind, and that the message has all these parts, as [`named`].
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, ArenaError>, kind: ArenaErrorKind, parts: &[&str]) {
    let Err(error) = result else { panic!("not refused, although {kind:?} was due: {parts:?}") };
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.message().contains(&named(part)), "{part:?} is not in: {error}");
    }
}

/// Whether this process may become other users. Says what is skipped where it may not.
pub(crate) fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root, to be another user");
    }
    root
}

pub(crate) fn bucket(arena: &Arc<Arena>, name: &str) -> Result<TokenBucket, ArenaError> {
    let quota = "2/hour".parse().expect("a quota");
    TokenBucket::in_arena(arena, name, quota, BucketConfig::default(), OnConflict::Error)
}

/// The limit of a route, as an application's options declare it.
pub(crate) fn declare(arena: &Arc<Arena>, rate: &str, name: &str) -> RateLimiter {
    let quota = rate.parse().expect("a rate");
    let config = LimiterConfig { max_keys: 100, ..LimiterConfig::new(Algorithm::TokenBucket, quota) };
    RateLimiter::in_arena(arena, name, config, OnConflict::Apply)
        .unwrap_or_else(|error| panic!("{name} with {rate}: {error}"))
}

/// What a key is admitted at once.
pub(crate) fn drain(limiter: &RateLimiter, key: &[u8]) -> u64 {
    (0..100_000).take_while(|_| limiter.try_acquire(key, 1)).count() as u64
}

/// Offsets in the header; its checksum covers what stands before it.
pub(crate) const VERSION_AT: u64 = 8;
pub(crate) const BOOT_AT: u64 = 40;
pub(crate) const CHECKSUM_AT: u64 = 112;

/// Changes one word of a file.
pub(crate) fn poke(file: &Path, at: u64, word: u64) {
    let file = std::fs::File::options().write(true).open(file).expect("a file");
    file.write_all_at(&word.to_ne_bytes(), at).expect("written");
}

/// Changes one word of a header as a writer would who knows its checksum (FNV-1a).
pub(crate) fn poke_header(file: &Path, at: u64, word: u64) {
    poke(file, at, word);
    let mut header = [0; CHECKSUM_AT as usize];
    std::fs::File::open(file).and_then(|file| file.read_exact_at(&mut header, 0)).expect("a header");
    let sum = header
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    poke(file, CHECKSUM_AT, sum);
}
