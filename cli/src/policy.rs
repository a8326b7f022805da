//! `tidegate policy`: files, read as every language reads them.

use crate::args::PolicyCommand;
use crate::{CliError, Output};
use serde_json::{Value, json};
use std::path::Path;
use tidegate::policy::{PolicyConfig, PolicyError};

pub(crate) fn policy(as_json: bool, command: &PolicyCommand, to: &mut Output<'_>) -> Result<(), CliError> {
    let (PolicyCommand::Check { file } | PolicyCommand::Show { file }) = command;
    let config = match PolicyConfig::load(file) {
        Ok(config) => config,
        Err(error) => return wrong(as_json, file, &error, to),
    };
    match command {
        PolicyCommand::Check { .. } if as_json => {
            writeln!(to.out, "{:#}", json!({ "file": file, "valid": true, "hash": config.hash(), "problems": [] }))?;
        }
        PolicyCommand::Check { .. } => {
            writeln!(to.out, "{}: valid, {} ({})", file.display(), counted(&config), config.hash())?;
        }
        PolicyCommand::Show { .. } if as_json => writeln!(to.out, "{:#}", read(&config.to_json()))?,
        PolicyCommand::Show { .. } => write!(to.out, "{}", config.to_toml())?,
    }
    Ok(())
}

fn wrong(as_json: bool, file: &Path, error: &PolicyError, to: &mut Output<'_>) -> Result<(), CliError> {
    if as_json {
        let problems = read(&error.to_json());
        let told = json!({ "file": file, "valid": false, "problems": problems, "more": error.more() });
        writeln!(to.out, "{told:#}")?;
    } else {
        writeln!(to.err, "{error}")?;
    }
    Err(CliError::Told)
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
