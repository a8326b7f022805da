//! `docs/settings.md`, the reference, and `tests/settings.json`: what every setting refuses, what holds where it is
//! left out, and how each language calls it, from core's own descriptions. Every binding's tests play it.

use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;
use tidegate::concurrency::Partitions;
use tidegate::config::{C, Dialect, Field, Kind, NODE, PYTHON, Preset, RUST, TABLES};

const LANGUAGES: [Dialect; 4] = [RUST, C, PYTHON, NODE];

/// Settings that a language does not have, or has as another.
const NOT_IN: [(&str, &str); 3] = [("stripes", "python"), ("stripes", "node"), ("queue", "rust")];

/// The file, and what it has to hold.
pub(crate) fn file(root: &Path) -> Result<(std::path::PathBuf, String), Box<dyn Error>> {
    let cases = TABLES.iter().flat_map(|table| table.fields.iter().map(|field| case(table.object, field)));
    let cases = cases.chain(["concurrency", "adaptive"].map(partition_cases));
    let lines = cases.map(|case| serde_json::to_string(&case)).collect::<Result<Vec<_>, _>>()?;
    Ok((root.join("tests/settings.json"), format!("[\n{}\n]\n", lines.join(",\n"))))
}

/// The reference page, and what it has to hold.
pub(crate) fn page(root: &Path) -> (std::path::PathBuf, String) {
    let mut text = String::from(
        "# Settings\n\n\
         The settings of each object: their names in each language, what they may be, and what holds where\n\
         one is left out. Functions, and what all objects have alike (where they live, by which clock,\n\
         whether they are in force), are described with the classes. Times are `Duration`s in Rust,\n\
         nanoseconds in C, seconds in Python and milliseconds in Node. Written by `cargo xtask gen write`\n\
         from core's descriptions, by which every binding checks its arguments.\n",
    );
    for table in TABLES {
        let object = table.object;
        text += &format!("\n## {}{}\n\n", object[..1].to_uppercase(), object[1..].replace('_', " "));
        text += "| Rust | C | Python | Node | range | default | |\n|---|---|---|---|---|---|---|\n";
        for field in table.fields {
            let has = |dialect: &Dialect| !NOT_IN.contains(&(field.name, dialect.language));
            let name = |dialect| if has(&dialect) { format!("`{}`", field.name(&dialect)) } else { "–".to_owned() };
            let [rust, c, python, node] = LANGUAGES.map(name);
            let (range, default, doc) = (field.range(&RUST), field.default_in(&RUST), field.doc);
            text += &format!("| {rust} | {c} | {python} | {node} | {range} | {default} | {doc} |\n");
        }
        if object == "concurrency" {
            text += &partitions();
        }
    }
    (root.join("docs/settings.md"), text)
}

/// The settings of a concurrency limit that are a list, fixed or adaptive: no row could say what each may be.
fn partitions() -> String {
    let (most, bytes) = (Partitions::MOST, Partitions::NAME_BYTES);
    format!(
        "\nOf a fixed and of an adaptive limit alike, [partitions](concurrency.md#partitions): names and\n\
         their shares, `partitions` in Rust (a `Partitions`), Python and Node, `partitions` and\n\
         `partitions_len` in C; up to {most}, each with a name of 1 to {bytes} bytes and a share above 0, at\n\
         most 1 together; left out, there are none. And `priority` (in Rust `with_priority`, in C with\n\
         `priority_len`): names of some of them, the first first, each once; left out, nobody may starve\n\
         anybody.\n"
    )
}

/// Shares by names, and a priority.
type Given<'a> = (Vec<(&'a str, f64)>, Vec<&'a str>);

