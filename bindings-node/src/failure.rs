//! What a native call can fail with, and which JavaScript error it becomes.

use std::ffi::CStr;
use tidegate::arena::{ArenaError, ArenaErrorKind};
use tidegate::config::Dialect;
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
                Self::Argument { code: c"ERR_INVALID_ARG_VALUE", message: error.message().to_owned() }
            }
            (kind, _) => Self::Arena { kind: kind.name(), message: error.message().to_owned() },
        }
    }
}

/// As JavaScript's callers write: `cooldownMs`, in milliseconds.
const NODE: Dialect = Dialect { name: option_name, unit_ns: 1_000_000, unit: "ms" };

/// The core's Rust name of an argument → the option a JavaScript caller wrote.
fn option_name(field: &str, is_span: bool) -> String {
    match field {
        "block_after" => return "block.after".to_owned(),
        "block_within" => return "block.withinMs".to_owned(),
        "block_duration" => return "block.durationMs".to_owned(),
        "block_growth" => return "block.growth".to_owned(),
        "block_max" => return "block.maxMs".to_owned(),
        "warm_up" => return "warmUp.periodMs".to_owned(),
        "warm_up_from" => return "warmUp.from".to_owned(),
        _ => {}
    }
    let mut name = String::with_capacity(field.len() + 2);
    let mut upper = false;
    for c in field.chars() {
        if c == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            name.extend(c.to_uppercase());
        } else {
            name.push(c);
        }
    }
    if is_span { name + "Ms" } else { name }
}
