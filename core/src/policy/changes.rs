//! What another file would change.

use super::config::SECTIONS;
use super::filled::{filled, inline};
use super::section::joined;
use super::value::{Settings, Value};
use super::{MOST_PROBLEMS, PolicyConfig, PolicyError, Problem};
use std::collections::BTreeMap;
use std::fmt;

/// One thing that another file says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Of an object, or of one of its settings: `"limits.client.rate"`.
    pub path: String,
    /// What holds now, as the file writes it; `None`: there is none.
    pub before: Option<String>,
    /// What is to hold; `None`: nothing.
    pub after: Option<String>,
    /// Whether a reload does it, and keeps the object with its state; else it needs a new object.
    pub in_place: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.in_place { "" } else { "; needs a new object" };
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{}: {before} becomes {after}{how}", self.path),
            (None, Some(after)) if after.is_empty() => write!(f, "{}: is added{how}", self.path),
            (None, Some(after)) => write!(f, "{}: becomes {after}{how}", self.path),
            (Some(before), None) if before.is_empty() => write!(f, "{}: is no longer there{how}", self.path),
            (before, None) => write!(f, "{}: is no longer {}{how}", self.path, before.as_deref().unwrap_or_default()),
        }
    }
}

impl PolicyConfig {
    /// What a reload with `after` does, where objects of all names of `known` are there.
    ///
    /// Errors: all changes that need a new object, of one that comes back too.
    pub(super) fn changes_in_place(&self, known: &Self, after: &Self) -> Result<Vec<Change>, PolicyError> {
        let changes = known.changes(after);
        let refused: Vec<_> = changes.iter().filter(|change| !change.in_place).collect();
        if refused.is_empty() {
            return Ok(self.changes(after));
        }
        let problems = refused.iter().map(|change| {
            let object: Vec<_> = change.path.splitn(3, '.').take(2).collect();
            let (line, column) = after.places.get(&object.join(".")).copied().unwrap_or_default();
            let [before, after] = [&change.before, &change.after].map(|it| it.as_deref().unwrap_or("nothing"));
            let message = format!(
                "{before} cannot become {after} in place: it needs a new object; start the program anew with this \
                 file, of which nothing was applied"
            );
            Problem { line, column, path: change.path.clone(), message, hint: None }
        });
        let more = refused.len().saturating_sub(MOST_PROBLEMS);
        Err(PolicyError::new(problems.take(MOST_PROBLEMS).collect(), more))
    }

    /// This, and of each name that `known` has beside it what that says: what its object is as, since it left the file.
    pub(super) fn with_gone(&self, known: &Self) -> Self {
        fn join<T: Clone>(own: &mut BTreeMap<String, T>, known: &BTreeMap<String, T>) {
            for (name, settings) in known {
                own.entry(name.clone()).or_insert_with(|| settings.clone());
            }
        }
        let mut all = self.clone();
        join(&mut all.limits, &known.limits);
        join(&mut all.concurrency, &known.concurrency);
        join(&mut all.queues, &known.queues);
        join(&mut all.shedders, &known.shedders);
        join(&mut all.breakers, &known.breakers);
        // A breaker's, which one that is there may have lost.
        let gone = known.retries.iter().filter(|(name, _)| !self.breakers.contains_key(*name));
        all.retries.extend(gone.map(|(name, own)| (name.clone(), *own)));
        join(&mut all.gates, &known.gates);
        for of in SECTIONS {
            let mut section = self.given.map(of).cloned().unwrap_or_default();
            let before = known.given.map(of).map(Settings::iter).into_iter().flatten();
            let gone: Vec<_> = before.filter(|(name, _)| section.get(name).is_none()).collect();
            section.0.extend(gone.into_iter().map(|(name, value)| (name.to_owned(), value.clone())));
            all.given.0.retain(|(own, _)| own != of);
            all.given.put(of, section);
        }
        all
    }

