//! What a policy says, for other languages.

use super::value::{Settings, Value};
use super::{Change, PolicyError};
use std::fmt::Write;

pub(super) fn text(settings: &Settings) -> String {
    let mut text = String::new();
    map(&mut text, settings);
    text
}

fn map(text: &mut String, settings: &Settings) {
    text.push('{');
    for (place, (name, value)) in settings.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        match value {
            Value::Span(_) => string(text, &format!("{name}_ns")),
            _ => string(text, name),
        }
        text.push(':');
        self::value(text, value);
    }
    text.push('}');
}

fn value(text: &mut String, value: &Value) {
    match value {
        Value::Count(count) => _ = write!(text, "{count}"),
        Value::Real(real) => _ = write!(text, "{real:?}"),
        // JavaScript's numbers do not hold them all.
        Value::Span(ns) => _ = write!(text, "\"{ns}\""),
        Value::Flag(flag) => _ = write!(text, "{flag}"),
        Value::Text(own) => string(text, own),
        Value::Map(settings) => map(text, settings),
        Value::List(list) => {
            text.push('[');
            for (place, item) in list.iter().enumerate() {
                if place > 0 {
                    text.push(',');
                }
                self::value(text, item);
            }
            text.push(']');
        }
    }
}

/// RFC 8259, section 7.
fn string(text: &mut String, own: &str) {
    text.push('"');
    for c in own.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if u32::from(c) < 0x20 || u32::from(c) == 0x7f => _ = write!(text, "\\u{:04x}", u32::from(c)),
            c => text.push(c),
        }
    }
    text.push('"');
}

impl PolicyError {
    /// Its problems as a JSON array of `{line, column, path, message, hint}`, for other languages.
    pub fn to_json(&self) -> String {
        let mut text = String::from("[");
        for (place, problem) in self.problems().iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            _ = write!(text, "{{\"line\":{},\"column\":{},\"path\":", problem.line, problem.column);
            string(&mut text, &problem.path);
            text.push_str(",\"message\":");
            string(&mut text, &problem.message);
            text.push_str(",\"hint\":");
            match &problem.hint {
                Some(hint) => string(&mut text, hint),
                None => text.push_str("null"),
            }
            text.push('}');
        }
        text.push(']');
        text
    }
}

impl Change {
    /// Changes as a JSON array of `{path, before, after}`, for other languages.
    pub fn list_to_json(changes: &[Self]) -> String {
        let mut text = String::from("[");
        for (place, change) in changes.iter().enumerate() {
            text.push_str(if place > 0 { ",{\"path\":" } else { "{\"path\":" });
            string(&mut text, &change.path);
            for (name, own) in [(",\"before\":", &change.before), (",\"after\":", &change.after)] {
                text.push_str(name);
                match own {
                    Some(own) => string(&mut text, own),
                    None => text.push_str("null"),
                }
            }
            text.push('}');
        }
        text.push(']');
        text
    }
}
