//! The settings of every object, described.

pub use crate::setting::{C, Dialect, Field, Kind, NODE, PYTHON, Preset, RUST, Table, Value};

/// All objects.
pub static TABLES: [&Table; 12] = [
    &crate::limit::BUCKET_SETTINGS,
    &crate::limit::LIMITER_SETTINGS,
    &crate::breaker::SETTINGS,
    &crate::breaker::registry::SETTINGS,
    &crate::queue::SETTINGS,
    &crate::concurrency::SETTINGS,
    &crate::concurrency::ADAPTIVE_SETTINGS,
    &crate::retry::SETTINGS,
    &crate::retry::BUDGET_SETTINGS,
    &crate::throttle::SETTINGS,
    &crate::shed::SETTINGS,
    &crate::lease::SETTINGS,
];

/// The texts that stand for values of the core in every language: `("states", ["closed", "open", …])`.
#[cfg(not(loom))]
pub fn names() -> [(&'static str, Vec<&'static str>); 7] {
    use crate::arena::ArenaErrorKind;
    use crate::breaker::{EventKind, State};
    use crate::gate::Kind as GateKind;
    use crate::limit::Algorithm;
    use crate::shed::Priority;

    // A wrong argument is each language's own error.
    let arena_errors = ArenaErrorKind::ALL.into_iter().filter(|kind| *kind != ArenaErrorKind::Argument);
    [
        ("states", State::ALL.map(State::name).to_vec()),
        ("events", EventKind::ALL.map(EventKind::name).to_vec()),
        ("algorithms", Algorithm::ALL.map(Algorithm::name).to_vec()),
        ("windows", Algorithm::ALL.into_iter().filter(|it| it.is_window()).map(Algorithm::name).collect()),
        ("gate_kinds", GateKind::ALL.map(GateKind::name).to_vec()),
        ("priorities", Priority::ALL.map(Priority::name).to_vec()),
        ("arena_errors", arena_errors.map(ArenaErrorKind::name).collect()),
    ]
}
