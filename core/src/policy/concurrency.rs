//! `[concurrency]`.

use super::section::Section;
use super::value::{Settings, Value};
use crate::concurrency::{
    ADAPTIVE_SETTINGS, AdaptiveAlgorithm, AdaptiveConfig, ConcurrencyConfig, Partitions, SETTINGS,
};
use crate::setting::{Field, Preset};
use toml::de::DeValue;

/// What both kinds have.
const COMMON: [&str; 6] = ["max_waiting", "order", "partitions", "priority", "enabled", "dry_run"];
const ADAPTIVE: &str = "adaptive";

fn of_fixed() -> impl Iterator<Item = &'static Field> {
    SETTINGS.fields.iter().filter(|field| !COMMON.contains(&field.name))
}

fn of_adaptive() -> impl Iterator<Item = &'static Field> {
    ADAPTIVE_SETTINGS.fields.iter().filter(|field| field.name != "algorithm")
}

/// A limit as it was written, and what it is made from.
pub(super) fn read(section: &Section<'_, '_>) -> (Settings, Option<ConcurrencyConfig>) {
    let (has_limit, is_adaptive) = (section.find("limit").is_some(), section.find(ADAPTIVE).is_some());
    let fixed: Vec<_> = of_fixed().map(|field| field.name).collect();
    let adaptive: Vec<_> = of_adaptive().map(|field| field.name).filter(|name| !fixed.contains(name)).collect();
    let before = section.report.count();
    section.check_keys(&[&fixed[..], &[ADAPTIVE], &adaptive[..], &COMMON[..]].concat());
    for (key, _) in section.items() {
        if !is_adaptive && adaptive.contains(&key) {
            let message = "is of a limit that adapts; say adaptive = \"gradient\" instead of limit, or leave this out";
            section.wrong_key(key, message, None);
        }
    }
    match (has_limit, is_adaptive) {
        (true, true) => {
            section.wrong_key("limit", "an adaptive limit moves by itself; leave this out, or adaptive", None);
        }
        (false, false) => {
            let message = "must be given: limit, a whole number, 1 to 4096, or adaptive, such as \"gradient\"";
            section.report.add(section.at, &section.path, message, None);
        }
        _ => {}
    }
    let algorithm = ADAPTIVE_SETTINGS.field("algorithm");
    let mut given = Settings::default();
    if is_adaptive {
        given.put_some(ADAPTIVE, section.field(ADAPTIVE, algorithm));
        given.0.extend(section.fields(of_adaptive().map(|field| (field.name, field))).0);
    } else {
        // Said above where it is missing.
        let optional = |field: &'static Field| Field { default: Preset::Unset, ..*field };
        for field in of_fixed().map(optional) {
            given.put_some(field.name, section.field(field.name, &field));
        }
    }
    for field in SETTINGS.fields.iter().filter(|field| COMMON.contains(&field.name)) {
        given.put_some(field.name, section.field(field.name, field));
    }
    let partitions = partitions(section, &mut given);
    super::config::put_mode(section, &mut given);
    if section.report.count() > before {
        return (given, None);
    }
    let config = config(&given, partitions);
    match config.check() {
        Ok(()) => (given, Some(config)),
        Err(error) => {
            section.told(&error, str::to_owned);
            (given, None)
        }
    }
}

fn partitions(section: &Section<'_, '_>, given: &mut Settings) -> Partitions {
    let mut shares = Vec::new();
    if let Some(table) = section.table("partitions", "a table of names and shares, such as { live = 0.9, batch = 0.1 }")
    {
        for (name, value) in table.items() {
            let share = match value.get_ref() {
                DeValue::Float(share) => share.as_str().parse().ok(),
                DeValue::Integer(share) => share.as_str().parse().ok(),
                _ => None,
            };
            match share {
                Some(share) => shares.push((name.to_owned(), share)),
                None => table.mistyped(name, "a share of the limit, a number above 0 and up to 1"),
            }
        }
    }
    let priority = section.texts("priority", "a list of names of partitions").unwrap_or_default();
    let made = Partitions::new(shares.iter().map(|(name, share)| (name, *share)));
    let made = made.and_then(|all: Partitions| all.with_priority(&priority));
    if !shares.is_empty() {
        let map = shares.into_iter().map(|(name, share): (String, f64)| (name, Value::Real(share)));
        given.put("partitions", Settings(map.collect()));
    }
    if !priority.is_empty() {
        given.put("priority", priority);
    }
    made.unwrap_or_else(|error| {
        section.told(&error, str::to_owned);
        Partitions::NONE
    })
}

fn config(given: &Settings, partitions: Partitions) -> ConcurrencyConfig {
    let made = match given.parsed::<AdaptiveAlgorithm>(ADAPTIVE) {
        Some(algorithm) => ConcurrencyConfig::adaptive(adaptive(given, algorithm)),
        None => {
            let limit = given.count32("limit").unwrap_or(1);
            let max_limit = given.count32("max_limit").unwrap_or(limit);
            ConcurrencyConfig { max_limit, ..ConcurrencyConfig::new(limit) }
        }
    };
    ConcurrencyConfig {
        max_waiting: given.count32("max_waiting"),
        order: given.parsed("order").unwrap_or(made.order),
        partitions,
        mode: super::config::mode(given),
        ..made
    }
}

pub(super) fn adaptive(given: &Settings, algorithm: AdaptiveAlgorithm) -> AdaptiveConfig {
    let [min, initial, max] = ["min_limit", "initial_limit", "max_limit"].map(|name| given.count32(name));
    let own = AdaptiveConfig::new(algorithm).within(min, initial, max);
    AdaptiveConfig {
        tolerance: given.real("tolerance").unwrap_or(own.tolerance),
        window: given.span("window").unwrap_or(own.window),
        samples: given.count32("samples").unwrap_or(own.samples),
        max_window: given.span("max_window").unwrap_or(own.max_window),
        min_samples: given.count32("min_samples").unwrap_or(own.min_samples),
        probe: given.flag("probe").unwrap_or(own.probe),
        probe_every: given.span("probe_every").unwrap_or(own.probe_every),
        probe_floor: given.count32("probe_floor"),
        max_latency: given.span("max_latency"),
        base: given.span("base"),
        timeout: given.span("timeout").unwrap_or(own.timeout),
        backoff_ratio: given.real("backoff_ratio").unwrap_or(own.backoff_ratio),
        ..own
    }
}
