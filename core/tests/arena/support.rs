//! A directory of its own for each test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate::arena::HostOptions;

/// A directory in shared memory that goes with the test.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only different for each.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/dev/shm/tidegate-test-{}-{number}", std::process::id()));
        // What a killed run of the same number left.
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Options for an arena here, of the smallest size.
    pub(crate) fn options(&self, name: &str) -> HostOptions {
        let mut options = HostOptions::new(name);
        options.path = Some(self.0.clone());
        options
    }

    /// Where that arena's file is.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.v1.arena"))
    }

    /// The names in it, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("a directory");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
