//! Settings described once: ranges and error texts are made from these tables, and each binding says names and times as its
//! callers write them.

use crate::ConfigError;
use std::time::Duration;

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// Its name in this table: the Rust name, `window_calls` and `window_duration` for the two windows.
    pub name: &'static str,
    /// What it holds, and the range.
    pub kind: Kind,
    /// One line about it.
    pub doc: &'static str,
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
}

impl Field {
    /// The range, with times marked for the [`Dialect`] that says them.
    fn range(&self) -> String {
        match self.kind {
            Kind::Count { min, max } => format!("{min} to {max}"),
            Kind::Real { min, from_min: true, max } if max == f64::MAX => format!("{min} or more"),
            Kind::Real { min, from_min: true, max } => format!("{min} to {max}"),
            Kind::Real { min, from_min: false, max } => format!("above {min} and up to {max}"),
            Kind::Span { min_ns, max_ns } => format!("{} to {}", time(min_ns), time(max_ns)),
        }
    }

    /// `value`, as the caller wrote it, is outside the range; `more` is what may help.
    pub fn outside(&self, value: impl std::fmt::Display, more: &str) -> ConfigError {
        ConfigError::out_of_range(self.name, format!("{value} is not within {}{more}", self.range()))
    }

    pub(crate) fn check_count(&self, value: u64, more: &str) -> Result<(), ConfigError> {
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

    pub(crate) fn check_span(&self, value: Duration, more: &str) -> Result<(), ConfigError> {
        let ns = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        match self.kind {
            Kind::Span { min_ns, max_ns } if (min_ns..=max_ns).contains(&ns) => Ok(()),
            _ => Err(self.outside(time(ns), more)),
        }
    }
}

/// The tables that there are.
fn tables() -> [&'static [Field]; 1] {
    [&crate::breaker::FIELDS]
}

/// How a binding's callers write names and times.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// A setting's name; whether it is a span of time.
    pub name: fn(&str, bool) -> String,
    /// Nanoseconds of the unit of times; 0: as `Duration` says itself.
    pub unit_ns: u64,
    /// Its name.
    pub unit: &'static str,
}

pub(crate) const RUST: Dialect = Dialect {
    name: |name, _| if name.starts_with("window_") { "window".to_owned() } else { name.to_owned() },
    unit_ns: 0,
    unit: "",
};

/// Marks around what a dialect says: noncharacters of Unicode, which no text of a caller has a use for.
const NAME: char = '\u{fdd0}';
const TIME: char = '\u{fdd1}';
const END: char = '\u{fdd2}';

/// A setting's name within a message.
pub(crate) fn name(name: &str) -> String {
    format!("{NAME}{name}{END}")
}

/// A time within a message.
pub(crate) fn time(ns: u64) -> String {
    format!("{TIME}{ns}{END}")
}

impl Dialect {
    /// The name of a setting of any table; of others as it is.
    pub(crate) fn say_name(&self, name: &str) -> String {
        let found = tables().into_iter().flatten().find(|field| field.name == name);
        (self.name)(name, found.is_some_and(|field| matches!(field.kind, Kind::Span { .. })))
    }

    fn say_time(&self, ns: u64) -> String {
        match self.unit_ns {
            0 => format!("{:?}", Duration::from_nanos(ns)),
            unit => format!("{} {}", ns as f64 / unit as f64, self.unit),
        }
    }

    /// A message with its names and times said.
    pub(crate) fn say(&self, message: &str) -> String {
        let mut said = String::with_capacity(message.len());
        let mut rest = message;
        while let Some((at, mark)) = rest.char_indices().find(|(_, c)| matches!(*c, NAME | TIME)) {
            said.push_str(&rest[..at]);
            rest = &rest[at + mark.len_utf8()..];
            let Some((inner, after)) = rest.split_once(END) else { break };
            match (mark, inner.parse()) {
                (TIME, Ok(ns)) => said.push_str(&self.say_time(ns)),
                _ => said.push_str(&self.say_name(inner)),
            }
            rest = after;
        }
        said + rest
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SECONDS: Dialect = Dialect { name: |name, _| name.to_owned(), unit_ns: 1_000_000_000, unit: "s" };
    const NANOS: Dialect =
        Dialect { name: |name, is_span| name.to_owned() + if is_span { "_ns" } else { "" }, unit_ns: 1, unit: "ns" };

    #[test]
    fn an_error_is_said_as_its_caller_writes() {
        let config = crate::BreakerConfig { cooldown: Duration::ZERO, ..Default::default() };
        let error = crate::CircuitBreaker::new("it", config).expect_err("no cooldown");
        assert_eq!(error.to_string(), "cooldown: 0ns is not within 1ms to 31536000s");
        assert_eq!(error.said(&SECONDS), "cooldown: 0 s is not within 0.001 s to 31536000 s");
        assert_eq!(error.said(&NANOS), "cooldown_ns: 0 ns is not within 1000000 ns to 31536000000000000 ns");
    }

    #[test]
    fn any_message_can_be_said() {
        for odd in ["", "\u{fdd0}", "\u{fdd1}x\u{fdd2}", "\u{fdd2}a\u{fdd0}b\u{fdd2}"] {
            assert!(!SECONDS.say(odd).contains(TIME));
        }
    }
}
