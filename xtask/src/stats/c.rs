//! The C structs: what they say, and how they are filled. Types and places are the ABI's, so a person writes them.

use super::words::{IN_C, name};
use super::{Field, Kind, Of, Stats};
use crate::options::wrapped;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Where a struct stands, and where in the crate its module is.
const STRUCTS: [(&str, &str); 12] = [
    ("bucket", "bucket/mod"),
    ("limiter", "limiter/view"),
    ("breaker", "breaker/view"),
    ("registry", "breaker/registry"),
    ("queue", "queue/mod"),
    ("concurrency", "concurrency/view"),
    ("partition", "concurrency/partition"),
    ("retry_budget", "retry/budget"),
    ("throttle", "throttle"),
    ("shedder", "shedder"),
    ("gate", "gate"),
    ("cluster_limit", "cluster"),
];

/// Fields without a line of their own here: a breaker's `last_trip` are four, and a fault is read by a function.
const ELSEWHERE: [(&str, &str); 2] = [("breaker", "last_trip"), ("cluster_limit", "fault")];
/// The four.
const TRIP: [&str; 4] = ["has_trip", "trip_calls", "trip_failed", "trip_slow"];

/// The files, and what they have to hold.
pub(super) fn files(root: &Path, all: &[Stats]) -> Of<Vec<(PathBuf, String)>> {
    let mut fill = String::from(
        "//! What the objects of core count, as C has it: written by `cargo xtask gen write` from core's structs and\n\
         //! those here.\n\nuse crate::breaker::view::trip;\n",
    );
    let mut files = Vec::new();
    for (stats, (_, file)) in all.iter().zip(STRUCTS) {
        let path = root.join(format!("ffi/src/{file}.rs"));
        let source = std::fs::read_to_string(&path)?;
        let module = file.trim_end_matches("/mod").replace('/', "::");
        let (text, members) = described(stats, &source).map_err(|why| format!("{}: {why}", path.display()))?;
        fill += &filled(stats, &module, &members);
        files.push((path, text));
    }
    files.push((root.join("ffi/src/stats.rs"), fill));
    Ok(files)
}

/// One field in C.
struct Leaf {
    name: String,
    value: String,
    /// Its type in core.
    kind: String,
    about: String,
}

fn leaves(stats: &Stats) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for field in stats.fields.iter().filter(|field| !ELSEWHERE.contains(&(stats.object, &field.name))) {
        match &field.kind {
            Kind::Each(names) => leaves.extend(names.iter().enumerate().map(|(at, one)| Leaf {
                name: format!("{}_{}", field.prefix(), one.0),
                value: format!("it.{}[{at}]", field.place),
                kind: "u64".to_owned(),
                about: IN_C.about(stats, field, Some(one)),
            })),
            _ => leaves.push(leaf(stats, field)),
        }
    }
    leaves
}

fn leaf(stats: &Stats, field: &Field) -> Leaf {
    let place = format!("it.{}", field.place);
    let (kind, value) = match &field.kind {
        Kind::Whole(kind) => (kind.as_str(), place),
        Kind::Real => ("f64", place),
        Kind::Flag => ("bool", place),
        Kind::State => ("i32", format!("{place} as i32")),
        Kind::Duration => ("u64", format!("u64::try_from({place}.as_nanos()).unwrap_or(u64::MAX)")),
        Kind::MaybeDuration => ("u64", format!("{place}.map_or(u64::MAX, |it| it.as_nanos() as u64)")),
        Kind::Nanoseconds | Kind::Trip | Kind::Text | Kind::Each(_) => ("u64", place),
    };
    let about = IN_C.about(stats, field, None);
    let about = if field.kind == Kind::State { format!("{} One of tg_state.", about) } else { about };
    Leaf { name: name(&IN_C.dialect, &field.name, field.kind.is_span()), value, kind: kind.to_owned(), about }
}

/// The source with the lines about the fields as core has them, and the struct's members with their types.
fn described(stats: &Stats, source: &str) -> Result<(String, Vec<(String, String)>), String> {
    let (start, end) = (format!("    // <stats {}>\n", stats.object), "    // </stats>\n");
    let (before, rest) = source.split_once(&start).ok_or_else(|| format!("no `{}`", start.trim()))?;
    let (body, after) = rest.split_once(end).ok_or_else(|| format!("no `{}` after it", end.trim()))?;
    let leaves = leaves(stats);
    let (mut text, mut own, mut members) = (format!("{before}{start}"), String::new(), Vec::new());
    for line in body.lines() {
        let Some((member, kind)) = line.trim().strip_prefix("pub ").and_then(|line| line.split_once(": ")) else {
            let _ = writeln!(own, "{line}");
            continue;
        };
        match leaves.iter().find(|leaf| leaf.name == member) {
            Some(leaf) => {
                let is_number = leaf.kind == "bool" && !kind.starts_with("bool");
                let about = if is_number { format!("1 or 0. {}", leaf.about) } else { leaf.about.clone() };
                for line in wrapped(&about, crate::options::MOST - "    /// ".len()) {
                    let _ = writeln!(text, "    /// {line}");
                }
            }
            None => text += &own,
        }
        own.clear();
        let _ = writeln!(text, "{line}");
        members.push((member.to_owned(), kind.trim_end_matches(',').to_owned()));
    }
    if let Some(leaf) = leaves.iter().find(|leaf| members.iter().all(|(name, _)| *name != leaf.name)) {
        return Err(format!(
            "tg_{}_snapshot lacks {}: put `pub {}: {},` before `{}` (all but u64 and f64 in pairs, so that the struct \
             has no padding), and the name at the end of its `versioned!`",
            stats.object,
            leaf.name,
            leaf.name,
            leaf.kind,
            end.trim()
        ));
    }
    Ok((text + end + after, members))
}

/// How a struct is filled.
fn filled(stats: &Stats, module: &str, members: &[(String, String)]) -> String {
    let (leaves, object) = (leaves(stats), stats.object);
    let has_trip = members.iter().any(|(name, _)| name == TRIP[0]);
    let path = stats.path;
    let mut text = format!("\nimpl From<tidegate_core::{path}> for crate::{module}::tg_{object}_snapshot {{\n");
    let _ = writeln!(text, "    fn from(it: tidegate_core::{path}) -> Self {{");
    if has_trip {
        let _ = writeln!(text, "        let [{}] = trip(it.last_trip);", TRIP.join(", "));
    }
    let mut parts = vec!["struct_size: size_of::<Self>()".to_owned()];
    parts.extend(members.iter().map(|(name, kind)| match leaves.iter().find(|leaf| leaf.name == *name) {
        Some(leaf) if leaf.value == *name => name.clone(),
        Some(leaf) if leaf.kind == *kind => format!("{name}: {}", leaf.value),
        Some(leaf) => format!("{name}: {}.into()", leaf.value),
        None if TRIP.contains(&name.as_str()) => name.clone(),
        None => format!("{name}: 0"),
    }));
    // As rustfmt has it.
    let line = format!("        Self {{ {} }}\n", parts.join(", "));
    let apart = || format!("        Self {{\n            {},\n        }}\n", parts.join(",\n            "));
    text += &if line.len() <= crate::options::MOST + 1 { line } else { apart() };
    text + "    }\n}\n"
}
