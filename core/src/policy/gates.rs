//! `[gates]`.

use super::config::{Names, mode, put_mode};
use super::section::Section;
use super::value::{Settings, Value};
use crate::error::shortened;
use crate::gate::{MOST_DEPENDENCIES, Outcome, Outcomes};
use crate::http::AccessList;
use crate::limit::LimitSet;
use crate::mode::Mode;
use crate::setting::POLICY;
use crate::shed::Priority;

/// A gate, as a file says it: the names of its parts, and what it has of its own.
#[derive(Clone, Debug, Default)]
pub struct GatePolicy {
    /// Who passes uncounted, and who is always refused.
    pub access: Option<AccessList>,
    /// A load shedder.
    pub shedder: Option<String>,
    /// A queue.
    pub queue: Option<String>,
    /// A concurrency limit.
    pub concurrency: Option<String>,
    /// Rate limits, the narrow ones first.
    pub limits: Vec<String>,
    /// Breakers.
    pub dependencies: Vec<String>,
    /// After which outcomes a cost comes back.
    pub refund_on: Outcomes,
    /// What calls of a route are worth, the first that fits: `("POST /orders", Critical)`. For adapters, which know
    /// the route of a request.
    pub priority: Vec<(String, Priority)>,
    /// Off, or only watching.
    pub mode: Mode,
}

const PARTS: [&str; 5] = ["limits", "shedder", "concurrency", "queue", "dependencies"];

/// The section of the parts that a key of `use` names.
const SECTIONS: [(&str, &str); 5] = [
    ("limits", "limits"),
    ("shedder", "shedders"),
    ("concurrency", "concurrency"),
    ("queue", "queues"),
    ("dependencies", "breakers"),
];

/// A gate as it was written, and what it is made from. `names`: those that a section has.
pub(super) fn read(section: &Section<'_, '_>, names: &Names) -> (Settings, Option<GatePolicy>) {
    section.check_keys(&["use", "access", "priority", "refund_on", "enabled", "dry_run"]);
    let before = section.report.count();
    let (mut given, mut gate) = (Settings::default(), GatePolicy::default());
    let example = "a table of the parts, such as { limits = [\"everyone\"], concurrency = \"database\" }";
    if let Some(parts) = section.table("use", example) {
        parts.check_keys(&PARTS);
        let mut used = Settings::default();
        for (key, of) in SECTIONS {
            if parts.find(key).is_none() {
                continue;
            }
            match key {
                "limits" | "dependencies" => {
                    let listed = parts.texts(key, &format!("a list of names of [{of}]")).unwrap_or_default();
                    check_listed(&parts, key, of, &listed, names);
                    used.put(key, listed.clone());
                    *(if key == "limits" { &mut gate.limits } else { &mut gate.dependencies }) = listed;
                }
                _ => {
                    let Some(name) = parts.text(key, &format!("a name of [{of}]")) else { continue };
                    if !names.has(of, &name) {
                        names.tell(&parts, key, of, &name);
                    }
                    used.put(key, name.as_str());
                    *(match key {
                        "shedder" => &mut gate.shedder,
                        "queue" => &mut gate.queue,
                        _ => &mut gate.concurrency,
                    }) = Some(name);
                }
            }
        }
        given.put("use", used);
    }
    access(section, &mut given, &mut gate);
    priority(section, &mut given, &mut gate);
    if let Some(listed) = section.texts("refund_on", "a list of outcomes, such as [\"failure\"]") {
        for name in &listed {
            match Outcome::ALL.into_iter().find(|outcome| outcome.name() == name) {
                Some(outcome) => gate.refund_on = gate.refund_on.with(outcome),
                None => {
                    let known = Outcome::ALL.map(Outcome::name);
                    let message = format!("{:?} is none of {}", shortened(name), known.join(", "));
                    section.wrong("refund_on", message, section.report.near(name, known));
                }
            }
        }
        given.put("refund_on", listed);
    }
    put_mode(section, &mut given);
    gate.mode = mode(&given);
    (given, (section.report.count() == before).then_some(gate))
}

