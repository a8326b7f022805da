//! A bill of materials in CycloneDX 1.5 (ECMA-424), without a time or a random number: the same lock file, the same
//! bytes.

use crate::crates::Crate;
use serde_json::{Value, json};
use std::error::Error;

pub(crate) fn text(package: &str, crates: &[Crate]) -> Result<String, Box<dyn Error>> {
    let of = |entry: &Crate| -> Value {
        let purl = format!("pkg:cargo/{}@{}", entry.name, entry.version);
        json!({
            "type": "library",
            "bom-ref": purl,
            "name": entry.name,
            "version": entry.version,
            "licenses": [{ "expression": entry.license.replace('/', " OR ") }],
            "purl": purl,
        })
    };
    let own = crates.iter().find(|entry| entry.name == package).ok_or("a package holds its own crate")?;
    let components: Vec<Value> = crates.iter().filter(|entry| entry.name != package).map(of).collect();
    let bom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": of(own) },
        "components": components,
    });
    Ok(serde_json::to_string_pretty(&bom)? + "\n")
}
