//! A policy with all its defaults, as TOML.

use super::PolicyConfig;
use super::config::SECTIONS;
use super::duration;
use super::value::{Settings, Value};
use crate::breaker;
use crate::concurrency::{self, ADAPTIVE_SETTINGS, AdaptiveAlgorithm};
use crate::limit::{BUCKET_SETTINGS, LIMITER_SETTINGS};
use crate::queue;
use crate::retry::{self, BUDGET_SETTINGS};
use crate::setting::{Field, Preset};
use crate::shed::{self, SignalKind};

/// The settings of every object, with those that hold where they are left out.
pub(super) fn filled(config: &PolicyConfig) -> Settings {
    let mut all = Settings::default();
    all.put("version", Value::Count(1));
    all.put("scope", config.given.text("scope").unwrap_or("process"));
    for of in SECTIONS {
        let Some(section) = config.given.map(of) else { continue };
        let mut names: Vec<_> = section.iter().collect();
        names.sort_by_key(|(name, _)| *name);
        let objects = names.into_iter().filter_map(|(name, value)| match value {
            Value::Map(given) => Some((name.to_owned(), Value::Map(object(of, given)))),
            _ => None,
        });
        all.put(of, Settings(objects.collect()));
    }
    all
}

fn object(of: &str, given: &Settings) -> Settings {
    let mut all = match of {
        "limits" if given.get("key").is_some() => limiter(given),
        "limits" => of_fields(given, BUCKET_SETTINGS.fields.iter().filter(|field| field.name != "stripes")),
        "concurrency" => limit(given),
        "queues" => return of_fields(given, queue::SETTINGS.fields.iter()),
        "shedders" => shedder(given),
        "breakers" => {
            let by_time = given.get("window_duration").is_some();
            let left = move |field: &&Field| !by_time || field.name != "window_calls";
            let mut all = of_fields(given, breaker::SETTINGS.fields.iter().filter(left));
            all.put_some("retry", given.map("retry").map(retry));
            return all;
        }
        _ => gate(given),
    };
    all.put("enabled", given.flag("enabled").unwrap_or(true));
    all.put("dry_run", given.flag("dry_run").unwrap_or(false));
    all
}

fn retry(given: &Settings) -> Settings {
    let mut all = of_fields(given, retry::SETTINGS.fields.iter());
    let budget = given.map("budget").map(|given| of_fields(given, BUDGET_SETTINGS.fields.iter()));
    all.put_some("budget", budget);
    all
}

/// Each setting as it is given, else its default; one that has none is left out.
fn of_fields<'f>(given: &Settings, fields: impl Iterator<Item = &'f Field>) -> Settings {
    let mut all = Settings::default();
    for field in fields {
        // It begins nowhere where there is no ramp.
        let has_ramp = ["warm_up", "ramp"]
            .iter()
            .any(|of| field.name.strip_suffix("_from") == Some(of) && given.get(of).is_none());
        let value = given.get(field.name).cloned().or(if has_ramp { None } else { preset(field.default) });
        all.put_some(field.name, value);
    }
    all
}

fn preset(default: Preset) -> Option<Value> {
    match default {
        Preset::Required | Preset::Unset => None,
        Preset::Count(count) => Some(Value::Count(count)),
        Preset::Real(real) => Some(Value::Real(real)),
        Preset::Span(ns) => Some(Value::Span(ns)),
        Preset::Flag(flag) => Some(Value::Flag(flag)),
        Preset::Choice(text) => Some(Value::Text(text.to_owned())),
    }
}

fn limiter(given: &Settings) -> Settings {
    let plain = |field: &&Field| !field.name.starts_with("block_");
    let mut all = of_fields(given, LIMITER_SETTINGS.fields.iter().filter(plain));
    for name in ["key", "block", "tiers"] {
        let sorted = given.get(name).cloned().map(|value| match value {
            Value::Map(mut map) if name == "tiers" => {
                map.0.sort_by(|(one, _), (other, _)| one.cmp(other));
                Value::Map(map)
            }
            value => value,
        });
        all.put_some(name, sorted);
    }
    all
}

