//! `docs/policy.schema.json`: the JSON Schema of policy files, from core's own descriptions, for editors and checks
//! that do not run tidegate. It says what a file may have; references, windows and what contradicts each other
//! `tidegate policy check` finds.

use serde_json::{Map, Value, json};
use std::error::Error;
use std::path::Path;
use tidegate::config::{Field, Kind, Preset, TABLES, Table};
use tidegate::gate::Outcome;
use tidegate::shed::{Priority, SignalKind};

const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ns|us|µs|μs|ms|s|m|min|h|d))+$";
/// What the environment puts something into is checked when it is there.
const VARIABLE: &str = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}";
const ROUTE: &str = r"^(\*|[A-Z]+) /[^*?#<>:\s]*\*?$";
const NAME: &str = r"^[A-Za-z0-9_:/][A-Za-z0-9._:/-]{0,62}$";

/// The file, and what it has to hold.
pub(crate) fn file(root: &Path) -> Result<(std::path::PathBuf, String), Box<dyn Error>> {
    Ok((root.join("docs/policy.schema.json"), format!("{}\n", serde_json::to_string_pretty(&schema())?)))
}

fn table(object: &str) -> &'static Table {
    TABLES.iter().find(|table| table.object == object).expect("a table of core's")
}

fn of_fields<'f>(fields: impl IntoIterator<Item = (&'f str, &'f Field)>) -> Map<String, Value> {
    fields.into_iter().map(|(name, field)| (name.to_owned(), setting(field))).collect()
}

fn plain(object: &str, without: &[&str]) -> Map<String, Value> {
    let fields = table(object).fields.iter().filter(|field| !without.contains(&field.name));
    of_fields(fields.map(|field| (field.name, field)))
}

