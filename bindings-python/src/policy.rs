//! Policy files, read by the core; `tidegate/_policy.py` makes the objects.

use pyo3::prelude::*;
use std::path::PathBuf;
use tidegate::Scope;
use tidegate::policy::{PolicyConfig, PolicyError};

/// What was read: `(json, toml, hash, scope)`; or what is wrong: `(message, problems as JSON)`.
#[derive(IntoPyObject)]
pub(crate) enum Read {
    /// A policy.
    Valid((String, String, String, String)),
    /// All that is wrong with it.
    Wrong((String, String)),
}

fn told(read: Result<PolicyConfig, PolicyError>) -> Read {
    let whole = read.and_then(|config| {
        let scope = config.scope_in_force()?;
        Ok((config, scope))
    });
    match whole {
        Ok((config, scope)) => {
            let scope = match scope {
                Scope::Process => "process".to_owned(),
                named => named.to_string().replace('"', ""),
            };
            Read::Valid((config.to_json(), config.to_toml(), config.hash(), scope))
        }
        Err(error) => Read::Wrong((error.to_string(), error.to_json())),
    }
}

/// Reads a policy file.
#[pyfunction]
pub(crate) fn policy_load(py: Python<'_>, path: PathBuf) -> Read {
    py.detach(|| told(PolicyConfig::load(path)))
}

/// Reads a policy's text.
#[pyfunction]
pub(crate) fn policy_parse(text: &str) -> Read {
    told(PolicyConfig::parse(text))
}