fn limit(given: &Settings) -> Settings {
    let common = ["max_waiting", "order"];
    let mut all = Settings::default();
    match given.parsed::<AdaptiveAlgorithm>("adaptive") {
        Some(algorithm) => {
            all.put("adaptive", algorithm.name());
            let made = super::concurrency::adaptive(given, algorithm);
            for field in ADAPTIVE_SETTINGS.fields.iter().filter(|field| field.name != "algorithm") {
                let own = match field.name {
                    "min_limit" => Some(Value::Count(made.min_limit.into())),
                    "initial_limit" => Some(Value::Count(made.initial_limit.into())),
                    "max_limit" => Some(Value::Count(made.max_limit.into())),
                    "tolerance" => Some(Value::Real(made.tolerance)),
                    "window" => Some(Value::Span(made.window.as_nanos() as u64)),
                    "samples" => Some(Value::Count(made.samples.into())),
                    name => given.get(name).cloned().or_else(|| preset(field.default)),
                };
                all.put_some(field.name, own);
            }
        }
        None => {
            all.put_some("limit", given.get("limit").cloned());
            all.put_some("max_limit", given.get("max_limit").or_else(|| given.get("limit")).cloned());
        }
    }
    let fields = concurrency::SETTINGS.fields.iter().filter(|field| common.contains(&field.name));
    all.0.extend(of_fields(given, fields).0);
    for name in ["partitions", "priority"] {
        all.put_some(name, given.get(name).cloned());
    }
    all
}

/// As a file says them: by kind, times with their units.
fn shedder(given: &Settings) -> Settings {
    let (mut signals, mut gauges) = (Settings::default(), Settings::default());
    if let Some(Value::List(list)) = given.get("signals") {
        for signal in list {
            let Value::Map(signal) = signal else { continue };
            let Some(kind) = signal.parsed::<SignalKind>("kind") else { continue };
            let is_time = matches!(kind, SignalKind::QueueDelay | SignalKind::LoopLag);
            let number = |name| {
                let real = signal.real(name).unwrap_or_default();
                if is_time { Value::Span((real * 1e9).round() as u64) } else { Value::Real(real) }
            };
            let range = Value::List(vec![number("start"), number("full")]);
            let of = ["queue", "concurrency"].into_iter().find_map(|of| Some((of, signal.text(of)?)));
            if let Some(name) = signal.text("name") {
                gauges.put(name, range);
                continue;
            }
            let told =
                of.map(|(of, name)| Settings(vec![(of.to_owned(), name.into()), ("range".to_owned(), range.clone())]));
            signals.put(kind.name(), told.map_or(range, Value::Map));
        }
    }
    if !gauges.0.is_empty() {
        signals.put(SignalKind::Gauge.name(), gauges);
    }
    signals.0.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut all = Settings::default();
    all.put("signals", signals);
    all.0.extend(of_fields(given, shed::SETTINGS.fields.iter()).0);
    all
}

fn gate(given: &Settings) -> Settings {
    let mut all = Settings::default();
    all.put_some("use", given.get("use").cloned());
    all.put_some("access", given.get("access").cloned());
    // In its own order: the first route that fits counts.
    all.put_some("priority", given.get("priority").cloned());
    all.put("refund_on", given.texts("refund_on"));
    all
}

/// TOML 1.0: a table for each object, what is within one on its line.
pub(super) fn toml(config: &PolicyConfig) -> String {
    let mut text = String::new();
    for (name, value) in filled(config).iter() {
        let Value::Map(section) = value else {
            text += &format!("{} = {}\n", key(name), inline(value));
            continue;
        };
        for (object, value) in section.iter() {
            text += &format!("\n[{name}.{}]\n", key(object));
            let Value::Map(settings) = value else { continue };
            for (name, value) in settings.iter() {
                text += &format!("{} = {}\n", key(name), inline(value));
            }
        }
    }
    text
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { quoted(name) }
}

pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::Count(count) => count.to_string(),
        // TOML has no exponent without a fraction before it that all of its readers take.
        Value::Real(real) => format!("{real:?}"),
        Value::Span(ns) => format!("\"{}\"", duration::text(*ns)),
        Value::Flag(flag) => flag.to_string(),
        Value::Text(text) => string(text),
        Value::List(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Map(map) if map.0.is_empty() => "{}".to_owned(),
        Value::Map(map) => {
            let pairs: Vec<_> = map.iter().map(|(name, value)| format!("{} = {}", key(name), inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
    }
}

/// A text of a value; a dollar is written twice, for it begins a variable.
fn string(text: &str) -> String {
    quoted(&text.replace('$', "$$"))
}

/// A basic string.
fn quoted(text: &str) -> String {
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            c if c.is_control() => written += &format!("\\u{:04X}", u32::from(c)),
            c => written.push(c),
        }
    }
    written + "\""
}
