//! What Node's objects say: the numbers that the binary writes, how JavaScript reads them, and the types.

use super::words::{IN_NODE, camel, name};
use super::{Field, Kind, Stats};
use crate::options::{MOST, documented};

/// Objects of which JavaScript has one record for all names, and the type of its keys.
const RECORDS: [(&str, &str); 2] = [("gate", "GateKind"), ("shedder", "Priority")];

fn record(stats: &Stats) -> Option<&'static str> {
    RECORDS.iter().find(|(object, _)| *object == stats.object).map(|(_, keys)| *keys)
}

/// `bindings-node/src/stats.rs`.
pub(super) fn written(all: &[Stats]) -> String {
    let mut text = String::from(
        "//! What the objects of core count, as the numbers that `lib/stats.cjs` reads: written by `cargo xtask gen\n\
         //! write` from core's structs.\n\n\
         use crate::breaker::trip;\nuse crate::convert::ms;\nuse std::time::Duration;\n\n\
         fn millis(duration: Duration) -> f64 {\n    ms(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))\n}\n",
    );
    for stats in all {
        let values: Vec<_> = stats.fields.iter().flat_map(values).collect();
        let (object, path, count) = (stats.object, stats.path, values.len());
        text += &format!("\npub(crate) fn {object}(it: &tidegate::{path}) -> [f64; {count}] {{\n");
        if stats.fields.iter().any(|field| field.kind == Kind::Trip) {
            text += "    let trip = trip(it.last_trip);\n";
        }
        // As rustfmt has it.
        let line = format!("    [{}]\n", values.join(", "));
        text += &if line.len() <= MOST + 1 {
            line
        } else {
            format!("    [\n        {},\n    ]\n", values.join(",\n        "))
        };
        text += "}\n";
    }
    text
}

/// The numbers of a field. A text is told apart.
fn values(field: &Field) -> Vec<String> {
    let place = format!("it.{}", field.place);
    match &field.kind {
        Kind::Whole(_) => vec![format!("{place} as f64")],
        Kind::Real => vec![place],
        Kind::Flag => vec![format!("f64::from({place})")],
        Kind::Nanoseconds => vec![format!("ms({place})")],
        Kind::Duration => vec![format!("millis({place})")],
        Kind::MaybeDuration => vec![format!("{place}.map_or(f64::NAN, millis)")],
        Kind::State => vec![format!("f64::from({place} as u32)")],
        Kind::Trip => (0..4).map(|at| format!("trip[{at}]")).collect(),
        Kind::Each(names) => (0..names.len()).map(|at| format!("{place}[{at}] as f64")).collect(),
        Kind::Text => Vec::new(),
    }
}

/// `bindings-node/lib/stats.cjs`.
pub(super) fn read(all: &[Stats]) -> String {
    let mut text = String::from(
        "'use strict';\n\
         // What objects count, of what src/stats.rs wrote, and of a text: written by `cargo xtask gen write`\n\
         // from core's structs.\n\nconst { NAMES } = require('./settings.cjs');\n\
         const { tripAt } = require('./trip.cjs');\n\n\
         const orNothing = (value) => (Number.isNaN(value) ? undefined : value);\n\n\
         module.exports = {\n",
    );
    for stats in all {
        let has_text = stats.fields.iter().any(|field| field.kind == Kind::Text);
        text += &format!("  {}: (n{}) => ({{\n", camel(stats.object), if has_text { ", text" } else { "" });
        let mut at = 0;
        for field in &stats.fields {
            for (name, value) in members(stats, field, at) {
                text += &format!("    {name}: {value},\n");
            }
            at += values(field).len();
        }
        text += "  }),\n";
    }
    text + "};\n"
}

/// The members of a field, and what they are made of.
fn members(stats: &Stats, field: &Field, at: usize) -> Vec<(String, String)> {
    let member = name(&IN_NODE.dialect, &field.name, field.kind.is_span());
    let value = match &field.kind {
        Kind::Whole(_) | Kind::Real | Kind::Nanoseconds | Kind::Duration => format!("n[{at}]"),
        Kind::Flag => format!("n[{at}] === 1"),
        Kind::MaybeDuration => format!("orNothing(n[{at}])"),
        Kind::State => format!("NAMES.states[n[{at}]]"),
        Kind::Trip => format!("tripAt(n, {at})"),
        Kind::Text => "text".to_owned(),
        Kind::Each(names) => {
            let each = names.iter().enumerate().map(|(index, (name, _))| (*name, format!("n[{}]", at + index)));
            if record(stats).is_some() {
                let parts: Vec<_> = each.map(|(name, value)| format!("\n      {}: {value},", camel(name))).collect();
                format!("{{{}\n    }}", parts.concat())
            } else {
                return each.map(|(name, value)| (camel(&format!("{}_{name}", field.prefix())), value)).collect();
            }
        }
    };
    vec![(member, value)]
}

/// What stands in an interface of `index.d.ts`.
pub(crate) fn interface(stats: &Stats, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for field in &stats.fields {
        let member = name(&IN_NODE.dialect, &field.name, field.kind.is_span());
        let what = match (&field.kind, record(stats)) {
            (Kind::Whole(_) | Kind::Real | Kind::Nanoseconds | Kind::Duration, _) => "number".to_owned(),
            (Kind::Flag, _) => "boolean".to_owned(),
            (Kind::MaybeDuration, _) => "number | undefined".to_owned(),
            (Kind::State, _) => "BreakerState".to_owned(),
            (Kind::Trip, _) => "BreakerTrip | null".to_owned(),
            (Kind::Text, _) => "string | undefined".to_owned(),
            (Kind::Each(_), Some(keys)) => format!("Record<{keys}, number>"),
            (Kind::Each(names), None) => {
                for one in names {
                    lines.extend(documented(&IN_NODE.about(stats, field, Some(one)), indent));
                    lines.push(format!("{}: number;", camel(&format!("{}_{}", field.prefix(), one.0))));
                }
                continue;
            }
        };
        lines.extend(documented(&IN_NODE.about(stats, field, None), indent));
        lines.push(format!("{member}: {what};"));
    }
    lines
}
