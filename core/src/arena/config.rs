//! How an arena of the machine is opened.

use super::error::{ArenaError, ArenaErrorKind};
use super::layout::OBJECTS_AT;
use std::path::PathBuf;

/// Options of [`Arena::open`](super::Arena::open).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// The arena's name: 1 to 63 of A-Z a-z 0-9 . _ -.
    pub name: String,
    /// The directory of the file. By default `TIDEGATE_DIR`, else `/dev/shm/tidegate-UID`, which is made with mode
    /// 0700.
    pub path: Option<PathBuf>,
    /// Bytes of address space, and the most that the file can take: objects take theirs when they are made. It never
    /// grows. By default what the file has; a new one gets what `TIDEGATE_CAPACITY` says, else 256 MiB. Asking an
    /// existing arena for another is an error.
    pub capacity: Option<usize>,
    /// The group that may use the file as well (mode 0660), by name or number: for containers that run as different
    /// users. By default only its owner may (mode 0600).
    pub group: Option<String>,
}

impl HostConfig {
    /// The defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), path: None, capacity: None, group: None }
    }

    /// Whether name and capacity can be had, before anything is opened.
    ///
    /// Errors: [`Argument`](ArenaErrorKind::Argument), with the argument's name.
    pub fn check(&self) -> Result<(), ArenaError> {
        super::Arena::check_name("name", &self.name)?;
        self.capacity.map_or(Ok(()), check_capacity)
    }
}

pub(super) const MIN_CAPACITY: usize = (OBJECTS_AT + 4096).next_power_of_two();
const MAX_CAPACITY: usize = 1 << 40;

/// What `TIDEGATE_CAPACITY` says of arenas that are made: bytes, or with K, M or G at the end.
pub(super) fn said_capacity() -> Result<Option<usize>, ArenaError> {
    let Some(said) = std::env::var_os("TIDEGATE_CAPACITY").filter(|said| !said.is_empty()) else { return Ok(None) };
    parse(&said.to_string_lossy()).map(Some)
}

fn parse(said: &str) -> Result<usize, ArenaError> {
    let digits = said.trim_end_matches(['K', 'M', 'G']);
    let shift = match &said[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => usize::BITS,
    };
    let bytes = digits.parse::<usize>().ok().and_then(|bytes| bytes.checked_mul(1_usize.checked_shl(shift)?));
    match bytes {
        Some(bytes) => {
            let explained = |error: ArenaError| {
                ArenaError::new(ArenaErrorKind::Argument, error.message().replacen("capacity", "TIDEGATE_CAPACITY", 1))
            };
            check_capacity(bytes).map(|()| bytes).map_err(explained)
        }
        None => {
            let message =
                format!("TIDEGATE_CAPACITY: {said:?} is no number of bytes; give one, or as in 64M (K, M or G)");
            Err(ArenaError::new(ArenaErrorKind::Argument, message))
        }
    }
}

pub(super) fn check_capacity(capacity: usize) -> Result<(), ArenaError> {
    if (MIN_CAPACITY..=MAX_CAPACITY).contains(&capacity) {
        return Ok(());
    }
    let message = format!("capacity: {capacity} is not within {MIN_CAPACITY} to {MAX_CAPACITY} bytes");
    Err(ArenaError::new(ArenaErrorKind::Argument, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_of_the_environment() {
        for (said, bytes) in [("1048576", 1 << 20), ("1024K", 1 << 20), ("64M", 64 << 20), ("1G", 1 << 30)] {
            assert_eq!(parse(said), Ok(bytes));
        }
        for wrong in ["M", "64MB", "64 M", "-1", "1.5G", "1GG", "1", "99999999999999G", "2000G"] {
            let error = parse(wrong).expect_err(wrong);
            assert!(error.message().starts_with("TIDEGATE_CAPACITY: "), "{error}");
        }
    }
}
