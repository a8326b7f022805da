//! `tidegate policy`: files, read as every language reads them.

use crate::args::PolicyCommand;
use crate::{CliError, Output};
use serde_json::{Value, json};
use std::path::Path;
use tidegate::policy::{Change, PolicyConfig, PolicyError};

pub(crate) fn policy(as_json: bool, command: &PolicyCommand, to: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        PolicyCommand::Check { file } => {
            let config = load(as_json, file, to)?;
            if as_json {
                let told = json!({ "file": file, "valid": true, "hash": config.hash(), "problems": [] });
                writeln!(to.out, "{told:#}")?;
            } else {
                writeln!(to.out, "{}: valid, {} ({})", file.display(), counted(&config), config.hash())?;
            }
        }
        PolicyCommand::Show { file } => {
            let config = load(as_json, file, to)?;
            if as_json {
                writeln!(to.out, "{:#}", read(&config.to_json()))?;
            } else {
                write!(to.out, "{}", config.to_toml())?;
            }
        }
        PolicyCommand::Diff { old, new } => {
            let (old, new) = (load(as_json, old, to)?, load(as_json, new, to)?);
            return diff(as_json, &old.changes(&new), to);
        }
    }
    Ok(())
}

fn load(as_json: bool, file: &Path, to: &mut Output<'_>) -> Result<PolicyConfig, CliError> {
    match PolicyConfig::load(file) {
        Ok(config) => Ok(config),
        Err(error) => Err(wrong(as_json, file, &error, to)?),
    }
}

fn diff(as_json: bool, changes: &[Change], to: &mut Output<'_>) -> Result<(), CliError> {
    let applies = changes.iter().all(|change| change.in_place);
    if as_json {
        let told: Vec<_> = changes
            .iter()
            .map(|it| json!({ "path": it.path, "before": it.before, "after": it.after, "in_place": it.in_place }))
            .collect();
        writeln!(to.out, "{:#}", json!({ "applies": applies, "changes": told }))?;
    } else {
        for change in changes {
            writeln!(to.out, "{change}")?;
        }
        if !applies {
            writeln!(to.err, "a reload refuses all of it: what needs a new object waits for the program's next start")?;
        }
    }
    if applies { Ok(()) } else { Err(CliError::Told) }
}

fn wrong(as_json: bool, file: &Path, error: &PolicyError, to: &mut Output<'_>) -> Result<CliError, CliError> {
    if as_json {
        let problems = read(&error.to_json());
        let told = json!({ "file": file, "valid": false, "problems": problems, "more": error.more() });
        writeln!(to.out, "{told:#}")?;
    } else {
        writeln!(to.err, "{error}")?;
    }
    Ok(CliError::Told)
}

/// What the core wrote.
fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// "2 limits, 1 gate".
fn counted(config: &PolicyConfig) -> String {
    let counts = [
        (config.limits.len(), "limit"),
        (config.concurrency.len(), "concurrency limit"),
        (config.queues.len(), "queue"),
        (config.shedders.len(), "shedder"),
        (config.breakers.len(), "breaker"),
        (config.gates.len(), "gate"),
    ];
    let some = counts.into_iter().filter(|(count, _)| *count > 0);
    let told: Vec<_> =
        some.map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" })).collect();
    if told.is_empty() { "nothing in it".to_owned() } else { told.join(", ") }
}
