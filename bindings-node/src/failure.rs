//! What a native call can fail with, and which JavaScript error it becomes.

use std::ffi::CStr;
use tidegate::arena::{ArenaError, ArenaErrorKind};
use tidegate::config::NODE;
use tidegate::{ConfigError, ConfigErrorKind};

/// A failed native call.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A wrong argument: a `RangeError`.
    Argument {
        /// Node's own code for this kind of mistake.
        code: &'static CStr,
        /// Which argument, what is wrong, what is allowed.
        message: String,
    },
    /// An arena, or an object in it, that could not be opened: an `ArenaError` (lib/scope.cjs makes it one).
    Arena {
        /// Its kind by name.
        kind: &'static str,
        /// The whole sentence.
        message: String,
    },
    /// Node-API itself refused: an `Error`.
    Node(napi::Error),
    /// A bug of this package: an `Error`.
    Internal(String),
}

impl Failure {
    /// The same of an argument that is a part of this one.
    pub(crate) fn within(self, argument: &str) -> Self {
        match self {
            Self::Argument { code, message } => Self::Argument { code, message: format!("{argument}: {message}") },
            other => other,
        }
    }
}

impl From<napi::Error> for Failure {
    fn from(error: napi::Error) -> Self {
        Self::Node(error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let code = match error.kind() {
            ConfigErrorKind::OutOfRange => c"ERR_OUT_OF_RANGE",
            _ => c"ERR_INVALID_ARG_VALUE",
        };
        Self::Argument { code, message: error.said(&NODE) }
    }
}

impl From<ArenaError> for Failure {
    fn from(error: ArenaError) -> Self {
        match (error.kind(), error.config()) {
            (ArenaErrorKind::Argument, Some(config)) => config.clone().into(),
            (ArenaErrorKind::Argument, None) => {
                Self::Argument { code: c"ERR_INVALID_ARG_VALUE", message: error.said(&NODE) }
            }
            (kind, _) => Self::Arena { kind: kind.name(), message: error.said(&NODE) },
        }
    }
}
