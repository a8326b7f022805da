//! The bounded queue against its model, under random operations.

#[path = "adapters/pair.rs"]
mod pair;
#[path = "adapters/queue.rs"]
mod queue;

use pair::Pair;
use proptest::prelude::*;
use queue::CoreQueue;
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::queue::{Answer, Config, Discipline, ModelQueue, OnFull, Op, RulesConfig};

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
        rules: None,
    })
}

const MS: u64 = 1_000_000;
const LANES: usize = 8;

fn rules() -> impl Strategy<Value = RulesConfig> {
    let discipline = prop_oneof![Just(Discipline::Fifo), Just(Discipline::Codel), Just(Discipline::AdaptiveLifo)];
    let max_age = prop::option::of((1..200 * MS).prop_map(|age| Ns(age.max(1_000))));
    (discipline, 1..=LANES, max_age, 1..20_u64).prop_map(|(discipline, lanes, max_age_ns, target)| RulesConfig {
        discipline,
        target_ns: Ns(target * MS),
        interval_ns: Ns(20 * target * MS),
        lanes,
        max_age_ns,
    })
}

/// As `swing`, with lanes, deadlines and a clock that steps back at times.
fn swing_by_rules() -> impl Strategy<Value = Vec<(i64, Op)>> {
    (10..90_u32, 1..80_usize).prop_flat_map(|(pushes, len)| {
        let deadline = prop::option::of((0..50 * MS).prop_map(Ns));
        let push = (0..1_000_i64, 0..LANES, deadline).prop_map(|(item, lane, deadline_ns)| Op::TryPushWith {
            item,
            lane,
            deadline_ns,
        });
        let op = prop_oneof![
            4 * pushes => push,
            4 * (100 - pushes) => Just(Op::TryPop {}),
            30 => Just(Op::Load {}),
            30 => Just(Op::Counts {}),
            1 => Just(Op::Drain {}),
            1 => Just(Op::Discard {}),
        ];
        let later = prop_oneof![30 => 0..3_000_000_i64, 3 => 0..200_000_000_i64, 1 => -300_000_000..0_i64];
        prop::collection::vec((later, op), len)
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

    #[test]
    fn answers_as_the_model_by_rules(
        config in config(),
        rules in rules(),
        swings in prop::collection::vec(swing_by_rules(), 1..6),
    ) {
        let lanes = rules.lanes;
        let mut pair = Pair::<ModelQueue, CoreQueue>::new(&Config { rules: Some(rules), ..config }, 500_000_000_000);
        let mut now: u64 = 500_000_000_000;
        for (later, mut op) in swings.into_iter().flatten() {
            now = now.saturating_add_signed(later);
            if let Op::TryPushWith { lane, .. } = &mut op {
                *lane %= lanes;
            }
            pair.step(now, op)?;
            pair.step(now, Op::IsAccepting {})?;
        }
        pair.step(now, Op::TryPop {})?;
        pair.step(now, Op::Drain {})?;
        pair.step(now, Op::Counts {})?;
    }
}

/// The model is only worth its word if it can be wrong: a queue that forgets its hysteresis must be caught.
#[test]
fn a_wrong_watermark_is_noticed() {
    let config = Config {
        capacity: 10,
        high_watermark: 0.8,
        low_watermark: 0.5,
        on_full: OnFull::Reject,
        sojourn: false,
        rules: None,
    };
    let mut model = ModelQueue::make(&config, 0);
    let mut core = CoreQueue::make(&Config { high_watermark: 0.9, ..config }, 0);
    let differs = (0..10).any(|item| model.apply(0, &Op::TryPush { item }) != core.apply(0, &Op::TryPush { item }));
    assert!(differs);
    assert_eq!(model.apply(0, &Op::TryPop {}), Answer::popped(0, None));
}
