//! One limit over many machines: hosts lease tokens from Redis or Valkey in the background and decide from memory.
//!
//! | file | idea |
//! |---|---|
//! | `sync.lua` | the store's side: the whole account, in one script |
//! | `member.rs` | a host's side of it, with time as an argument |
//! | `settings.rs` | what a limit is declared with |
//! | `store.rs` | the way to the store |
//! | `limit.rs` | a process's handle, and the thread that keeps its lease |
//!
//! The law: level + what hosts may still spend ≤ burst, at every instant; so over any span of time all hosts together
//! admit no more than burst + rate × time. `tests/simulation` plays random histories of faults against the real script
//! and the real host.

mod limit;
pub mod member;
mod settings;
mod store;

pub use limit::{ClusterLimit, ClusterStats};
pub use settings::{LimitConfig, OnUnreachable, Settings};
pub use store::{StoreError, init};

/// The script of a sync, as the store runs it.
pub const SYNC: &str = include_str!("sync.lua");
