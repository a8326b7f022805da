//! What objects count. The structs `…Stats` of core are the description: their fields, the types and the line about
//! each. From them follow Python's classes and stubs, Node's objects and types, what the C structs say and how they are
//! filled, and `docs/stats.md`.
//!
//! A new field is written in core, and `cargo xtask gen write` does the rest but for the place in the C struct: that is
//! part of the ABI, so a person puts it at the end, and this says so.

mod c;
mod node;
mod page;
mod python;
mod words;

use std::error::Error;
use std::path::{Path, PathBuf};
use tidegate::gate::Kind as GateKind;
use tidegate::queue::DropReason;
use tidegate::shed::Priority;

pub(crate) use node::interface;
pub(crate) use python::stub;

/// What one kind of object counts.
pub(crate) struct Stats {
    /// As `TABLES` of settings and the C names call it: `bucket`.
    pub(crate) object: &'static str,
    /// What it is of, in documents.
    title: &'static str,
    /// The path of the struct in Rust.
    path: &'static str,
    about: String,
    fields: Vec<Field>,
}

struct Field {
    /// In Rust, without the unit.
    name: String,
    /// Where it lies in the struct.
    place: String,
    kind: Kind,
    about: String,
}

/// What a field holds.
#[derive(Clone, PartialEq)]
enum Kind {
    /// `u32`, `u64` or `usize`.
    Whole(String),
    Real,
    Flag,
    /// Nanoseconds; `NEVER` is "never".
    Nanoseconds,
    Duration,
    /// Nothing where it is not measured.
    MaybeDuration,
    /// A state of a breaker.
    State,
    /// What opened a breaker, if something did.
    Trip,
    /// A text, if there is one.
    Text,
    /// One count for each of these: its name, and a line about it.
    Each(Vec<(&'static str, String)>),
}

impl Kind {
    fn is_span(&self) -> bool {
        matches!(self, Self::Nanoseconds | Self::Duration | Self::MaybeDuration)
    }
}

impl Stats {
    /// The name of the struct, and of the class in Python.
    fn class(&self) -> &'static str {
        self.path.rsplit("::").next().unwrap_or(self.path)
    }
}

impl Field {
    /// Of one count for each of some names: what a language without a name for all puts before each.
    fn prefix(&self) -> &str {
        self.name.trim_end_matches("_by")
    }
}

/// An object, its title, the file in core and the struct's path.
const OBJECTS: [(&str, &str, &str, &str); 12] = [
    ("bucket", "Token bucket", "limit/bucket/types", "limit::BucketStats"),
    ("limiter", "Limit per key", "limit/keyed/mod", "limit::LimiterStats"),
    ("breaker", "Circuit breaker", "breaker/state", "breaker::BreakerStats"),
    ("registry", "Breakers by key", "breaker/registry/mod", "breaker::registry::RegistryStats"),
    ("queue", "Bounded queue", "queue/mod", "queue::QueueStats"),
    ("concurrency", "Concurrency limit", "concurrency/stats", "concurrency::ConcurrencyStats"),
    ("partition", "Partition of a concurrency limit", "concurrency/partitioned", "concurrency::PartitionStats"),
    ("retry_budget", "Retry budget", "retry/budget/mod", "retry::RetryBudgetStats"),
    ("throttle", "Client throttle", "throttle/mod", "throttle::ClientThrottleStats"),
    ("shedder", "Load shedder", "shed/report", "shed::ShedderStats"),
    ("gate", "Gate", "gate/stats", "gate::GateStats"),
    ("cluster_limit", "Cluster limit", "lease/limit", "lease::ClusterStats"),
];

/// Fields that only Rust has: a partition's name is the key under which others find it, and a moment of a lease's clock
/// says nothing to who has no such clock.
const RUST_ONLY: [(&str, &str); 2] = [("partition", "name"), ("cluster_limit", "answered_ns")];

/// All of them, as core's sources say.
pub(crate) fn all(root: &Path) -> Result<Vec<Stats>, Box<dyn Error>> {
    OBJECTS.iter().map(|object| described(root, object)).collect()
}

fn described(
    root: &Path,
    &(object, title, file, path): &(&'static str, &'static str, &str, &'static str),
) -> Of<Stats> {
    let mut stats = Stats { object, title, path, about: String::new(), fields: Vec::new() };
    let (about, members) = members(root, file, stats.class())?;
    stats.about = about;
    for member in members {
        if member.name == "health" {
            for part in self::members(root, "lease/health", "LeaseHealth")?.1 {
                stats.take(root, Member { place: format!("health.{}", part.name), ..part })?;
            }
        } else {
            stats.take(root, member)?;
        }
    }
    Ok(stats)
}

type Of<T> = Result<T, Box<dyn Error>>;

/// A field as it stands in the source.
struct Member {
    name: String,
    place: String,
    kind: String,
    about: String,
}

impl Stats {
    fn take(&mut self, root: &Path, Member { name, place, kind, about }: Member) -> Result<(), Box<dyn Error>> {
        if RUST_ONLY.contains(&(self.object, &name)) {
            return Ok(());
        }
        let kind = match (kind.as_str(), name.as_str()) {
            ("u64", _) if name.ends_with("_ns") => Kind::Nanoseconds,
            ("u32" | "u64" | "usize", _) => Kind::Whole(kind),
            ("f64", _) => Kind::Real,
            ("bool", _) => Kind::Flag,
            ("Duration", _) => Kind::Duration,
            ("Option<Duration>", _) => Kind::MaybeDuration,
            ("State", _) => Kind::State,
            ("Option<Trip>", _) => Kind::Trip,
            ("Option<String>", _) => Kind::Text,
            (_, "denied_by") => Kind::Each(variants(root, "gate/part", "Kind", &GateKind::ALL.map(GateKind::name))?),
            (_, "dropped_by") => {
                Kind::Each(variants(root, "queue/judge", "DropReason", &DropReason::ALL.map(DropReason::name))?)
            }
            (_, "shed") => Kind::Each(variants(root, "shed/priority", "Priority", &Priority::ALL.map(Priority::name))?),
            _ => return Err(format!("{}: xtask knows no other language's type for {kind}", self.path).into()),
        };
        if about.is_empty() {
            return Err(format!("{}: {name} has no line about it", self.path).into());
        }
        self.fields.push(Field { name: name.trim_end_matches("_ns").to_owned(), place, kind, about });
        Ok(())
    }
}

/// The text about a struct of core, and its public fields. The source is as rustfmt leaves it.
fn members(root: &Path, file: &str, name: &str) -> Of<(String, Vec<Member>)> {
    let path = root.join(format!("core/src/{file}.rs"));
    let source = std::fs::read_to_string(&path)?;
    let start = format!("pub struct {name} {{\n");
    let (before, rest) = source.split_once(&start).ok_or_else(|| format!("{}: no {name}", path.display()))?;
    let (body, _) = rest.split_once("\n}").ok_or("a struct ends")?;
    let above = before.lines().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut about: Vec<_> = above.filter_map(|line| line.strip_prefix("///")).map(str::trim).collect();
    about.reverse();
    let (mut members, mut line_about) = (Vec::new(), Vec::new());
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            line_about.push(text.trim());
        } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|line| line.split_once(": ")) {
            let about = std::mem::take(&mut line_about).join(" ");
            let kind = kind.trim_end_matches(',').to_owned();
            members.push(Member { name: name.to_owned(), place: name.to_owned(), kind, about });
        }
    }
    Ok((about.join(" "), members))
}

