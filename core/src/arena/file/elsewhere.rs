//! Where there is no host scope: every opening is an error.

use super::error::{ArenaError, ArenaErrorKind};
use super::{Arena, HostOptions};
use std::sync::Arc;

/// There is none.
#[derive(Debug)]
pub(super) enum HostFile {}

impl HostFile {
    pub(super) fn check_linked(&self) -> Result<(), ArenaError> {
        match *self {}
    }
}

/// Errors: [`Unsupported`](ArenaErrorKind::Unsupported), always.
pub(super) fn open(options: &HostOptions) -> Result<Arc<Arena>, ArenaError> {
    let message = format!(
        "the scope \"host:{}\" needs Linux; on this system \"process\" and \"process:{}\" are to be had",
        options.name, options.name
    );
    Err(ArenaError::new(ArenaErrorKind::Unsupported, message))
}
