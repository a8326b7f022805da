//! The concurrency limiter against its model, under random operations, those of waiters too.

#[path = "adapters/concurrency.rs"]
mod concurrency;
mod counting_waker;
#[path = "adapters/pair.rs"]
mod pair;

use concurrency::{CoreLimiter, InArena};
use counting_waker::CountingWaker;
use pair::Pair;
use proptest::prelude::*;
use std::sync::Arc;
use tidegate::concurrency::{ConcurrencyConfig, ConcurrencyListener, ConcurrencyPermit, WaitOrder};
use tidegate::limit::Mode;
use tidegate::{Arena, ConcurrencyLimiter, ManualClock, OnConflict};
use tidegate_model::concurrency::{Limiter as Model, Mode as ModelMode, Order, Waiter};
use tidegate_model::format::Subject;
use tidegate_model::script::concurrency::{Config, ModelLimiter, Op};

fn enforced(limit: u32, max_limit: u32) -> Config {
    Config { limit, max_limit, enabled: true, dry_run: false, max_waiting: None, order: "fifo".to_owned() }
}

fn config() -> impl Strategy<Value = Config> {
    let most = prop_oneof![4 => 1..=8_u32, 1 => 60..=70_u32];
    most.prop_flat_map(|most| (1..=most, Just(most), prop::bool::weighted(0.9), prop::bool::weighted(0.2)))
        .prop_map(|(limit, max_limit, enabled, dry_run)| Config { enabled, dry_run, ..enforced(limit, max_limit) })
}

fn op(number: usize, choice: u32, pick: u32, config: &Config) -> Op {
    match choice {
        0..50 => Op::TryAcquire { name: format!("p{number}") },
        50..85 => Op::Release { permit: format!("p{}", pick as usize % number.max(1)) },
        85..92 => Op::SetLimit { limit: 1 + pick % config.max_limit },
        92..96 => Op::InUse {},
        _ => Op::Stats {},
    }
}

fn play<C: Subject<Config = Config, Op = Op, Answer = <ModelLimiter as Subject>::Answer>>(
    config: &Config,
    steps: &[(u32, u32)],
) -> Result<(), TestCaseError> {
    let mut pair = Pair::<ModelLimiter, C>::new(config, 7);
    let mut given = Vec::new();
    for (number, &(choice, pick)) in steps.iter().enumerate() {
        let mut op = op(number, choice, pick, config);
        if let Op::Release { permit } = &mut op {
            // Also one that was given back before; never one that was refused.
            match given.get(pick as usize % given.len().max(1)) {
                Some(name) => *permit = String::clone(name),
                None => continue,
            }
        }
        let answer = pair.step(7, op.clone())?;
        if let (Op::TryAcquire { name }, true) = (op, format!("{answer:?}").contains("permit: true")) {
            given.push(name);
        }
    }
    pair.step(7, Op::Stats {})?;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_the_model(config in config(), steps in prop::collection::vec((0..100_u32, any::<u32>()), 1..200)) {
        play::<CoreLimiter>(&config, &steps)?;
        play::<InArena>(&config, &steps)?;
    }

    /// Waiters are served in the order of the model, each wakes once, and no permit is lost on the way.
    #[test]
    fn the_line_moves_as_the_models(
        (limit, max_limit) in (1..=6_u32).prop_flat_map(|most| (1..=most, Just(most))),
        in_arena in any::<bool>(),
        lifo in any::<bool>(),
        max_waiting in prop::option::of(1..=4_u32),
        steps in prop::collection::vec((0..7_u32, any::<u32>()), 1..150),
    ) {
        let mode = Mode::Enforce;
        let (order, models) = if lifo { (WaitOrder::Lifo, Order::Lifo) } else { (WaitOrder::Fifo, Order::Fifo) };
        let settings = ConcurrencyConfig { max_limit, max_waiting, order, mode, ..ConcurrencyConfig::new(limit) };
        let core = if in_arena {
            let arena = Arena::private("line", 1 << 20, ManualClock::new(0).into()).unwrap();
            ConcurrencyLimiter::in_arena(&arena, "limiter", settings, OnConflict::Error).unwrap()
        } else {
            ConcurrencyLimiter::with_config(settings, ManualClock::new(0).into()).unwrap()
        };
        let most = max_waiting.map_or(usize::MAX, |most| most as usize);
        let mut model = Model::new(limit as usize, ModelMode::Enforce).with_max_waiting(most).with_order(models);
        let mut permits: Vec<(u64, ConcurrencyPermit)> = Vec::new();
        let mut line: Vec<(Waiter, ConcurrencyListener, Arc<CountingWaker>)> = Vec::new();
        for (choice, pick) in steps {
            let pick = pick as usize;
            match choice {
                0 | 1 => {
                    let (ours, theirs) = (model.try_acquire(), core.try_acquire());
                    prop_assert_eq!(ours.is_some(), theirs.is_some());
                    permits.extend(ours.zip(theirs));
                }
                2 | 3 if !permits.is_empty() => {
                    let (ours, theirs) = permits.swap_remove(pick % permits.len());
                    prop_assert!(model.release(ours) && core.release(theirs));
                }
                4 => {
                    let (bell, waker) = CountingWaker::new();
                    // Whoever is there at once is served before the waker is needed, if nobody waits.
                    let listener = core.listen(&waker);
                    let waiter = model.wait();
                    prop_assert_eq!(waiter.is_none(), listener.is_refused());
                    line.extend(waiter.map(|waiter| (waiter, listener, bell)));
                }
                5 if !line.is_empty() => {
                    let (waiter, mut listener, _) = line.swap_remove(pick % line.len());
                    let (ours, theirs) = (model.take(waiter), listener.take());
                    prop_assert_eq!(ours.is_some(), theirs.is_some());
                    match ours.zip(theirs) {
                        Some(both) => permits.push(both),
                        None => model.give_up(waiter),
                    }
                }
                6 => {
                    let limit = 1 + pick as u32 % max_limit;
                    model.set_limit(limit as usize);
                    core.set_limit(limit).unwrap();
                }
                _ => {}
            }
            prop_assert_eq!(model.in_use(), core.in_use() as usize);
            prop_assert!(line.iter().all(|(_, _, bell)| bell.rung() <= 1));
        }
        for (waiter, mut listener, _) in line {
            let (ours, theirs) = (model.take(waiter), listener.take());
            prop_assert_eq!(ours.is_some(), theirs.is_some());
            match ours.zip(theirs) {
                Some(both) => permits.push(both),
                None => model.give_up(waiter),
            }
        }
        for (ours, theirs) in permits {
            prop_assert!(model.release(ours) && core.release(theirs));
        }
        let (counts, stats) = (model.counts(), core.stats());
        prop_assert_eq!((stats.in_use, stats.admitted), (0, counts.admitted));
        prop_assert_eq!(stats.denied, counts.denied);
    }
}

/// The model is only worth its word if it can be wrong: a limit that is one too high must be noticed.
#[test]
fn a_wrong_limit_is_noticed() {
    let (mut model, mut core) = (ModelLimiter::make(&enforced(2, 4), 0), CoreLimiter::make(&enforced(3, 4), 0));
    let acquire = |n| Op::TryAcquire { name: format!("p{n}") };
    assert!((0..4).any(|n| model.apply(0, &acquire(n)) != core.apply(0, &acquire(n))));
}
