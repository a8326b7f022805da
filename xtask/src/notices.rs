//! The licences of the crates inside a package, each text once.

use crate::crates::Crate;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::fs;

pub(crate) fn text(package: &str, crates: &[Crate]) -> Result<String, Box<dyn Error>> {
    let others: Vec<&Crate> = crates.iter().filter(|entry| !entry.own).collect();
    let mut out = format!(
        "Third parties inside {package}\n\nGenerated from Cargo.lock by `cargo xtask notices write`. tidegate itself \
         is MIT OR Apache-2.0,\nand so is Rust's standard library inside it (https://github.com/rust-lang/rust).\n\n"
    );
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in &others {
        writeln!(out, "{} {}  {}  {}", entry.name, entry.version, entry.license, entry.repository)?;
        for license in licenses(entry)? {
            texts.entry(license).or_default().push(format!("{} {}", entry.name, entry.version));
        }
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(&b.0)));
    for (license, users) in texts {
        write!(out, "\n{}\n{}\n\n{license}\n", "=".repeat(100), users.join(", "))?;
    }
    Ok(out)
}

/// The licence and notice files of a crate. One that ships none is told by its SPDX expression above.
fn licenses(entry: &Crate) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names: Vec<_> = fs::read_dir(&entry.folder)?.collect::<Result<_, _>>()?;
    names.retain(|file| {
        let name = file.file_name().to_string_lossy().to_ascii_uppercase();
        ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE"].iter().any(|word| name.starts_with(word))
            && file.path().is_file()
    });
    // Of a choice that includes MIT, MIT is taken.
    let is_mit = |file: &fs::DirEntry| file.file_name().to_string_lossy().to_ascii_uppercase().contains("MIT");
    if entry.license.contains("MIT") && names.iter().any(is_mit) {
        names.retain(is_mit);
    }
    names.sort_by_key(fs::DirEntry::file_name);
    let read = |file: &fs::DirEntry| -> Result<String, Box<dyn Error>> {
        let text = String::from_utf8_lossy(&fs::read(file.path())?).replace("\r\n", "\n");
        let lines: Vec<&str> = text.trim_matches('\n').lines().map(str::trim_end).collect();
        Ok(lines.join("\n"))
    };
    names.iter().map(read).collect()
}
