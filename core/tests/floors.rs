//! Imports of the core point down its floors, never up nor in circles (ARCHITECTURE.md shows the same floors).
//!
//! Unit tests within the sources may look anywhere; they are not read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. What stands on one floor does not know each other, but for the ground: its errors and settings
/// are one thing.
const FLOORS: [(&str, &[&str]); 10] = [
    (
        "ground",
        &["sync", "error", "setting", "decision", "mode", "hash", "quota", "refusal", "outcome", "cancellation"],
    ),
    ("system", &["sys"]),
    ("memory", &["memory"]),
    ("time, counts, waiting", &["clock", "counters", "wait"]),
    ("arena", &["arena"]),
    ("primitives", &["limit", "breaker", "queue", "concurrency", "http", "retry", "throttle", "lease"]),
    ("shedding", &["shed"]),
    ("the gate", &["gate"]),
    ("tools", &["inspect", "config", "tower", "policy"]),
    ("figures", &["metrics"]),
];

fn floor(module: &str) -> usize {
    let found = FLOORS.iter().position(|(_, modules)| modules.contains(&module));
    found.unwrap_or_else(|| panic!("{module} stands on no floor: enter it in core/tests/floors.rs and ARCHITECTURE.md"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

/// The code of a file, without comments and the module of unit tests at its end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source");
    let text = text.split("\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The words after each `crate::`; those in braces as well.
fn imports(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let group = group.split(';').next().unwrap_or_default();
                let mut depth = 0;
                let heads = group.split_inclusive([',', '{', '}']).filter_map(|part| {
                    let head = (depth == 0).then(|| word(part.trim_start()));
                    depth += part.matches('{').count();
                    depth = usize::saturating_sub(depth, part.matches('}').count());
                    head
                });
                found.extend(heads);
            }
            None => found.push(word(rest)),
        }
    }
    found.retain(|word| !word.is_empty());
    found
}

/// What the crate's root re-exports, and from which module.
fn reexports(root: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in root.split(';') {
        let Some((module, names)) = line.rsplit("pub use ").next().and_then(|line| line.split_once("::")) else {
            continue;
        };
        for name in names.trim_matches(['{', '}', ' ', '\n']).split(',') {
            found.insert(name.trim().to_owned(), module.to_owned());
        }
    }
    found
}

#[test]
fn no_import_points_up() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let reexports = reexports(&code(&source.join("lib.rs")));
    let mut files = Vec::new();
    sources(&source, &mut files);
    let (mut wrong, mut seen) = (BTreeSet::new(), 0);
    for file in files {
        let relative = file.strip_prefix(&source).expect("within");
        let stem = relative.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        if stem == "lib" || stem.ends_with("tests") {
            continue;
        }
        let first = relative.components().next().expect("a name").as_os_str().to_str().expect("a name");
        let module = first.trim_end_matches(".rs");
        for import in imports(&code(&file)) {
            let to = reexports.get(&import).map_or(import.as_str(), String::as_str);
            // Constants and macros of the root itself.
            if to == module || to.starts_with(char::is_uppercase) {
                continue;
            }
            seen += 1;
            let (own, other) = (floor(module), floor(to));
            let downwards = other < own || own == 0 && other == 0;
            if !downwards {
                wrong.insert(format!(
                    "{}: {module} imports {to}, which stands {}",
                    relative.display(),
                    match own == other {
                        true => "beside it",
                        false => "above it",
                    }
                ));
            }
        }
    }
    assert!(seen > 200, "only {seen} imports were found");
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn imports_are_read() {
    let text = "use crate::a::{b, c};\nuse crate::{D, e::{f, g}, h};\nlet x = crate::i::j();";
    assert_eq!(imports(text), ["a", "D", "e", "h", "i"]);
}
