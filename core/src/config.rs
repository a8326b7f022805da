//! The settings of every object, described.

pub use crate::setting::{C, Dialect, Field, Kind, NODE, PYTHON, Preset, RUST, Table};

/// All objects.
pub static TABLES: [&Table; 8] = [
    &crate::limit::BUCKET_SETTINGS,
    &crate::limit::LIMITER_SETTINGS,
    &crate::breaker::SETTINGS,
    &crate::queue::SETTINGS,
    &crate::concurrency::SETTINGS,
    &crate::retry::SETTINGS,
    &crate::retry::BUDGET_SETTINGS,
    &crate::throttle::SETTINGS,
];
