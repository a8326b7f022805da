//! How an arena of the machine is opened.

use super::error::{ArenaError, ArenaErrorKind};
use super::layout::OBJECTS_AT;
use std::path::PathBuf;

/// Options of [`Arena::open`](super::Arena::open).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostOptions {
    /// The arena's name: 1 to 63 of A-Z a-z 0-9 . _ -.
    pub name: String,
    /// The directory of the file. By default `TIDEGATE_DIR`, else `/dev/shm/tidegate-UID`, which is made with mode 0700.
    pub path: Option<PathBuf>,
    /// Bytes, taken when the file is made; it never grows. By default 16 MiB, or what the file has. Asking an existing arena for
    /// another is an error.
    pub capacity: Option<usize>,
    /// The group that may use the file as well (mode 0660), by name or number: for containers that run as different users.
    /// By default only its owner may (mode 0600).
    pub group: Option<String>,
}

impl HostOptions {
    /// The defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), path: None, capacity: None, group: None }
    }
}

pub(super) const MIN_CAPACITY: usize = (OBJECTS_AT + 4096).next_power_of_two();
const MAX_CAPACITY: usize = 1 << 40;

pub(super) fn check_capacity(capacity: usize) -> Result<(), ArenaError> {
    if (MIN_CAPACITY..=MAX_CAPACITY).contains(&capacity) {
        return Ok(());
    }
    let message = format!("{capacity} is not a capacity; allowed are {MIN_CAPACITY} bytes to 1 TiB");
    Err(ArenaError::new(ArenaErrorKind::Argument, message))
}
