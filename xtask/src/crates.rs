//! Which crates are really inside a package: what `cargo tree` links into it, without tests, build scripts and macros.

use serde_json::Value;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The machine that the packages are built for here.
const TARGET: &str = "x86_64-unknown-linux-gnu";

pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: String,
    pub(crate) repository: String,
    pub(crate) folder: PathBuf,
    /// One of this workspace's own.
    pub(crate) own: bool,
}

type Known = BTreeMap<(String, String), Value>;

fn cargo(root: &Path, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = Command::new(env!("CARGO")).current_dir(root).args(arguments).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Everything in the lock file, by name and version.
pub(crate) fn known(root: &Path) -> Result<Known, Box<dyn Error>> {
    let metadata = cargo(root, &["metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET])?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata has no packages")?;
    Ok(packages.iter().map(|package| ((text(package, "name"), text(package, "version")), package.clone())).collect())
}

/// The crates inside `package`, by name.
pub(crate) fn inside(root: &Path, package: &str, known: &Known) -> Result<Vec<Crate>, Box<dyn Error>> {
    let tree =
        ["tree", "--locked", "-p", package, "--target", TARGET, "-e", "normal,no-proc-macro", "--prefix", "none"];
    let mut lines: Vec<String> = cargo(root, &tree)?.lines().map(str::to_owned).collect();
    lines.sort();
    let mut crates: Vec<Crate> = Vec::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        let key = (name.to_owned(), version.trim_start_matches('v').to_owned());
        if crates.last().is_some_and(|last| last.name == key.0 && last.version == key.1) {
            continue;
        }
        let entry = known.get(&key).ok_or_else(|| format!("{line}: not in cargo metadata"))?;
        let manifest = PathBuf::from(text(entry, "manifest_path"));
        crates.push(Crate {
            license: text(entry, "license"),
            repository: text(entry, "repository"),
            folder: manifest.parent().ok_or("a manifest stands in a folder")?.to_owned(),
            own: entry["source"].is_null(),
            name: key.0,
            version: key.1,
        });
    }
    Ok(crates)
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}
