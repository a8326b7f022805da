//! Policy files, read by the core; `tidegate/_policy.py` makes the objects.

use pyo3::prelude::*;
use std::path::PathBuf;
use tidegate::policy::{Change, PolicyConfig, PolicyError, PolicyFile};
use tidegate::{OnConflict, Scope};

/// What is wrong: `(message, problems as JSON)`.
type Wrong = (String, String);

/// A policy, as it is read and read again.
#[pyclass(frozen, name = "_PolicyFile", module = "tidegate._tidegate")]
#[derive(Debug)]
pub(crate) struct File(PolicyFile);

/// What was read, or what is wrong.
#[derive(IntoPyObject)]
pub(crate) enum Read {
    /// A policy: `(file, json, toml, hash, scope)`.
    Valid((File, String, String, String, String)),
    /// All that is wrong with it.
    Wrong(Wrong),
}

/// What was read again, or what is wrong.
#[derive(IntoPyObject)]
pub(crate) enum Again {
    /// `(json, toml, hash, changes as JSON)`.
    Valid((String, String, String, String)),
    /// All that is wrong with it.
    Wrong(Wrong),
}

/// What was done, or why not.
#[derive(IntoPyObject)]
pub(crate) enum Done<T> {
    /// What came of it.
    Done(T),
    /// What is wrong.
    Wrong(Wrong),
}

fn wrong(error: &PolicyError) -> Wrong {
    (error.to_string(), error.to_json())
}

fn told(config: &PolicyConfig) -> (String, String, String) {
    (config.to_json(), config.to_toml(), config.hash())
}

fn read(read: Result<PolicyFile, PolicyError>) -> Read {
    match read {
        Ok(file) => {
            let scope = match file.scope() {
                Scope::Process => "process".to_owned(),
                named => named.to_string().replace('"', ""),
            };
            let (json, toml, hash) = told(&file.config());
            Read::Valid((File(file), json, toml, hash, scope))
        }
        Err(error) => Read::Wrong(wrong(&error)),
    }
}

fn done<T>(done: Result<T, PolicyError>) -> Done<T> {
    done.map_or_else(|error| Done::Wrong(wrong(&error)), Done::Done)
}

/// Reads a policy file.
#[pyfunction]
pub(crate) fn policy_load(py: Python<'_>, path: PathBuf) -> Read {
    py.detach(|| read(PolicyFile::load(path)))
}

/// Reads a policy's text.
#[pyfunction]
pub(crate) fn policy_parse(text: &str) -> Read {
    read(PolicyFile::parse(text))
}

#[pymethods]
impl File {
    /// Reads the file again, or a text; nothing is in force of it yet.
    fn read_again(&self, py: Python<'_>, text: Option<&str>) -> Again {
        py.detach(|| match self.0.read_again(text) {
            Ok((config, changes)) => {
                let (json, toml, hash) = told(&config);
                Again::Valid((json, toml, hash, Change::list_to_json(&changes)))
            }
            Err(error) => Again::Wrong(wrong(&error)),
        })
    }

    /// Puts what was read again in force: how many were.
    fn accept(&self, py: Python<'_>) -> Done<u64> {
        py.detach(|| done(self.0.accept()))
    }

    /// An error of an object.
    fn problem(&self, section: &str, name: &str, message: &str) -> Wrong {
        wrong(&self.0.problem(section, name, message))
    }

    /// What an object that is made does about one of other settings.
    fn on_conflict(&self, py: Python<'_>) -> Done<&'static str> {
        let told = |own| if own == OnConflict::Keep { "keep" } else { "apply" };
        py.detach(|| done(self.0.on_conflict().map(told)))
    }

    #[getter]
    fn generation(&self) -> u64 {
        self.0.generation()
    }

    /// `(hash, generation)` of what is in force in its arena.
    #[getter]
    fn in_force(&self) -> Option<(String, u64)> {
        self.0.in_force().map(|it| (format!("{:016x}", it.hash), it.generation))
    }
}