/// The names of an enum's values, as its `ALL` has them, with the lines about them.
fn variants(root: &Path, file: &str, name: &str, names: &[&'static str]) -> Of<Vec<(&'static str, String)>> {
    let path = root.join(format!("core/src/{file}.rs"));
    let source = std::fs::read_to_string(&path)?;
    let start = format!("pub enum {name} {{\n");
    let (_, rest) = source.split_once(&start).ok_or_else(|| format!("{}: no {name}", path.display()))?;
    let (body, _) = rest.split_once("\n}").ok_or("an enum ends")?;
    let abouts: Vec<_> = body.lines().filter_map(|line| line.trim().strip_prefix("/// ")).map(str::to_owned).collect();
    if abouts.len() != names.len() {
        return Err(format!("{}: each {name} has one line about it", path.display()).into());
    }
    Ok(names.iter().copied().zip(abouts).collect())
}

/// The files, and what they have to hold.
pub(crate) fn files(root: &Path) -> Of<Vec<(PathBuf, String)>> {
    let all = all(root)?;
    let mut files = c::files(root, &all)?;
    files.extend([
        (root.join("bindings-python/src/stats/core.rs"), python::classes(&all)),
        (root.join("bindings-node/src/stats.rs"), node::written(&all)),
        (root.join("bindings-node/lib/stats.cjs"), node::read(&all)),
        (root.join("docs/stats.md"), page::text(&all)),
    ]);
    Ok(files)
}
