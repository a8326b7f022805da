//! A policy: one TOML file that says what a service's limits, breakers, queues and gates are, for all languages.
//!
//! | file | idea |
//! |---|---|
//! | `problem.rs`, `near.rs` | what is wrong, where, and what was meant |
//! | `source.rs` | the text: its places, and what the environment puts into it |
//! | `value.rs`, `duration.rs` | what a setting is set to; `"250ms"` |
//! | `section.rs` | a table of the file, read by the descriptions of settings |
//! | `limits.rs`, `concurrency.rs`, `queues.rs`, `shedders.rs`, `breakers.rs`, `gates.rs` | the sections |
//! | `config.rs` | all that a file says |
//! | `filled.rs`, `json.rs` | the same with its defaults, as TOML; and for other languages |
//! | `changes.rs` | what another file would change, and what of it in place |
//! | `objects.rs` | what is made of it, and a reload |
//! | `file.rs` | the same for bindings, which make the objects themselves |
//!
//! What must never happen: a file that is wrong in one place is applied in another; a mistake hides the next; a text,
//! whatever it is, ends the process. So reading collects problems and makes nothing, and objects are made of what has
//! none.

mod breakers;
mod changes;
mod concurrency;
mod config;
mod duration;
mod file;
mod filled;
mod gates;
mod json;
mod limits;
mod near;
mod objects;
mod problem;
mod queues;
mod section;
mod shedders;
mod source;

mod value;

pub use breakers::RetrySettings;
pub use changes::Change;
pub use config::{MOST_BYTES, PolicyConfig};
pub use file::PolicyFile;
pub use gates::GatePolicy;
pub use limits::{Counted, LimitPolicy};
pub use objects::{Policy, Reloaded};
pub use problem::{MOST_PROBLEMS, PolicyError, Problem};
pub use shedders::{ShedderPolicy, SignalPolicy, Watched};
