//! One string says where state lives.

use super::directory::check_name;
use super::error::{ArenaError, ArenaErrorKind};
use super::{Arena, HostConfig};
use crate::error::shortened;
use crate::setting::setting;
use std::sync::Arc;

/// Where state lives: `"process"`, `"process:orders"` or `"host:orders"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Private to the object: the default.
    Process,
    /// An arena of this process: Node's worker threads share it.
    Shared(String),
    /// An arena of this machine, a mapped file: processes share it.
    Host(String),
}

impl Scope {
    /// Errors: [`Argument`](ArenaErrorKind::Argument) when it is none of the three forms, or the name is no name.
    pub fn parse(text: &str) -> Result<Self, ArenaError> {
        let scope = match text.split_once(':') {
            None if text == "process" => return Ok(Self::Process),
            Some(("process", name)) => Self::Shared(name.to_owned()),
            Some(("host", name)) => Self::Host(name.to_owned()),
            Some(("cluster", name)) => {
                let message = format!(
                    "scope: {:?} is for a ClusterLimit; other objects live in \"host:{}\", the arena of each \
                     machine",
                    shortened(text),
                    shortened(name)
                );
                return Err(ArenaError::new(ArenaErrorKind::Argument, message));
            }
            _ => {
                let message = format!(
                    "scope: {:?} is not a scope; allowed are \"process\" (private), \"process:NAME\" (the threads \
                     of this process) and \"host:NAME\" (every process of this machine)",
                    shortened(text)
                );
                return Err(ArenaError::new(ArenaErrorKind::Argument, message));
            }
        };
        if let Self::Shared(name) | Self::Host(name) = &scope {
            Arena::check_name("scope", name)?;
        }
        Ok(scope)
    }

    /// Where a [`ClusterLimit`](crate::ClusterLimit) of `"cluster:orders"` lives: in `"host:orders"`, the arena of each
    /// machine. Other texts are left as they are.
    pub fn of_cluster(text: &str) -> String {
        text.strip_prefix("cluster:").map_or_else(|| text.to_owned(), |name| format!("host:{name}"))
    }

    /// What the environment says in `TIDEGATE_SCOPE`; [`Process`](Self::Process) where it says nothing.
    pub fn from_env() -> Result<Self, ArenaError> {
        match std::env::var("TIDEGATE_SCOPE") {
            Ok(text) if !text.is_empty() => Self::parse(&text)
                .map_err(|error| ArenaError::new(error.kind(), error.message().replacen("scope", "TIDEGATE_SCOPE", 1))),
            _ => Ok(Self::Process),
        }
    }

    /// The arena that it names, opened; `None` for [`Process`](Self::Process).
    pub fn open(&self) -> Result<Option<Arc<Arena>>, ArenaError> {
        match self {
            Self::Process => Ok(None),
            Self::Shared(name) => Arena::process(name).map(Some),
            Self::Host(name) => Arena::open(&HostConfig::new(name)).map(Some),
        }
    }

    /// What a binding needs to make one object: `scope` as its user gave it (`None`: as the environment says) and the
    /// object's name. `None`: in memory of its own.
    ///
    /// Errors: [`Argument`](ArenaErrorKind::Argument) when `scope` is none, when a named scope meets no name, or a name
    /// that is none.
    pub fn place<'a>(scope: Option<&str>, name: Option<&'a str>) -> Result<Option<(Arc<Arena>, &'a str)>, ArenaError> {
        let parsed = scope.map_or_else(Self::from_env, Self::parse)?;
        if parsed == Self::Process {
            return Ok(None);
        }
        let name = parsed.named(name, if scope.is_some() { "" } else { " (from TIDEGATE_SCOPE)" })?;
        Ok(parsed.open()?.map(|arena| (arena, name)))
    }

    /// [`place`](Self::place) in an arena of this machine that is opened with `options`.
    ///
    /// Errors: as there, and those of [`Arena::open`].
    pub fn place_in<'a>(options: &HostConfig, name: Option<&'a str>) -> Result<(Arc<Arena>, &'a str), ArenaError> {
        let name = Self::Host(options.name.clone()).named(name, "")?;
        Ok((Arena::open(options)?, name))
    }

    /// [`place`](Self::place) in the arena `arena` of this process, with `capacity` bytes where that is said.
    ///
    /// Errors: as there, and those of [`Arena::process_with_capacity`].
    pub fn place_in_process<'a>(
        arena: &str,
        capacity: Option<usize>,
        name: Option<&'a str>,
    ) -> Result<(Arc<Arena>, &'a str), ArenaError> {
        let name = Self::Shared(arena.to_owned()).named(name, "")?;
        Ok((Arena::of_process(arena, capacity)?, name))
    }

    /// Whether an object of this name, if it has one, can be made here; opens nothing.
    ///
    /// Errors: as [`place`](Self::place).
    pub fn check(&self, name: Option<&str>) -> Result<(), ArenaError> {
        if *self == Self::Process { Ok(()) } else { self.named(name, "").map(drop) }
    }

    /// The object's name, which a named scope needs; asked for before the arena is made.
    fn named<'a>(&self, name: Option<&'a str>, said: &str) -> Result<&'a str, ArenaError> {
        let Some(name) = name else {
            let message = format!(
                "name: the scope {self}{said} needs a name for each object in it: say {}, or {} to keep this one \
                 private",
                setting("name", "…"),
                setting("scope", "process")
            );
            return Err(ArenaError::new(ArenaErrorKind::Argument, message));
        };
        check_name("name", name, "an object's name")?;
        Ok(name)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process => write!(f, "\"process\""),
            Self::Shared(name) => write!(f, "\"process:{name}\""),
            Self::Host(name) => write!(f, "\"host:{name}\""),
        }
    }
}
