//! What can go wrong with memory that processes share.

use crate::setting::{Dialect, RUST};
use crate::{ConfigError, ConfigErrorKind};
use std::fmt;

/// What kind of trouble an [`ArenaError`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArenaErrorKind {
    /// This system has no host scope (Linux has).
    Unsupported,
    /// A scope, an arena's name, an object's name or another argument that is wrong.
    Argument,
    /// The directory or the file belongs to somebody else, is a link, is open to others, or may not be read or written.
    Permission,
    /// The directory lies on a filesystem that machines share, or that keeps no memory in common.
    Filesystem,
    /// No room on the filesystem for the file.
    NoSpace,
    /// The file is not an arena, or not whole: short, resized, or written by something else.
    Foreign,
    /// The file has another layout than its name says.
    Version,
    /// This process's clock and the arena's differ.
    Clock,
    /// An object of this name exists and is of another shape.
    Shape,
    /// An object of this name exists and was declared with other settings.
    Settings,
    /// The arena is full: its bytes, its names or its process slots.
    Full,
    /// The arena's file was removed or replaced while in use.
    Removed,
    /// The system said no for another reason.
    System,
}

impl ArenaErrorKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Unsupported,
        Self::Argument,
        Self::Permission,
        Self::Filesystem,
        Self::NoSpace,
        Self::Foreign,
        Self::Version,
        Self::Clock,
        Self::Shape,
        Self::Settings,
        Self::Full,
        Self::Removed,
        Self::System,
    ];

    /// Its name, as the bindings spell it: `"no_space"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Argument => "argument",
            Self::Permission => "permission",
            Self::Filesystem => "filesystem",
            Self::NoSpace => "no_space",
            Self::Foreign => "foreign",
            Self::Version => "version",
            Self::Clock => "clock",
            Self::Shape => "shape",
            Self::Settings => "settings",
            Self::Full => "full",
            Self::Removed => "removed",
            Self::System => "system",
        }
    }
}

/// Why an arena or an object in it could not be opened: what was wrong, what is allowed, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArenaError {
    kind: ArenaErrorKind,
    config: Option<Box<ConfigError>>,
    message: String,
    /// The message with its arguments marked, see [`crate::setting`].
    template: String,
}

impl ArenaError {
    pub(crate) fn new(kind: ArenaErrorKind, message: impl Into<String>) -> Self {
        let template = message.into();
        Self { kind, config: None, message: RUST.say(&template), template }
    }

    /// The whole sentence, as the callers of a binding write names and times.
    pub fn said(&self, dialect: &Dialect) -> String {
        self.config.as_ref().map_or_else(|| dialect.say(&self.template), |error| error.said(dialect))
    }

    /// The kind of trouble.
    pub fn kind(&self) -> ArenaErrorKind {
        self.kind
    }

    /// The whole sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The wrong argument, where the trouble is one of the object's own settings.
    pub fn config(&self) -> Option<&ConfigError> {
        self.config.as_deref()
    }
}

impl fmt::Display for ArenaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ArenaError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.config.as_deref().map(|error| error as _)
    }
}

impl From<ConfigError> for ArenaError {
    fn from(error: ConfigError) -> Self {
        let full = error.kind() == ConfigErrorKind::OutOfRange && error.field() == "capacity";
        let kind = if full { ArenaErrorKind::Full } else { ArenaErrorKind::Argument };
        Self { kind, message: error.to_string(), template: String::new(), config: Some(Box::new(error)) }
    }
}