/// A setting, or a text that the environment makes one.
fn setting(field: &Field) -> Value {
    let own = match field.kind {
        Kind::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Real { min, from_min, max } => {
            let mut own = json!({ "type": "number" });
            own[if from_min { "minimum" } else { "exclusiveMinimum" }] = json!(min);
            if max < f64::MAX {
                own["maximum"] = json!(max);
            }
            own
        }
        Kind::Span { .. } => json!({ "type": "string", "pattern": DURATION }),
        Kind::Rate => json!({ "$ref": "#/$defs/rate" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Choice(texts) => json!({ "enum": texts }),
        _ => json!({}),
    };
    let mut told = json!({ "description": field.doc });
    match field.kind {
        Kind::Rate => told["$ref"] = own["$ref"].clone(),
        _ => told["anyOf"] = json!([own, { "$ref": "#/$defs/variable" }]),
    }
    match field.default {
        Preset::Count(count) => told["default"] = json!(count),
        Preset::Real(real) => told["default"] = json!(real),
        Preset::Span(ns) => told["default"] = json!(span(ns)),
        Preset::Flag(flag) => told["default"] = json!(flag),
        Preset::Choice(text) => told["default"] = json!(text),
        _ => {}
    }
    told
}

fn span(ns: u64) -> String {
    let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
    let unit = units.into_iter().find(|(_, unit)| ns >= *unit && ns.is_multiple_of(*unit));
    unit.map_or_else(|| "0s".to_owned(), |(name, unit)| format!("{}{name}", ns / unit))
}

fn switch() -> Value {
    json!({ "anyOf": [{ "type": "boolean" }, { "$ref": "#/$defs/variable" }] })
}

fn with_switches(mut properties: Map<String, Value>) -> Map<String, Value> {
    for (name, says) in [("enabled", "false: everything passes, uncounted"), ("dry_run", "counts, and refuses nothing")]
    {
        let mut own = switch();
        own["description"] = json!(says);
        properties.insert(name.to_owned(), own);
    }
    properties
}

fn object(properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut own = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        own["required"] = json!(required);
    }
    own
}

fn section(of: Value, says: &str) -> Value {
    json!({ "type": "object", "description": says, "propertyNames": { "pattern": NAME }, "additionalProperties": of })
}

fn texts(says: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": says })
}

fn limit() -> Value {
    let fields = table("limiter").fields.iter();
    let without = |field: &&Field| field.name != "period" && !field.name.starts_with("block_");
    let mut own = with_switches(of_fields(fields.clone().filter(without).map(|field| (field.name, field))));
    let of_block = fields.filter_map(|field| Some((field.name.strip_prefix("block_")?, field)));
    let tier = object(
        of_fields(
            table("limiter").fields.iter().filter(|it| ["rate", "burst"].contains(&it.name)).map(|it| (it.name, it)),
        ),
        &["rate"],
    );
    own.extend([
        ("key".to_owned(), json!({
            "type": "string",
            "description": "what is counted by: client_ip, user, route, header:NAME, or first_of(…, …) of them; left \
                            out, the limit is of everybody together",
        })),
        ("tiers".to_owned(), json!({
            "type": "object",
            "description": "other quotas, by name",
            "additionalProperties": { "anyOf": [{ "$ref": "#/$defs/rate" }, tier] },
        })),
        ("block".to_owned(), object(of_fields(of_block), &["after", "within", "duration"])),
    ]);
    // A bucket of everybody together holds more than a cell of a key.
    own["burst"]["anyOf"][0]["maximum"] = json!(u32::MAX);
    object(own, &["rate"])
}

fn concurrency() -> Value {
    let mut own = with_switches(plain("adaptive", &["algorithm"]));
    own.extend(plain("concurrency", &[]));
    let algorithm = table("adaptive").fields.iter().find(|field| field.name == "algorithm").expect("a setting");
    own.insert("adaptive".to_owned(), setting(algorithm));
    let shares = json!({
        "type": "object",
        "description": "shares of the limit that calls of each are guaranteed",
        "additionalProperties": { "type": "number", "exclusiveMinimum": 0, "maximum": 1 },
    });
    own.insert("partitions".to_owned(), shares);
    own.insert("priority".to_owned(), texts("names of partitions, the first first"));
    let mut own = object(own, &[]);
    own["oneOf"] = json!([{ "required": ["limit"] }, { "required": ["adaptive"] }]);
    own
}

fn shedder() -> Value {
    let mut signals = Map::new();
    for kind in SignalKind::ALL {
        let is_time = matches!(kind, SignalKind::QueueDelay | SignalKind::LoopLag);
        let end = if is_time { json!({ "type": "string", "pattern": DURATION }) } else { json!({ "type": "number" }) };
        let range = json!({
            "type": "array", "items": end, "minItems": 2, "maxItems": 2,
            "description": "where the pressure begins, and where it is full",
        });
        let of = match kind {
            SignalKind::QueueFill | SignalKind::QueueDelay => Some("queue"),
            SignalKind::InFlight => Some("concurrency"),
            _ => None,
        };
        if kind == SignalKind::Gauge {
            let own = json!({ "type": "object", "description": "numbers of one's own", "additionalProperties": range });
            signals.insert(kind.name().to_owned(), own);
            continue;
        }
        let own = of.map_or(range.clone(), |of| {
            let properties = [(of.to_owned(), json!({ "type": "string" })), ("range".to_owned(), range)];
            object(properties.into_iter().collect(), &[of])
        });
        signals.insert(kind.name().to_owned(), own);
    }
    let mut own = with_switches(plain("shedder", &[]));
    own.insert("signals".to_owned(), object(signals, &[]));
    object(own, &["signals"])
}

fn breaker() -> Value {
    let mut own = plain("breaker", &[]);
    let mut retry = plain("retry", &[]);
    retry.insert("budget".to_owned(), object(plain("retry_budget", &[]), &[]));
    own.insert("retry".to_owned(), object(retry, &[]));
    object(own, &[])
}

fn gate() -> Value {
    let parts = [
        ("limits", texts("names of [limits]")),
        ("shedder", json!({ "type": "string", "description": "a name of [shedders]" })),
        ("concurrency", json!({ "type": "string", "description": "a name of [concurrency]" })),
        ("queue", json!({ "type": "string", "description": "a name of [queues]" })),
        ("dependencies", texts("names of [breakers]")),
    ];
    let parts = parts.into_iter().map(|(name, own)| (name.to_owned(), own)).collect();
    let lists = [
        ("allow", texts("addresses, networks and key:… that pass uncounted")),
        ("deny", texts("addresses, networks and key:… that are always refused")),
    ];
    let lists = lists.into_iter().map(|(name, own)| (name.to_owned(), own)).collect();
    let own = [
        ("use".to_owned(), object(parts, &[])),
        ("access".to_owned(), object(lists, &[])),
        (
            "priority".to_owned(),
            json!({
                "type": "object",
                "description": "what calls of a route are worth, the first that fits",
                "propertyNames": { "pattern": ROUTE },
                "additionalProperties": {
                    "anyOf": [{ "enum": Priority::ALL.map(Priority::name) }, { "$ref": "#/$defs/variable" }],
                },
            }),
        ),
        (
            "refund_on".to_owned(),
            json!({
                "type": "array",
                "description": "after which outcomes a call's cost comes back",
                "items": { "anyOf": [{ "enum": Outcome::ALL.map(Outcome::name) }, { "$ref": "#/$defs/variable" }] },
            }),
        ),
    ];
    object(with_switches(own.into_iter().collect()), &[])
}

fn schema() -> Value {
    let mut limits = section(limit(), "rate limits");
    limits["propertyNames"]["not"] = json!({ "const": "n" });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A policy of tidegate",
        "type": "object",
        "required": ["version"],
        "additionalProperties": false,
        "properties": {
            "version": { "const": 1, "description": "the form of the file" },
            "scope": {
                "type": "string",
                "description": "where state lives: \"process\", \"process:NAME\" or \"host:NAME\"; TIDEGATE_SCOPE wins",
                "anyOf": [{ "pattern": "^(process|(process|host):.+)$" }, { "$ref": "#/$defs/variable" }],
            },
            "limits": limits,
            "concurrency": section(concurrency(), "how many calls may be under way"),
            "queues": section(object(plain("queue", &[]), &["capacity"]), "bounded queues"),
            "shedders": section(shedder(), "load shedders"),
            "breakers": section(breaker(), "circuit breakers"),
            "gates": section(gate(), "gates: parts as one decision"),
        },
        "$defs": {
            "rate": {
                "type": "string",
                "anyOf": [{ "pattern": r"^\s*[0-9.]+\s*(/|per )\s*[0-9.]*\s*\S+\s*$" }, { "$ref": "#/$defs/variable" }],
            },
            "variable": { "type": "string", "pattern": VARIABLE },
        },
    })
}
