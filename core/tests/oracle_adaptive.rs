//! Adaptive limits against their model, under random traffic and clocks that step back.

#[path = "adapters/adaptive.rs"]
mod adaptive;
#[path = "adapters/pair.rs"]
mod pair;

use adaptive::{CoreAdaptive, InArena};
use pair::Pair;
use proptest::prelude::*;
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::adaptive::{Config, ModelAdaptive, Op};

const MS: u64 = 1_000_000;
const START: u64 = 5_000_000 * MS;

fn config() -> impl Strategy<Value = Config> {
    let algorithm = prop_oneof![4 => Just("gradient"), 1 => Just("gradient2"), 1 => Just("vegas"), 1 => Just("aimd")];
    let limits = (1..=4_u32, 0..=8_u32, 0..=20_u32);
    let options = (1.0..4.0_f64, prop::bool::ANY, prop::option::weighted(0.2, 1..=3_u32));
    let guards = (prop::option::weighted(0.2, 5..200_u64), prop::option::weighted(0.1, 5..50_u64));
    (algorithm, limits, options, guards).prop_map(
        |(algorithm, (min, more, most), (tolerance, probe, floor), guards)| Config {
            algorithm: algorithm.to_owned(),
            min_limit: min,
            initial_limit: min + more,
            max_limit: min + more + most,
            tolerance,
            window_ns: Ns(100 * MS),
            samples: 10,
            max_window_ns: Ns(1_000 * MS),
            min_samples: 5,
            probe,
            probe_every_ns: Ns(5_000 * MS),
            probe_floor: floor,
            max_latency_ns: guards.0.map(|ms| Ns(ms * MS)),
            base_ns: guards.1.map(|ms| Ns(ms * MS)),
            timeout_ns: Ns(300 * MS),
            backoff_ratio: 0.9,
        },
    )
}

/// A step of traffic: rounds of as many calls as fit, `latency` ms each, some dropped or ignored; then time passes.
#[derive(Clone, Debug)]
struct Load {
    rounds: u32,
    calls: u32,
    latency: u64,
    dropped: u32,
    ignored: u32,
    pause: i64,
}

fn load() -> impl Strategy<Value = Load> {
    let pause = prop_oneof![6 => 0..50_i64, 2 => 1_000..70_000_i64, 1 => -20_000..0_i64];
    (1..15_u32, 1..40_u32, prop_oneof![1 => 0..2_u64, 6 => 5..300_u64], 0..4_u32, 0..4_u32, pause).prop_map(
        |(rounds, calls, latency, dropped, ignored, pause)| Load { rounds, calls, latency, dropped, ignored, pause },
    )
}

fn play<C: Subject<Config = Config, Op = Op, Answer = <ModelAdaptive as Subject>::Answer>>(
    config: &Config,
    loads: &[Load],
) -> Result<(), TestCaseError> {
    let mut pair = Pair::<ModelAdaptive, C>::new(config, START);
    let (mut now, mut number) = (START, 0);
    for load in loads {
        for _ in 0..load.rounds {
            let mut held = Vec::new();
            for _ in 0..load.calls {
                number += 1;
                let name = format!("p{number}");
                let answer = pair.step(now, Op::TryAcquire { name: name.clone() })?;
                if format!("{answer:?}").contains("permit: true") {
                    held.push(name);
                }
            }
            now += load.latency * MS;
            for (i, permit) in (0..).zip(held) {
                let outcome = match i % 5 {
                    n if n < load.dropped => "dropped",
                    n if n + load.ignored > 4 => "ignore",
                    _ => "success",
                };
                let latency_ns = (i % 11 == 10).then_some(Ns(load.latency * 2 * MS));
                pair.step(now, Op::Report { permit: permit.clone(), outcome: outcome.to_owned(), latency_ns })?;
                if i % 7 == 0 {
                    pair.step(now, Op::Release { permit })?;
                }
            }
            pair.step(now, Op::Limit {})?;
        }
        now = now.saturating_add_signed(load.pause * MS as i64);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn moves_as_the_model(config in config(), loads in prop::collection::vec(load(), 1..25)) {
        play::<CoreAdaptive>(&config, &loads)?;
        play::<InArena>(&config, &loads)?;
    }
}

/// The model is only worth its word if it can be wrong: another tolerance must be noticed.
#[test]
fn another_tolerance_is_noticed() {
    let config = |tolerance| Config {
        algorithm: "gradient".to_owned(),
        min_limit: 1,
        initial_limit: 10,
        max_limit: 20,
        tolerance,
        window_ns: Ns(100 * MS),
        samples: 10,
        max_window_ns: Ns(1_000 * MS),
        min_samples: 5,
        probe: false,
        probe_every_ns: Ns(5_000 * MS),
        probe_floor: None,
        max_latency_ns: None,
        base_ns: Some(Ns(20 * MS)),
        timeout_ns: Ns(300 * MS),
        backoff_ratio: 0.9,
    };
    let (mut model, mut core) = (ModelAdaptive::make(&config(2.0), START), CoreAdaptive::make(&config(4.0), START));
    let mut differs = false;
    for round in 0..5 {
        let now = START + round * 60 * MS;
        let names: Vec<_> = (0..10).map(|call| format!("{round}-{call}")).collect();
        for name in &names {
            let ask = Op::TryAcquire { name: name.clone() };
            differs |= model.apply(now, &ask) != core.apply(now, &ask);
        }
        if differs {
            return;
        }
        for permit in names {
            let report = Op::Report { permit, outcome: "success".to_owned(), latency_ns: None };
            differs |= model.apply(now + 60 * MS, &report) != core.apply(now + 60 * MS, &report);
        }
    }
    panic!("nobody noticed");
}
