//! Errors about arguments. A refusal is never an error here.

use crate::setting::{Dialect, RUST};
use std::fmt;

/// What kind of mistake a [`ConfigError`] reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// A number outside what is allowed.
    OutOfRange,
    /// A text that does not have the form it should.
    Syntax,
    /// Two settings that exclude each other, or one that needs another.
    Conflict,
    /// The memory that a size asks for cannot be had.
    NoMemory,
    /// Nothing was wrong with the argument, but too many others changed the object at the same time: nothing was
    /// changed, try again.
    Busy,
}

/// A wrong argument: which one, what was wrong, what is allowed, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    kind: ConfigErrorKind,
    field: &'static str,
    /// Whether that is a span of time, whose name tells its unit in some languages.
    is_span: bool,
    message: String,
    /// The message with its names and times marked, see [`crate::setting`].
    template: String,
}

impl ConfigError {
    pub(crate) fn new(kind: ConfigErrorKind, field: &'static str, message: impl Into<String>) -> Self {
        Self::about(kind, field, false, message.into())
    }

    pub(crate) fn about(kind: ConfigErrorKind, field: &'static str, is_span: bool, template: String) -> Self {
        Self { kind, field, is_span, message: RUST.say(&template), template }
    }

    #[doc(hidden)] // For crates beside this one.
    pub fn out_of_range(field: &'static str, message: impl Into<String>) -> Self {
        Self::new(ConfigErrorKind::OutOfRange, field, message)
    }

    pub(crate) fn syntax(field: &'static str, message: impl Into<String>) -> Self {
        Self::new(ConfigErrorKind::Syntax, field, message)
    }

    /// `sized_by`: the setting that asks for so much, by its name in [`crate::config`]; `None`: every object of the
    /// kind takes as much, so there is none to make smaller.
    #[cold]
    pub(crate) fn no_memory(sized_by: Option<&'static str>, len: usize, size: usize, why: &str) -> Self {
        let bytes = format!("for {len} x {size} bytes ({why})");
        let (field, message) = match sized_by {
            Some(setting) => (setting, format!("no memory {bytes}; give a smaller one, or the process more memory")),
            None => ("memory", format!("none {bytes}; give the process more")),
        };
        Self::new(ConfigErrorKind::NoMemory, field, message)
    }

    /// The kind of mistake.
    pub fn kind(&self) -> ConfigErrorKind {
        self.kind
    }

    /// The whole sentence with the argument's name in front, as the callers of a binding write names and times.
    pub fn said(&self, dialect: &Dialect) -> String {
        format!("{}: {}", dialect.name(self.field, self.is_span), dialect.say(&self.template))
    }

    /// The sentence without the argument's name, with names and times as `dialect` has them.
    #[cfg(all(feature = "policy", not(loom)))]
    pub(crate) fn message_in(&self, dialect: &Dialect) -> String {
        dialect.say(&self.template)
    }

    /// The argument at fault, by its name in [`crate::config`] or its Rust name (`"burst"`); `"memory"` where there is
    /// too little of it for any argument.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// The whole sentence, without the argument's name in front.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said(&RUST))
    }
}

impl std::error::Error for ConfigError {}

/// Messages stay readable whatever was written.
pub(crate) fn shortened(text: &str) -> String {
    cut(text, 60)
}

/// The first `most` characters, and a sign that there are more.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
