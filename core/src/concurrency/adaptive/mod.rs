//! An adaptive limit: what calls report of themselves, in windows, and the limit that follows.
//!
//! | file | idea |
//! |---|---|
//! | `gradient.rs` | the default algorithm, a function of state and window |
//! | `gradient2.rs`, `vegas.rs`, `aimd.rs` | Netflix's, the same |
//! | `window.rs`, `rule.rs` | what they read, and one face for all |
//! | `histogram.rs` | latencies as counts |
//! | `estimate.rs` | the shared words: who ends a window computes the limit |
//! | `sampling.rs` | which calls are measured |
//! | `explain.rs` | the state in words |
//! | `config.rs` | settings |

mod aimd;
mod config;
mod estimate;
mod explain;
mod gradient;
mod gradient2;
mod histogram;
mod rule;
mod sampling;
mod vegas;
mod window;

pub(super) use config::WORDS as CONFIG_WORDS;
pub use config::{AdaptiveAlgorithm, AdaptiveConfig, SETTINGS};
pub(super) use estimate::{Estimate, stamp};

use crate::ConfigError;
use std::str::FromStr;

/// What became of a call that held a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done; its latency counts.
    Success,
    /// It says nothing of the latency: a wrong argument, a cancelled call.
    Ignore,
    /// It timed out, or was refused downstream.
    Dropped,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Success, Self::Ignore, Self::Dropped];

    /// As every language writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Ignore => "ignore",
            Self::Dropped => "dropped",
        }
    }
}

impl FromStr for Outcome {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|it| it.name() == text).ok_or_else(|| {
            let message = format!("{text:?} is not \"success\", \"ignore\" or \"dropped\"");
            ConfigError::out_of_range("outcome", message)
        })
    }
}
