//! What can be done to each primitive and what it answers, as the vector files spell it.

pub mod adaptive;
pub mod breaker;
pub mod bucket;
pub mod budget;
pub mod concurrency;
pub mod gate;
pub mod key;
pub mod limiter;
pub mod partitions;
pub mod queue;
pub mod registry;
pub mod retry;
pub mod set;
pub mod shed;
pub mod throttle;

use crate::concurrency::Mode;

/// The two switches as a mode.
fn mode(enabled: bool, dry_run: bool) -> Mode {
    match (enabled, dry_run) {
        (false, _) => Mode::Disabled,
        (true, true) => Mode::DryRun,
        (true, false) => Mode::Enforce,
    }
}
