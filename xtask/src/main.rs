//! `cargo xtask notices write|check`: writes what every package that users install says of the third parties inside it,
//! or checks that the committed files are current.

mod crates;
mod notices;
mod sbom;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// A package that users install: its crate, and where its files stand.
const PACKAGES: [(&str, &str); 3] =
    [("tidegate-ffi", "ffi/packaging"), ("tidegate-python", "bindings-python"), ("tidegate-node", "bindings-node")];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["notices", "write"] => false,
        ["notices", "check"] => true,
        _ => {
            eprintln!("usage: cargo xtask notices write|check");
            return ExitCode::from(2);
        }
    };
    match run(check) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("not what the lock file says: run `make gen` and commit what it writes");
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
            let path = root.join(folder).join(name);
            if std::fs::read_to_string(&path).is_ok_and(|committed| committed == text) {
                continue;
            }
            println!("{} {}", if check { "differs:" } else { "written:" }, path.display());
            current = false;
            if !check {
                std::fs::write(path, text)?;
            }
        }
    }
    Ok(current || !check)
}
