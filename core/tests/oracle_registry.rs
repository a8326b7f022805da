//! The registry of breakers against its model, under random calls and a clock that steps back.

#[path = "adapters/registry.rs"]
mod registry;

use proptest::prelude::*;
use registry::CoreRegistry;
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::registry::{Config, ModelRegistry, Op};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const START: u64 = 77 * S + 123_456;

fn op() -> impl Strategy<Value = Op> {
    let key = || (0..7_u8).prop_map(|n| format!("k{n}"));
    let name = || (0..3_u8).prop_map(|n| format!("h{n}"));
    prop_oneof![
        8 => (key(), any::<bool>()).prop_map(|(key, failed)| Op::Call { key, failed }),
        2 => (key(), name()).prop_map(|(key, name)| Op::Hold { key, name }),
        4 => (name(), any::<bool>()).prop_map(|(held, failed)| Op::CallHeld { held, failed }),
        2 => (name(), name()).prop_map(|(held, name)| Op::AcquireHeld { held, name }),
        2 => (name(), any::<bool>()).prop_map(|(permit, failed)| Op::Report { permit, failed }),
        2 => key().prop_map(|key| Op::Peek { key }),
        1 => key().prop_map(|key| Op::Remove { key }),
        1 => key().prop_map(|key| Op::ForceOpen { key }),
        1 => key().prop_map(|key| Op::Reset { key }),
        2 => (pattern(), prop::option::of(1..2_000_u64), prop::option::of(1..4_u32)).prop_map(
            |(pattern, cooldown, consecutive_failures)| {
                let cooldown_ns = cooldown.map(|ms| Ns(ms * MS));
                Op::SetConfig { pattern, cooldown_ns, consecutive_failures }
            },
        ),
        1 => Just(Op::Items {}),
        1 => Just(Op::Stats {}),
    ]
}

/// Patterns that mean all, some and one of the keys, and such of which neither means all that the other does.
fn pattern() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["*", "k*", "*1", "k1", "*2*", "k2*", "x*"]).prop_map(str::to_owned)
}

/// Nanoseconds on, or back.
fn pause() -> impl Strategy<Value = i64> {
    let s = S as i64;
    prop_oneof![8 => 0..3_000_000_i64, 3 => 0..2 * s, 1 => Just(70 * s), 2 => -3_000_000..0_i64, 1 => -100 * s..0]
}

proptest! {
    #[test]
    fn answers_as_its_model(
        max_breakers in 1..5_u32,
        consecutive_failures in 1..3_u32,
        cooldown in 1..2_000_u64,
        steps in prop::collection::vec((op(), pause()), 1..120),
    ) {
        let cooldown_ns = Ns(cooldown * MS);
        let config = Config { max_breakers, consecutive_failures, cooldown_ns, overrides: Vec::new() };
        let (mut model, mut core) = (ModelRegistry::make(&config, START), CoreRegistry::make(&config, START));
        let (mut now, mut held) = (START, std::collections::HashSet::new());
        for (step, pause) in steps {
            now = now.saturating_add_signed(pause).max(START);
            match &step {
                Op::Hold { name, .. } => { held.insert(name.clone()); }
                Op::CallHeld { held: name, .. } | Op::AcquireHeld { held: name, .. }
                    if !held.contains(name) => continue,
                // Of one that has made room a report is dropped, or counts for the same key's next: either is right.
                Op::Report { permit, .. } if !model.is_alive(permit) => continue,
                _ => {}
            }
            let (expected, answered) = (model.apply(now, &step), core.apply(now, &step));
            prop_assert_eq!(expected, answered, "{:?} at {}", step, now - START);
        }
    }
}
