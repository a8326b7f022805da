//! `tests/settings.json`: what every setting refuses, and how each language calls it, from core's own descriptions. Every
//! binding's tests play it.

use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;
use tidegate::config::{C, Field, Kind, NODE, PYTHON, RUST, TABLES};

/// The file, and what it has to hold.
pub(crate) fn file(root: &Path) -> Result<(std::path::PathBuf, String), Box<dyn Error>> {
    let cases = TABLES.iter().flat_map(|table| table.fields.iter().map(|field| case(table.object, field)));
    let lines = cases.map(|case| serde_json::to_string(&case)).collect::<Result<Vec<_>, _>>()?;
    Ok((root.join("tests/settings.json"), format!("[\n{}\n]\n", lines.join(",\n"))))
}

fn case(object: &str, field: &Field) -> Value {
    let names: Vec<_> = [RUST, C, PYTHON, NODE].iter().map(|dialect| field.name(dialect)).collect();
    let ranges: Vec<_> = [RUST, C, PYTHON, NODE].iter().map(|dialect| field.range(dialect)).collect();
    let (kind, outside) = match field.kind {
        Kind::Count { min, max } => ("count", json!([min.checked_sub(1), max + 1])),
        Kind::Real { min, from_min, max } => {
            let below = if from_min { min - 0.5 } else { min };
            ("real", json!([below, (max < f64::MAX).then_some(max + 0.5)]))
        }
        // Far outside, for a number of seconds does not tell nanoseconds of years apart.
        Kind::Span { min_ns, max_ns } => ("span", json!([min_ns / 2, max_ns.checked_mul(2)])),
        Kind::Rate => ("rate", json!([0, 200_000_000])),
        Kind::Choice(_) => ("choice", json!(["nonsense"])),
        Kind::Flag => ("flag", json!([])),
        _ => ("other", json!([])),
    };
    let outside: Vec<_> = outside.as_array().into_iter().flatten().filter(|value| !value.is_null()).cloned().collect();
    let by_language = |texts: Vec<String>| {
        let [rust, c, python, node] = <[String; 4]>::try_from(texts).expect("four languages");
        json!({ "rust": rust, "c": c, "python": python, "node": node })
    };
    json!({
        "object": object, "field": field.name, "kind": kind, "outside": outside,
        "names": by_language(names), "ranges": by_language(ranges),
    })
}
