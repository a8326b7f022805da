//! Where there is no host scope: every opening is an error.

use super::error::{ArenaError, ArenaErrorKind};
use super::{Arena, ArenaFile, HostConfig};
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

/// There is none.
#[derive(Debug)]
pub(super) enum HostFile {}

impl HostFile {
    pub(super) fn path(&self) -> &Path {
        match *self {}
    }

    pub(super) fn is_read_only(&self) -> bool {
        match *self {}
    }

    pub(super) fn check_linked(&self) -> Result<(), ArenaError> {
        match *self {}
    }

    pub(super) fn notices(&self) -> Vec<String> {
        match *self {}
    }
}

pub(super) fn open(options: &HostConfig) -> Result<Arc<Arena>, ArenaError> {
    Err(unsupported(&options.name))
}

pub(super) fn forget() {}

pub(super) fn inspect(options: &HostConfig) -> Result<Arc<Arena>, ArenaError> {
    Err(unsupported(&options.name))
}

pub(super) fn unlink(options: &HostConfig) -> Result<Option<ArenaFile>, ArenaError> {
    Err(unsupported(&options.name))
}

pub(super) fn list(_options: &HostConfig) -> Result<Vec<ArenaFile>, ArenaError> {
    Err(unsupported("…"))
}

pub(super) fn directory(options: &HostConfig) -> PathBuf {
    options.path.clone().unwrap_or_default()
}

fn unsupported(name: &str) -> ArenaError {
    let message = format!(
        "the scope \"host:{name}\" needs Linux; this system has \"process\" and \"process:{name}\", which other \
         processes do not share"
    );
    ArenaError::new(ArenaErrorKind::Unsupported, message)
}
