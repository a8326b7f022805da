//! The load shedder against its model, with clocks that step back.

#[path = "adapters/pair.rs"]
mod pair;
#[path = "adapters/shed.rs"]
mod shed;

use pair::Pair;
use proptest::prelude::*;
use shed::CoreShedder;
use tidegate_model::format::Ns;
use tidegate_model::script::shed::{Config, ModelShedder, Op, PriorityName, Signal};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const START: u64 = 77 * S + 123_456;

fn config() -> impl Strategy<Value = Config> {
    let steps = (0.001..1.0, 0.001..1.0, prop_oneof![Just(0.0), 0.0..1.0], prop_oneof![Just(1.0), 0.5..1.0]);
    let spans = (0..3_000_u64, 0..3_000_u64, 10..2_000_u64);
    (steps, spans, prop::bool::weighted(0.9), prop::bool::weighted(0.1)).prop_map(
        |((rise, fall, min_admit, critical_at), (after, cool_off, interval), enabled, dry_run)| Config {
            signals: ["depth", "lag"].map(|name| Signal { name: name.to_owned(), start: 0.5, full: 0.9 }).to_vec(),
            rise,
            fall,
            min_admit,
            critical_at,
            critical_after_ns: Ns(after * MS),
            cool_off_ns: Ns(cool_off * MS),
            interval_ns: Ns(interval * MS),
            enabled,
            dry_run,
        },
    )
}

/// The clock goes on, steps back, or is read wrong once.
fn reading(now: &mut u64, kind: u32, ns: u64) -> u64 {
    match kind {
        0..20 => *now += ns % (400 * MS),
        20..22 => *now += ns % (20 * S),
        22..24 => *now = now.saturating_sub(ns % (3 * S)).max(START),
        24 => *now = now.saturating_sub(ns).max(START),
        25 => return *now + ns,
        _ => {}
    }
    *now
}

fn op(choice: u32, (priority, level): (usize, u8), draw: f64) -> Op {
    use PriorityName::{Critical, High, Normal, Sheddable};
    let priority = [Critical, High, Normal, Sheddable][priority];
    match choice {
        0..60 => Op::Admit { priority, level, draw },
        60..70 => Op::Check { priority, level, draw },
        70..80 => Op::Tell { signal: "depth".to_owned(), value: draw * 1.2 },
        80..84 => Op::Tell { signal: "lag".to_owned(), value: draw },
        84..88 => Op::Tell { signal: "lag".to_owned(), value: 2.0 },
        88..94 => Op::Sample {},
        94..98 => Op::Pressure {},
        _ => Op::Stats {},
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_shedder_answers_as_the_model(
        config in config(),
        steps in prop::collection::vec(
            ((0..30_u32, 0..200 * S), 0..100_u32, (0..4_usize, 0..128_u8), 0.0..1.0), 1..200),
    ) {
        let (mut pair, mut now) = (Pair::<ModelShedder, CoreShedder>::new(&config, START), START);
        for ((kind, ns), choice, who, draw) in steps {
            pair.step(reading(&mut now, kind, ns), op(choice, who, draw))?;
        }
        pair.step(now, Op::Stats {})?;
    }
}
