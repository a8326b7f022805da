//! `cargo xtask notices write|check`: writes what every package that users install says of the third parties inside it,
//! or checks that the committed files are current. `cargo xtask gen write|check`: the same of what follows from core's
//! descriptions of settings, and of the header as a page.

mod c_page;
mod crates;
mod notices;
mod options;
mod policy_schema;
mod sbom;
mod settings;
mod stats;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// A package that users install: its crate, and where its files stand.
const PACKAGES: [(&str, &str); 3] =
    [("tidegate-ffi", "ffi/packaging"), ("tidegate-python", "bindings-python"), ("tidegate-node", "bindings-node")];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["notices", "write"] => run(false),
        ["notices", "check"] => run(true),
        ["gen", "write"] => generate(false),
        ["gen", "check"] => generate(true),
        _ => {
            eprintln!("usage: cargo xtask notices|gen write|check");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("not what it should be: run `make gen` and commit what it writes");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every file is as it should be; after a write all are.
fn run(check: bool) -> Result<bool, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let known = crates::known(root)?;
    let mut current = true;
    for (package, folder) in PACKAGES {
        let inside = crates::inside(root, package, &known)?;
        let files = [
            ("THIRD-PARTY-NOTICES.txt", notices::text(package, &inside)?),
            ("sbom.cdx.json", sbom::text(package, &inside)?),
        ];
        for (name, text) in files {
            current &= write(&root.join(folder).join(name), &text, check)?;
        }
    }
    Ok(current || !check)
}

/// What follows from core's descriptions of settings and of what objects count.
fn generate(check: bool) -> Result<bool, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no workspace")?;
    let mut current = true;
    let mut files = options::files(root)?;
    files.extend(stats::files(root)?);
    files.extend([settings::file(root)?, settings::page(root), c_page::page(root)?, policy_schema::file(root)?]);
    for (path, text) in files {
        current &= write(&path, &text, check)?;
    }
    Ok(current || !check)
}

/// Whether a file holds this already; writes it unless that is only to be checked.
fn write(path: &Path, text: &str, check: bool) -> Result<bool, Box<dyn Error>> {
    if std::fs::read_to_string(path).is_ok_and(|committed| committed == text) {
        return Ok(true);
    }
    println!("{} {}", if check { "differs:" } else { "written:" }, path.display());
    if !check {
        std::fs::write(path, text)?;
    }
    Ok(false)
}