/// Partitions of an object's limit: pairs of names and shares, a priority, and what is said of them; `null` where
/// they are taken. JSON has no number for `"NaN"` and `"Infinity"`.
fn partition_cases(object: &str) -> Value {
    let (x32, x33, umlauts) = ("x".repeat(32), "x".repeat(33), "ü".repeat(17));
    let numbered: Vec<_> = (0..9).map(|number| format!("p{number}")).collect();
    let many = |count| numbered.iter().map(|name| (&**name, 0.125)).take(count).collect::<Vec<_>>();
    let both = || vec![("live", 0.9), ("batch", 0.1)];
    let shares = [0.0, -0.5, 1.0 + 1e-9, 5.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let mut given: Vec<Given<'_>> = vec![
        (vec![], vec![]),
        (both(), vec![]),
        (both(), vec!["batch"]),
        (both(), vec!["batch", "live"]),
        (many(8), vec!["p7", "p0"]),
        (vec![("a", 0.1), ("b", 0.2), ("c", 0.7)], vec![]),
        (vec![(&x32, 1.0)], vec![]),
        (vec![("a", 1e-300)], vec![]),
        (vec![("live", 0.9), ("batch", 0.2)], vec![]),
        (vec![("live", 1.0), ("batch", 1e-3)], vec![]),
        (many(9), vec![]),
        (vec![("", 0.5)], vec![]),
        (vec![(&x33, 0.5)], vec![]),
        (vec![(&umlauts, 0.5)], vec![]),
        (vec![("live", 0.5), ("live", 0.5)], vec![]),
        (both(), vec!["nightly"]),
        (both(), vec!["Live"]),
        (both(), vec![""]),
        (both(), vec!["live", "live"]),
        (vec![], vec!["live"]),
    ];
    given.extend(shares.map(|share| (vec![("live", share)], vec![])));
    let lists: Vec<_> = given.iter().map(|(shares, priority)| partition_case(shares, priority)).collect();
    json!({ "object": object, "field": "partitions", "kind": "partitions", "lists": lists })
}

fn partition_case(shares: &[(&str, f64)], priority: &[&str]) -> Value {
    let made = Partitions::new(shares.iter().copied()).and_then(|all| all.with_priority(priority));
    let error = made.err();
    let (says, error) = (error.as_ref().map(ToString::to_string), error.map(|error| format!("{:?}", error.kind())));
    let number = |share: f64| match share {
        _ if share.is_nan() => json!("NaN"),
        _ if share.is_infinite() => json!(if share > 0.0 { "Infinity" } else { "-Infinity" }),
        _ => json!(share),
    };
    let shares: Vec<_> = shares.iter().map(|&(name, share)| json!([name, number(share)])).collect();
    json!({ "partitions": shares, "priority": priority, "error": error, "says": says })
}

fn case(object: &str, field: &Field) -> Value {
    let (kind, outside) = match field.kind {
        Kind::Count { min, max } => ("count", json!([min.checked_sub(1), max + 1])),
        Kind::Real { min, from_min, max } => {
            let below = if from_min { min - 0.5 } else { min };
            ("real", json!([below, (max < f64::MAX).then_some(max + 0.5)]))
        }
        // Far outside, for a number of seconds does not tell nanoseconds of years apart.
        Kind::Span { min_ns, max_ns } => ("span", json!([(min_ns > 0).then_some(min_ns / 2), max_ns.checked_mul(2)])),
        Kind::Rate => ("rate", json!([0, 200_000_000])),
        Kind::Choice(_) => ("choice", json!(["nonsense"])),
        Kind::Flag => ("flag", json!([])),
        _ => ("other", json!([])),
    };
    let outside: Vec<_> = outside.as_array().into_iter().flatten().filter(|value| !value.is_null()).cloned().collect();
    let default = match field.default {
        Preset::Count(count) => json!(count),
        Preset::Real(real) => json!(real),
        Preset::Span(ns) => json!(ns),
        Preset::Flag(flag) => json!(flag),
        Preset::Choice(text) => json!(text),
        _ => Value::Null,
    };
    let by_language = |say: fn(&Field, &Dialect) -> String| -> Value {
        LANGUAGES.iter().map(|dialect| (dialect.language, say(field, dialect))).collect()
    };
    json!({
        "object": object, "field": field.name, "kind": kind, "outside": outside, "default": default,
        "names": by_language(Field::name), "ranges": by_language(Field::range),
    })
}
