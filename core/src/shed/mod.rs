//! Load shedding: what a service does not take when it has too much to do, the less important first.
//!
//! | file | idea |
//! |---|---|
//! | `priority.rs`, `level.rs` | who is shed before whom; the level of a user |
//! | `signal.rs` | what tells that there is too much, and how much that is: pressure |
//! | `threshold.rs` | the word that decisions read, and where a step moves it |
//! | `levels.rs` | which levels are asked for |
//! | `turn.rs`, `sampling.rs` | whose turn it is to read a signal or to take the step, and what is done then |
//! | `cells.rs` | what signals were told, by all processes |
//! | `lag.rs`, `host/` | event loops; the system's files |
//! | `shedder.rs`, `report.rs`, `config.rs`, `arena.rs` | decisions, what is told of them, settings, sharing |
//!
//! Nothing runs by itself: of the calls that ask, one each so often looks at the clock, and one of these has the turn.

#[cfg(not(loom))]
mod arena;
mod cells;
mod config;
#[cfg(not(loom))]
mod host;
mod lag;
mod level;
mod levels;
#[cfg(all(test, loom))]
mod loom_tests;
mod priority;
#[cfg(not(loom))]
mod report;
#[cfg(not(loom))]
mod sampling;
#[cfg(not(loom))]
mod shedder;
mod signal;
mod threshold;
mod turn;

pub use config::{SETTINGS, ShedderConfig};
pub use priority::{LEVELS, Priority};
#[cfg(not(loom))]
pub use report::{LoopLag, ShedderStats, SignalReading};
#[cfg(not(loom))]
pub use shedder::{LoadShedder, Shed};
pub use signal::{MOST_SIGNALS, Signal, SignalKind, pressure_of};
