//! One limit over many machines: hosts lease tokens from Redis or Valkey in the background and decide from memory.
//!
//! | file | idea |
//! |---|---|
//! | `sync.lua` | the store's side: the whole account, in one script |
//! | `member.rs`, `ledger.rs` | a host's side of it, with time as an argument; the lease that it keeps |
//! | `demand.rs` | how much a host wants |
//! | `store.rs` | the way to the store |
//! | `refill.rs` | all limits of an arena, kept in turn |
//! | `look.rs` | what a store holds, for people |
//! | `agent.rs` | the thread that does it, of one process of the machine |
//!
//! The law: level + what hosts may still spend ≤ burst, at every instant; so over any span of time all hosts together
//! admit no more than burst + rate × time. `tests/simulation` plays random histories of faults against the real script
//! and the real host.

mod agent;
mod demand;
mod ledger;
mod look;
pub mod member;
mod refill;
mod store;

pub use agent::{Agent, AgentConfig, AgentError};
pub use ledger::Ledger;
pub use look::{LimitView, MemberView, look};
pub use store::{StoreError, init};

/// The script of a sync, as the store runs it.
pub const SYNC: &str = include_str!("sync.lua");