fn check_listed(parts: &Section<'_, '_>, key: &str, of: &str, listed: &[String], names: &Names) {
    let most = if key == "limits" { LimitSet::MAX_MEMBERS } else { MOST_DEPENDENCIES };
    if listed.len() > most {
        parts.wrong(key, format!("{} are given; a gate has at most {most}", listed.len()), None);
    }
    for (place, name) in listed.iter().enumerate() {
        if !names.has(of, name) {
            names.tell(parts, key, of, name);
        }
        // One too many is told above.
        if listed[..place.min(most)].contains(name) {
            parts.wrong(key, format!("{:?} stands there twice; leave one out", shortened(name)), None);
        }
    }
}

fn access(section: &Section<'_, '_>, given: &mut Settings, gate: &mut GatePolicy) {
    let example = "a table of lists, such as { allow = [\"10.0.0.0/8\"], deny = [\"key:mallory\"] }";
    let Some(table) = section.table("access", example) else { return };
    table.check_keys(&["allow", "deny"]);
    let list = |key: &str| table.texts(key, "a list of addresses, networks and key:…").unwrap_or_default();
    let (allow, deny) = (list("allow"), list("deny"));
    match AccessList::new(allow.iter().map(String::as_str), deny.iter().map(String::as_str)) {
        Ok(made) => gate.access = Some(made),
        Err(error) => table.wrong(error.field(), error.message_in(&POLICY), None),
    }
    let mut told = Settings::default();
    for (key, listed) in [("allow", allow), ("deny", deny)] {
        if table.find(key).is_some() {
            told.put(key, listed);
        }
    }
    given.put("access", told);
}

fn priority(section: &Section<'_, '_>, given: &mut Settings, gate: &mut GatePolicy) {
    let example = "a table of routes, such as { \"POST /orders\" = \"critical\" }";
    let Some(table) = section.table("priority", example) else { return };
    let mut told = Settings::default();
    for (route, _) in table.items() {
        if !is_route(route) {
            let message = "is no route; write \"POST /orders\" (* for all methods), \"GET /users/{id}\", or \
                           \"GET /reports/*\" for all below";
            table.wrong_key(route, message, None);
        }
        let Some(name) = table.text(route, "a priority, such as \"critical\"") else { continue };
        match name.parse::<Priority>() {
            Ok(priority) => gate.priority.push((route.to_owned(), priority)),
            Err(_) => {
                let known = Priority::ALL.map(Priority::name);
                let message = format!("{:?} is none of {}", shortened(&name), known.join(", "));
                table.wrong(route, message, table.report.near(&name, known));
            }
        }
        told.put(route, name);
    }
    if !gate.priority.is_empty() && gate.shedder.is_none() {
        let message = "it is a shedder that asks for it; give use one, or leave this out";
        section.wrong_key("priority", message, None);
    }
    given.put("priority", Value::Map(told));
}

/// What adapters of all languages take as a route: a method or `*`, a path of which whole parts may be `{id}`, at its
/// end `/*` for all below. They do not agree on what `:id` means.
fn is_route(text: &str) -> bool {
    let Some((method, path)) = text.split_once(' ') else { return false };
    let is_method = method == "*" || (!method.is_empty() && method.chars().all(|c| c.is_ascii_uppercase()));
    let Some(parts) = path.strip_suffix("/*").unwrap_or(path).strip_prefix('/').or((path == "/*").then_some("")) else {
        return false;
    };
    let is_word = |name: &str| {
        let rest = name.strip_prefix(|c: char| c.is_ascii_alphabetic() || c == '_');
        rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    };
    let is_part = |part: &str| match part.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
        Some(name) => is_word(name),
        None => !part.contains(|c: char| c.is_whitespace() || "*?#{}<>:".contains(c)),
    };
    is_method && parts.split('/').all(is_part)
}
