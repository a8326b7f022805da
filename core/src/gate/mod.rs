//! The gate: one decision for everything that stands before a service, all or nothing.
//!
//! | file | idea |
//! |---|---|
//! | `composed.rs` | the gate and its parts |
//! | `part.rs` | what can refuse, and with which status |
//! | `config.rs` | what a gate is made of, and what it needs of a queue |
//! | `request.rs`, `answer.rs` | what is asked, what is told |
//! | `look.rs` | the first step: who would refuse, without a write |
//! | `take.rs` | the second step: a permit, then the limits, or nothing |
//! | `pause.rs` | when a call that found a queue or a concurrency limit full should come again |
//! | `ticket.rs`, `admission.rs` | what an admitted call holds, and its end |
//! | `refused.rs`, `explain.rs` | a refusal as an error; what every part says |
//!
//! What must never happen: a refused call has taken something, an admitted one is charged twice, a look keeps out the
//! call that would mend what it looked at. A look writes nothing, so a refusal by it leaves nothing; what is taken is
//! a permit that names its process, and charges that expire, so a call that dies in between leaves nothing for long.

#[cfg(not(loom))]
mod admission;
#[cfg(not(loom))]
mod answer;
#[cfg(not(loom))]
mod composed;
#[cfg(not(loom))]
mod config;
#[cfg(not(loom))]
mod explain;
#[cfg(not(loom))]
mod look;
#[cfg(all(test, loom))]
mod loom_tests;
mod part;
#[cfg(not(loom))]
mod pause;
#[cfg(not(loom))]
mod refused;
#[cfg(not(loom))]
mod request;
#[cfg(not(loom))]
mod stats;
mod take;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(not(loom))]
mod ticket;

pub use part::{Kind, Part};
#[cfg(not(loom))]
pub use {
    admission::Admission,
    answer::Answer,
    composed::Gate,
    config::{GateConfig, MOST_DEPENDENCIES, QueueView},
    explain::PartVerdict,
    refused::Refused,
    request::{Dependencies, Request},
    stats::GateStats,
    ticket::{Outcome, Outcomes, Ticket},
};
