//! For tools that look after arenas, as the `tidegate` command does.

use super::layout::{DIRECTORY_AT, HEADER_AT, Header, OBJECTS, OBJECTS_AT, Record};
use super::{Arena, ArenaError, ArenaFile, HostConfig, file};
use crate::sync::Ordering;
use std::path::PathBuf;

impl Arena {
    /// The arenas where the options say, whatever name they say; otherwise as [`list`](Self::list).
    pub fn list_where(options: &HostConfig) -> Result<Vec<ArenaFile>, ArenaError> {
        file::list(options)
    }

    /// Where the options say that arenas lie.
    pub fn directory(options: &HostConfig) -> PathBuf {
        file::directory(options)
    }

    /// Wall clock nanoseconds since 1970 at which it was made; for people, as whoever can write to the arena can change
    /// it.
    pub fn created_ns(&self) -> u64 {
        // Relaxed: written before anybody could open the file.
        self.mapping().value::<Header>(HEADER_AT).map_or(0, |header| header.created_ns.load(Ordering::Relaxed))
    }

    /// Whether its file is still the one of its name.
    pub fn is_linked(&self) -> bool {
        self.check_linked().is_ok()
    }

    /// Bytes that cannot be given to objects any more.
    pub fn used(&self) -> usize {
        let records = self.mapping().slice::<Record>(DIRECTORY_AT, OBJECTS).unwrap_or_default();
        // Relaxed: a look; an object that is being made is not yet counted.
        let ends = records.iter().map(|record| record.end.load(Ordering::Relaxed));
        let ends = ends.filter_map(|end| usize::try_from(end).ok()).filter(|&end| end <= self.capacity());
        ends.fold(OBJECTS_AT, usize::max)
    }
}
