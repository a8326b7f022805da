//! The bounded queue against its model, under random operations.

#[path = "adapters/pair.rs"]
mod pair;
#[path = "adapters/queue.rs"]
mod queue;

use pair::Pair;
use proptest::prelude::*;
use queue::CoreQueue;
use tidegate_model::format::Subject;
use tidegate_model::script::queue::{Answer, Config, ModelQueue, OnFull, Op};

fn config() -> impl Strategy<Value = Config> {
    let capacity = prop_oneof![2 => 1..=4_usize, 2 => 5..=40_usize, 1 => prop::sample::select(&[20, 25, 100][..])];
    // low < high ≤ 1, in hundredths so that products land on and beside whole depths.
    let watermarks = (1..=100_u32).prop_flat_map(|high| (0..high, Just(high)));
    let on_full = prop_oneof![Just(OnFull::Reject), Just(OnFull::DropOldest)];
    (capacity, watermarks, on_full, any::<bool>()).prop_map(|(capacity, (low, high), on_full, sojourn)| Config {
        capacity,
        high_watermark: f64::from(high) / 100.0,
        low_watermark: f64::from(low) / 100.0,
        on_full,
        sojourn,
    })
}

/// A swing: mostly pushes or mostly pops, so that the depth crosses both watermarks.
fn swing() -> impl Strategy<Value = Vec<(u64, Op)>> {
    (10..90_u32, 1..80_usize).prop_flat_map(|(pushes, len)| {
        let op = prop_oneof![
            4 * pushes => (0..1_000_i64).prop_map(|item| Op::TryPush { item }),
            4 * (100 - pushes) => Just(Op::TryPop {}),
            30 => Just(Op::Depth {}),
            60 => Just(Op::IsAccepting {}),
            1 => Just(Op::Close {}),
            1 => Just(Op::Drain {}),
        ];
        prop::collection::vec((0..5_000_000_u64, op), len)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_the_model(config in config(), swings in prop::collection::vec(swing(), 1..6)) {
        let mut pair = Pair::<ModelQueue, CoreQueue>::new(&config, 7);
        let mut now = 7;
        for (later, op) in swings.into_iter().flatten() {
            now += later;
            pair.step(now, op)?;
            pair.step(now, Op::IsAccepting {})?;
        }
        pair.step(now, Op::Drain {})?;
    }
}

/// The model is only worth its word if it can be wrong: a queue that forgets its hysteresis must be caught.
#[test]
fn a_wrong_watermark_is_noticed() {
    let config =
        Config { capacity: 10, high_watermark: 0.8, low_watermark: 0.5, on_full: OnFull::Reject, sojourn: false };
    let mut model = ModelQueue::make(&config, 0);
    let mut core = CoreQueue::make(&Config { high_watermark: 0.9, ..config }, 0);
    let differs = (0..10).any(|item| model.apply(0, &Op::TryPush { item }) != core.apply(0, &Op::TryPush { item }));
    assert!(differs);
    assert_eq!(model.apply(0, &Op::TryPop {}), Answer::popped(0, None));
}
