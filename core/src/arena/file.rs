//! The file behind an arena of the machine: found, checked, or built and published whole.

use super::error::{ArenaError, ArenaErrorKind};
use super::{Arena, HostOptions};
use std::sync::Arc;

/// Opens or makes the file, and registers the process.
pub(super) fn open(options: &HostOptions) -> Result<Arc<Arena>, ArenaError> {
    let message = format!("host:{} needs Linux", options.name);
    Err(ArenaError::new(ArenaErrorKind::Unsupported, message))
}
