//! The group that shares an arena, by name or number.

use super::super::error::{ArenaError, ArenaErrorKind};
use nix::unistd::{Gid, Group};

/// Errors: [`Argument`](ArenaErrorKind::Argument) when there is no such group.
pub(super) fn id(group: &str) -> Result<Gid, ArenaError> {
    if let Ok(number) = group.parse() {
        return Ok(Gid::from_raw(number));
    }
    let why = match Group::from_name(group) {
        Ok(Some(found)) => return Ok(found.gid),
        Ok(None) => "this system knows no such group; a container may have to say its number".to_owned(),
        Err(error) => error.desc().to_owned(),
    };
    Err(ArenaError::new(ArenaErrorKind::Argument, format!("group: {group:?}: {why}")))
}
