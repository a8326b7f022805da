//! The settings of every object, as core describes them: told to `lib/settings.cjs` at load, and read from the block
//! by their descriptions.

use crate::convert::duration;
use crate::io::Io;
use crate::raw::Kind as Exports;
use std::fmt::Write;
use std::time::Duration;
use tidegate::ConfigError;
use tidegate::config::{Field, Kind, NODE, Preset, TABLES, names};

/// The longest time in nanoseconds that the core can express: 2^64 of them.
const LONGEST_MS: f64 = 1.8e13;

/// A whole number of a setting, which JavaScript knows to be a finite one.
pub(crate) fn whole(io: Io, at: usize, field: &Field) -> Result<u64, ConfigError> {
    let value = io.get(at);
    if value.fract() != 0.0 || !(0.0..=9_007_199_254_740_991.0).contains(&value) {
        return Err(field.outside(value, "; give a whole number"));
    }
    field.check_count(value as u64, "")?;
    Ok(value as u64)
}

/// A span of time of a setting; what no `Duration` holds is told as it was written, the rest is the core's to check.
pub(crate) fn span(io: Io, at: usize, field: &Field) -> Result<Duration, ConfigError> {
    let ms = io.get(at);
    if (0.0..=LONGEST_MS).contains(&ms) { Ok(duration(ms)) } else { Err(field.outside(format!("{ms} ms"), "")) }
}

/// Exports `describe`, all tables as JSON, and `names`, the texts of states, events and their like.
pub(crate) fn export(kind: &Exports<()>) -> napi::Result<()> {
    kind.operation("describe", |_, _, call| call.string(&described()))?;
    kind.operation("names", |_, _, call| call.string(&named()))?;
    Ok(())
}

/// `{"queue":{"capacity":{"name":"capacity","wanted":"…","range":"…","default":…,"texts":[…]},…},…}`: `default` is
/// null where there is none, and left out where the setting must be given.
fn described() -> String {
    let tables = TABLES.iter().map(|table| {
        let fields = table.fields.iter().map(|field| format!("{:?}:{}", field.name, one(field)));
        format!("{:?}:{{{}}}", table.object, fields.collect::<Vec<_>>().join(","))
    });
    format!("{{{}}}", tables.collect::<Vec<_>>().join(","))
}

/// `{"states":["closed",…],…}`
fn named() -> String {
    let lists = names().map(|(what, texts)| format!("{what:?}:{texts:?}"));
    format!("{{{}}}", lists.join(","))
}

/// Debug's quotes are JSON's for what these tables hold, plain ASCII.
fn one(field: &Field) -> String {
    let (name, wanted, range) = (field.name(&NODE), field.wanted(&NODE), field.range(&NODE));
    let mut json = format!("{{\"name\":{name:?},\"wanted\":{wanted:?},\"range\":{range:?}");
    let default = match field.default {
        Preset::Count(count) => count.to_string(),
        Preset::Real(real) => real.to_string(),
        Preset::Span(ns) => (ns as f64 / 1e6).to_string(),
        Preset::Flag(flag) => flag.to_string(),
        Preset::Choice(text) => format!("{text:?}"),
        _ => "null".to_owned(),
    };
    if field.default != Preset::Required {
        let _ = write!(json, ",\"default\":{default}");
    }
    match field.kind {
        Kind::Choice(texts) => drop(write!(json, ",\"texts\":{texts:?}")),
        Kind::Count { min, max } => drop(write!(json, ",\"min\":{min},\"max\":{max}")),
        _ => {}
    }
    json + "}"
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_told_is_ascii() {
        assert!(super::described().is_ascii() && super::named().is_ascii());
    }
}
