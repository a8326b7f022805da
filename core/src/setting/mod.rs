//! A setting described once: ranges, defaults, error texts and what is generated come from its description, and each
//! binding says names and times as its callers write them.

mod dialect;
mod value;

#[cfg(all(feature = "policy", not(loom)))]
pub(crate) use dialect::POLICY;
#[cfg(not(loom))]
pub(crate) use dialect::setting;
pub use dialect::{C, Dialect, NODE, PYTHON, RUST};
pub(crate) use dialect::{of_name, time};
pub(crate) use value::Slot;
pub use value::Value;

use crate::{ConfigError, ConfigErrorKind};
use std::fmt::Display;
use std::time::Duration;

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// Its name in this table: the Rust name, `window_calls` and `window_duration` for the two windows.
    pub name: &'static str,
    /// What it holds, and the range.
    pub kind: Kind,
    /// What holds where it is left out.
    pub default: Preset,
    /// One line about it.
    pub doc: &'static str,
    /// The version that has had it first.
    pub since: &'static str,
}

/// What a setting holds, and its range, ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// A whole number.
    Count {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A fraction or a factor.
    Real {
        /// The least.
        min: f64,
        /// Whether `min` itself is allowed.
        from_min: bool,
        /// The most.
        max: f64,
    },
    /// A span of time in nanoseconds.
    Span {
        /// The least.
        min_ns: u64,
        /// The most.
        max_ns: u64,
    },
    /// A rate: a text, or a number of tokens beside its period.
    Rate,
    /// Yes or no.
    Flag,
    /// One of these texts.
    Choice(&'static [&'static str]),
}

/// What holds where a setting is left out.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Preset {
    /// Nothing: it must be given.
    Required,
    /// Nothing, or what follows from others, as its line says.
    Unset,
    /// A whole number.
    Count(u64),
    /// A fraction or a factor.
    Real(f64),
    /// A span of time in nanoseconds.
    Span(u64),
    /// Yes or no.
    Flag(bool),
    /// A text.
    Choice(&'static str),
}

/// The settings of one object.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name: `"breaker"`.
    pub object: &'static str,
    /// In the order of its documentation.
    pub fields: &'static [Field],
}

impl Table {
    /// The setting of this name.
    ///
    /// # Panics
    /// There is none.
    pub fn field(&self, name: &str) -> &'static Field {
        self.fields.iter().find(|field| field.name == name).expect("a setting of the table")
    }
}

impl Field {
    pub(crate) const fn new(name: &'static str, kind: Kind, default: Preset, doc: &'static str) -> Self {
        Self { name, kind, default, doc, since: "0.1" }
    }

    /// Its default where that is a whole number; for the configs' own defaults, which are constants.
    ///
    /// # Panics
    /// It is something else.
    pub const fn count(&self) -> u64 {
        match self.default {
            Preset::Count(count) => count,
            _ => panic!("no count by default"),
        }
    }

    /// As [`count`](Self::count), for a fraction or a factor.
    pub(crate) const fn real(&self) -> f64 {
        match self.default {
            Preset::Real(real) => real,
            _ => panic!("no number by default"),
        }
    }

    /// As [`count`](Self::count), for a span of time.
    pub(crate) const fn span(&self) -> Duration {
        match self.default {
            Preset::Span(ns) => Duration::from_nanos(ns),
            _ => panic!("no time by default"),
        }
    }

    /// As [`count`](Self::count), for yes or no.
    pub(crate) const fn flag(&self) -> bool {
        match self.default {
            Preset::Flag(flag) => flag,
            _ => panic!("no flag by default"),
        }
    }

    /// Its range as a caller writes it: `"1 to 4096"`.
    pub fn range(&self, dialect: &Dialect) -> String {
        dialect.say(&self.marked_range())
    }

    /// What holds where it is left out, as a caller writes it; nothing where its line says.
    pub fn default_in(&self, dialect: &Dialect) -> String {
        match self.default {
            Preset::Required => "must be given".to_owned(),
            Preset::Unset => String::new(),
            Preset::Count(count) => count.to_string(),
            Preset::Real(real) => real.to_string(),
            Preset::Span(ns) => dialect.say(&time(ns)),
            Preset::Flag(flag) => flag.to_string(),
            Preset::Choice(text) => format!("{text:?}"),
        }
    }