    /// What a reload with `after` would do, in the order of the sections and names.
    pub fn changes(&self, after: &Self) -> Vec<Change> {
        let (old, new) = (filled(self), filled(after));
        let mut changes = Vec::new();
        let scopes = [&old, &new].map(|it| it.get("scope").map(inline));
        if let [before, after] = scopes
            && before != after
        {
            changes.push(Change { path: "scope".to_owned(), before, after, in_place: false });
        }
        for of in SECTIONS {
            let none = Settings::default();
            let (old, new) = (old.map(of).unwrap_or(&none), new.map(of).unwrap_or(&none));
            for name in names(old, new) {
                let path = joined(of, name);
                match (old.map(name), new.map(name)) {
                    (Some(old), Some(new)) => {
                        let given = [self, after].map(|it| it.given.map(of).and_then(|it| it.map(name)));
                        // What a limit was made with decides, not what a file said since.
                        let most = self.concurrency.get(name).map_or(0, |limit| limit.max_limit.into());
                        of_object(of, &path, (old, new), (given, most), &mut changes);
                    }
                    // Who holds an object keeps it.
                    (Some(_), None) => {
                        changes.push(Change { path, before: Some(String::new()), after: None, in_place: true });
                    }
                    _ => changes.push(Change { path, before: None, after: Some(String::new()), in_place: true }),
                }
            }
        }
        changes
    }
}

/// Those of both, each once.
fn names<'s>(old: &'s Settings, new: &'s Settings) -> Vec<&'s str> {
    let mut names: Vec<_> = old.iter().chain(new.iter()).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn of_object(
    of: &str,
    path: &str,
    (old, new): (&Settings, &Settings),
    (given, most): ([Option<&Settings>; 2], u64),
    changes: &mut Vec<Change>,
) {
    let is_left_out = |name: &str| given.iter().flatten().all(|given| given.get(name).is_none());
    let names = names(old, new);
    // A limit of another kind is another object, whatever else it says.
    let is_another = ["key", "limit", "adaptive", "window_duration"].into_iter().any(|kind| {
        let is_kind = of != "breakers" || kind == "window_duration";
        is_kind && old.get(kind).is_some() != new.get(kind).is_some()
    });
    for name in names {
        let (before, after) = (old.get(name), new.get(name));
        // What a limit may be raised to follows it where that is not said, and stays.
        if before == after || (of == "concurrency" && name == "max_limit" && is_left_out(name)) {
            continue;
        }
        let in_place = !is_another
            && match of {
                "limits" if old.get("key").is_some() => ["rate", "burst", "queue", "tiers", "key"].contains(&name),
                "limits" => ["rate", "burst"].contains(&name),
                "concurrency" if name == "limit" => new.count(name).is_some_and(|limit| limit <= most),
                // Of calls that wait, each partition has a line of its own.
                "concurrency" => name == "partitions" && has_same_keys(before, after),
                // In the same signals, of the same things.
                "shedders" if name == "signals" => watched(before) == watched(after),
                "shedders" => TUNED.contains(&name),
                // A retry policy is a value that many may hold.
                "breakers" => name != "retry",
                // Adapters look it up with each request.
                "gates" => name == "priority",
                _ => false,
            };
        let [before, after] = [before, after].map(|value: Option<&Value>| value.map(inline));
        changes.push(Change { path: joined(path, name), before, after, in_place });
    }
}

/// What of a shedder is changed in place, beside the ranges of its signals.
const TUNED: [&str; 6] = ["rise", "fall", "min_admit", "critical_at", "critical_after", "cool_off"];

fn has_same_keys(before: Option<&Value>, after: Option<&Value>) -> bool {
    let (Some(Value::Map(before)), Some(Value::Map(after))) = (before, after) else { return false };
    before.iter().map(|(key, _)| key).eq(after.iter().map(|(key, _)| key))
}

/// Signals without their ranges.
fn watched(signals: Option<&Value>) -> Option<Vec<String>> {
    let Some(Value::Map(signals)) = signals else { return None };
    let told = |(kind, value): (&str, &Value)| {
        let Value::Map(own) = value else { return kind.to_owned() };
        let own = own.iter().filter(|(key, _)| *key != "range");
        own.fold(kind.to_owned(), |told, (key, value)| match value {
            Value::Text(of) => format!("{told} {key} {of}"),
            _ => format!("{told} {key}"),
        })
    };
    Some(signals.iter().map(told).collect())
}
