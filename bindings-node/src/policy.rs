//! Policy files, read by the core; `lib/policy.cjs` makes the objects.

use napi_derive::napi;
use tidegate::Scope;
use tidegate::policy::{PolicyConfig, PolicyError};

/// What was read: settings as JSON, the whole as TOML, its hash, the scope in force; or what is wrong: a message and
/// the problems as JSON.
fn told(read: Result<PolicyConfig, PolicyError>) -> Vec<String> {
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
            vec![config.to_json(), config.to_toml(), config.hash(), scope]
        }
        Err(error) => vec![error.to_string(), error.to_json()],
    }
}

/// Reads a policy file.
#[napi(catch_unwind)]
#[cfg_attr(test, allow(dead_code))] // napi's macro registers nothing in the crate's own tests.
pub(crate) fn policy_load(path: String) -> Vec<String> {
    told(PolicyConfig::load(path))
}

/// Reads a policy's text.
#[napi(catch_unwind)]
#[cfg_attr(test, allow(dead_code))]
pub(crate) fn policy_parse(text: String) -> Vec<String> {
    told(PolicyConfig::parse(&text))
}
