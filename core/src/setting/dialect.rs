//! How the callers of each binding write names, times and values of settings.

use super::Field;
use std::fmt;
use std::time::Duration;

/// How a binding's callers write.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// Which it is: `"python"`.
    pub language: &'static str,
    /// A setting's name; whether it is a span of time.
    name: fn(&str, bool) -> String,
    /// A setting, by its name as it is written here, with one of its values.
    setting: fn(&str, &str) -> String,
    /// Nanoseconds of the unit of times; 0: as `Duration` says itself.
    unit_ns: u64,
    /// Its name.
    unit: &'static str,
    /// What a span of time is.
    pub(super) spans: &'static str,
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.language)
    }
}

/// Rust's own names and `Duration`s.
pub const RUST: Dialect = Dialect {
    language: "rust",
    name: |name, _| if name.starts_with("window_") { "window".to_owned() } else { name.to_owned() },
    setting: |name, value| match value {
        "…" => name.to_owned(),
        _ => format!("{}::{}", camel(name, true), camel(value, true)),
    },
    unit_ns: 0,
    unit: "",
    spans: "a Duration",
};

/// C: `cooldown_ns`, in nanoseconds.
pub const C: Dialect = Dialect {
    language: "c",
    name: |name, is_span| name.to_owned() + if is_span { "_ns" } else { "" },
    setting: |name, value| match value {
        "…" => name.to_owned(),
        _ => format!("{name} = TG_{}_{}", name.to_uppercase(), value.to_uppercase()),
    },
    unit_ns: 1,
    unit: "ns",
    spans: "nanoseconds",
};

/// Python: keyword arguments, in seconds.
pub const PYTHON: Dialect = Dialect {
    language: "python",
    name: |name, _| match name {
        "period" => "per".to_owned(),
        // `Block(after=3)` is an object of its own.
        _ => name.strip_prefix("block_").unwrap_or(name).to_owned(),
    },
    setting: |name, value| format!("{name}={value:?}"),
    unit_ns: 1_000_000_000,
    unit: "s",
    spans: "seconds as a float or a timedelta",
};

/// JavaScript: `cooldownMs`, in milliseconds.
pub const NODE: Dialect = Dialect {
    language: "node",
    name: |name, is_span| {
        let (object, name) = match name {
            "period" => ("", "per"),
            "warm_up" => ("warmUp.", "period"),
            "warm_up_from" => ("warmUp.", "from"),
            _ => name.strip_prefix("block_").map_or(("", name), |name| ("block.", name)),
        };
        format!("{object}{}{}", camel(name, false), if is_span { "Ms" } else { "" })
    },
    setting: |name, value| format!("{name}: '{value}'"),
    unit_ns: 1_000_000,
    unit: "ms",
    spans: "milliseconds",
};

/// A policy file: the names of the settings, `"30s"`.
#[cfg(all(feature = "policy", not(loom)))]
pub(crate) const POLICY: Dialect = Dialect {
    language: "policy",
    name: |name, _| name.replacen("block_", "block.", 1),
    setting: |name, value| match value {
        "…" => name.to_owned(),
        _ => format!("{name} = {value:?}"),
    },
    unit_ns: 0,
    unit: "",
    spans: "a span of time such as \"30s\"",
};

/// `camelCase`, or `CamelCase`.
fn camel(name: &str, mut upper: bool) -> String {
    let mut camel = String::with_capacity(name.len() + 2);
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            camel.extend(c.to_uppercase());
        } else {
            camel.push(c);
        }
    }
    camel
}

/// Marks around what a dialect says: noncharacters of Unicode, which no text of a caller has a use for.
const NAME: char = '\u{fdd0}';
/// The name of a span of time.
const SPAN: char = '\u{fdd4}';
const TIME: char = '\u{fdd1}';
const END: char = '\u{fdd2}';
/// Between the two parts of a setting.
const VALUE: char = '\u{fdd3}';

/// A setting's name within a message.
pub(crate) fn of_name(field: &Field) -> String {
    format!("{}{}{END}", if field.is_span() { SPAN } else { NAME }, field.name)
}

/// A time within a message.
pub(crate) fn time(ns: u64) -> String {
    format!("{TIME}{ns}{END}")
}

/// An argument with a value within a message; `"…"` is whichever the caller likes.
#[cfg(not(loom))]
pub(crate) fn setting(name: &str, value: &str) -> String {
    format!("{NAME}{name}{VALUE}{value}{END}")
}

impl Dialect {
    /// The name of an argument.
    pub(crate) fn name(&self, name: &str, is_span: bool) -> String {
        (self.name)(name, is_span)
    }

    fn time(&self, ns: u64) -> String {
        match self.unit_ns {
            0 => format!("{:?}", Duration::from_nanos(ns)),
            unit => format!("{} {}", ns as f64 / unit as f64, self.unit),
        }
    }

    /// A message with its names and times said.
    pub(crate) fn say(&self, message: &str) -> String {
        let mut said = String::with_capacity(message.len());
        let mut rest = message;
        while let Some((at, mark)) = rest.char_indices().find(|(_, c)| matches!(*c, NAME | SPAN | TIME)) {
            said.push_str(&rest[..at]);
            rest = &rest[at + mark.len_utf8()..];
            let Some((inner, after)) = rest.split_once(END) else { break };
            said.push_str(&match (mark, inner.parse(), inner.split_once(VALUE)) {
                (TIME, Ok(ns), _) => self.time(ns),
                (_, _, Some((name, value))) => (self.setting)(&self.name(name, false), value),
                _ => self.name(inner, mark == SPAN),
            });
            rest = after;
        }
        said + rest
    }
}