    /// What it must be, for who has given something of another type: `"a whole number, 1 to 4096"`.
    pub fn wanted(&self, dialect: &Dialect) -> String {
        let what = match self.kind {
            Kind::Count { .. } => "a whole number, ",
            Kind::Real { .. } => "a number, ",
            Kind::Span { .. } => &format!("{}, ", dialect.spans),
            // A file has texts only.
            Kind::Rate if dialect.language == "policy" => "a text such as \"400/s\", ",
            Kind::Rate => "a text such as \"400/s\" or a number of tokens, ",
            Kind::Flag | Kind::Choice(_) => "",
        };
        format!("{what}{}", self.range(dialect))
    }

    /// The range, with times marked for the [`Dialect`] that says them.
    fn marked_range(&self) -> String {
        match self.kind {
            Kind::Count { min, max } => format!("{min} to {max}"),
            Kind::Real { min, from_min: true, max } if max == f64::MAX => format!("{min} or more"),
            Kind::Real { min, from_min: true, max } => format!("{min} to {max}"),
            Kind::Real { min, from_min: false, max } => format!("above {min} and up to {max}"),
            Kind::Span { min_ns, max_ns } => format!("{} to {}", time(min_ns), time(max_ns)),
            Kind::Rate => "1 token in 36 years to 100,000,000 per second".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::Choice(texts) => {
                let quoted: Vec<_> = texts.iter().map(|text| format!("{text:?}")).collect();
                let (last, others) = quoted.split_last().expect("a choice");
                format!("{} or {last}", others.join(", "))
            }
        }
    }

    /// Its name as a caller writes it.
    pub fn name(&self, dialect: &Dialect) -> String {
        dialect.name(self.name, self.is_span())
    }

    pub(crate) fn is_span(&self) -> bool {
        matches!(self.kind, Kind::Span { .. })
    }

    /// An error about it.
    pub(crate) fn error(&self, kind: ConfigErrorKind, message: impl Into<String>) -> ConfigError {
        ConfigError::about(kind, self.name, self.is_span(), message.into())
    }

    /// `value`, as the caller wrote it, is outside the range; `more` is what may help.
    pub fn outside(&self, value: impl Display, more: &str) -> ConfigError {
        self.error(ConfigErrorKind::OutOfRange, format!("{value} is not {}{more}", self.inside()))
    }

    /// As it stands after "is not".
    fn inside(&self) -> String {
        match self.kind {
            Kind::Real { from_min: false, .. } => self.marked_range(),
            Kind::Real { max, .. } if max == f64::MAX => self.marked_range(),
            _ => format!("within {}", self.marked_range()),
        }
    }

    /// A whole number is above `most`, which follows from others as `why` says.
    pub(crate) fn outside_of(&self, value: u64, most: u64, why: &str) -> ConfigError {
        self.error(ConfigErrorKind::OutOfRange, format!("{value} is not within 1 to {most}{why}"))
    }

    /// What was given is beyond the range, as `how` says.
    pub(crate) fn beyond(&self, how: &str) -> ConfigError {
        self.error(ConfigErrorKind::OutOfRange, format!("{how}; allowed is {}", self.marked_range()))
    }

    /// `value`, as the caller wrote it, is no text that it can be.
    pub fn none_of(&self, value: impl Display) -> ConfigError {
        self.error(ConfigErrorKind::Syntax, format!("{value} is not {}", self.marked_range()))
    }

    /// Checks a whole number.
    pub fn check_count(&self, value: u64, more: &str) -> Result<(), ConfigError> {
        match self.kind {
            Kind::Count { min, max } if (min..=max).contains(&value) => Ok(()),
            _ => Err(self.outside(value, more)),
        }
    }

    pub(crate) fn check_real(&self, value: f64, more: &str) -> Result<(), ConfigError> {
        match self.kind {
            Kind::Real { min, from_min, max } if value <= max && (value > min || (from_min && value == min)) => Ok(()),
            _ => Err(self.outside(value, more)),
        }
    }

    /// Checks a span of time.
    pub fn check_span(&self, value: Duration, more: &str) -> Result<(), ConfigError> {
        let ns = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        match self.kind {
            Kind::Span { min_ns, max_ns } if (min_ns..=max_ns).contains(&ns) => Ok(()),
            _ => Err(self.outside(time(ns), more)),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
