//! Retry: how long to wait before another attempt, whether to make one, and how many are affordable.
//!
//! | file | idea |
//! |---|---|
//! | `backoff.rs` | the wait before attempt n, by formula, random draw and state |
//! | `policy.rs` | whether another attempt is made, and when |
//! | `settings.rs` | the settings of both |
//! | `budget/` | how many retries are affordable, one word that a dependency's callers share |
//!
//! The loop that sleeps and calls is each language's own; nothing here sleeps.

mod backoff;
mod budget;
mod policy;
mod settings;

pub use crate::sys::draw;
pub use backoff::{Backoff, Jitter};
pub use budget::{BUDGET_SETTINGS, RetryBudget, RetryBudgetConfig, RetryBudgetStats};
pub use policy::{Next, RetryPolicy};
pub use settings::{RetryConfig, SETTINGS};
