//! What a directory holds.

use std::path::PathBuf;

/// The file of an arena, as `tidegate ls` shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ArenaFile {
    /// The arena's name.
    pub name: String,
    /// The layout's version, by the file's name.
    pub version: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Whether a living process has it open.
    pub in_use: bool,
}
