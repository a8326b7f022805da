//! Policy files, read by the core; `lib/policy.cjs` makes the objects.
#![cfg_attr(test, allow(dead_code))] // napi's macro registers nothing in the crate's own tests.

use napi::bindgen_prelude::{Either, External};
use napi_derive::napi;
use tidegate::policy::{Change, PolicyConfig, PolicyError, PolicyFile};
use tidegate::{OnConflict, Scope};

/// A message, and the problems as JSON.
fn wrong(error: &PolicyError) -> Vec<String> {
    vec![error.to_string(), error.to_json()]
}

fn read(read: Result<PolicyFile, PolicyError>) -> Either<External<PolicyFile>, Vec<String>> {
    match read {
        Ok(file) => Either::A(External::new(file)),
        Err(error) => Either::B(wrong(&error)),
    }
}

/// Settings as JSON, the whole as TOML, its hash.
fn told(config: &PolicyConfig) -> Vec<String> {
    vec![config.to_json(), config.to_toml(), config.hash()]
}

/// What came of it, or what is wrong.
fn done(done: Result<String, PolicyError>) -> Vec<String> {
    done.map_or_else(|error| wrong(&error), |done| vec![done])
}

/// Reads a policy file: a policy, or what is wrong.
#[napi(catch_unwind)]
pub(crate) fn policy_load(path: String) -> Either<External<PolicyFile>, Vec<String>> {
    read(PolicyFile::load(path))
}

/// Reads a policy's text: a policy, or what is wrong.
#[napi(catch_unwind)]
pub(crate) fn policy_parse(text: String) -> Either<External<PolicyFile>, Vec<String>> {
    read(PolicyFile::parse(&text))
}

/// What it says, and the scope in force.
#[napi(catch_unwind)]
pub(crate) fn policy_told(file: &External<PolicyFile>) -> Vec<String> {
    let scope = match file.scope() {
        Scope::Process => "process".to_owned(),
        named => named.to_string().replace('"', ""),
    };
    [told(&file.config()), vec![scope]].concat()
}

/// Reads the file again, or a text; nothing is in force of it yet. What it says and the changes as JSON, or what is
/// wrong.
#[napi(catch_unwind)]
pub(crate) fn policy_read_again(file: &External<PolicyFile>, text: Option<String>) -> Vec<String> {
    match file.read_again(text.as_deref()) {
        Ok((config, changes)) => [told(&config), vec![Change::list_to_json(&changes)]].concat(),
        Err(error) => wrong(&error),
    }
}

/// Puts what was read again in force: how many were, or what is wrong.
#[napi(catch_unwind)]
pub(crate) fn policy_accept(file: &External<PolicyFile>) -> Vec<String> {
    done(file.accept().map(|generation| generation.to_string()))
}

/// An error of an object.
#[napi(catch_unwind)]
pub(crate) fn policy_problem(
    file: &External<PolicyFile>,
    section: String,
    name: String,
    message: String,
) -> Vec<String> {
    wrong(&file.problem(&section, &name, &message))
}

/// What an object that is made does about one of other settings, or what is wrong.
#[napi(catch_unwind)]
pub(crate) fn policy_on_conflict(file: &External<PolicyFile>) -> Vec<String> {
    let told = |own| if own == OnConflict::Keep { "keep" } else { "apply" };
    done(file.on_conflict().map(|own| told(own).to_owned()))
}

/// Hash and generation of what is in force in its arena.
#[napi(catch_unwind)]
pub(crate) fn policy_in_force(file: &External<PolicyFile>) -> Option<Vec<String>> {
    file.in_force().map(|it| vec![format!("{:016x}", it.hash), it.generation.to_string()])
}
