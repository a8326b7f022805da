//! Backoff, retry budget and client throttle against their models, and the budget against its own promise.

#[path = "adapters/budget.rs"]
mod budget;
#[path = "adapters/pair.rs"]
mod pair;
#[path = "adapters/retry.rs"]
mod retry;
#[path = "adapters/throttle.rs"]
mod throttle;

use budget::CoreBudget;
use pair::Pair;
use proptest::prelude::*;
use retry::CoreRetry;
use std::time::Duration;
use throttle::CoreThrottle;
use tidegate::limit::Mode;
use tidegate::{ManualClock, RetryBudget, RetryBudgetConfig};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::budget::{Config as BudgetConfig, ModelBudget, Op as BudgetOp};
use tidegate_model::script::retry::{
    Answer as RetryAnswer, Config as RetryConfig, JitterName, ModelRetry, Op as RetryOp,
};
use tidegate_model::script::throttle::{Config as ThrottleConfig, ModelThrottle, Op as ThrottleOp};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const START: u64 = 77 * S + 123_456;

/// How the clock goes on: mostly forwards, sometimes back, seldom to a reading that is plain wrong and back again.
#[derive(Clone, Copy, Debug)]
enum Reading {
    After(u64),
    Back(u64),
    Ahead(u64),
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        30 => (0..400 * MS).prop_map(Reading::After),
        10 => Just(Reading::After(0)),
        6 => (0..20 * S).prop_map(Reading::After),
        4 => (0..3 * S).prop_map(Reading::Back),
        2 => (0..200 * S).prop_map(Reading::Back),
        2 => prop_oneof![0..130 * S, 0..7_200 * S].prop_map(Reading::Ahead),
    ]
}

/// The clock's own time, and what is read of it.
fn read(now: &mut u64, reading: Reading) -> u64 {
    match reading {
        Reading::After(ns) => *now += ns,
        Reading::Back(ns) => *now = now.saturating_sub(ns).max(START),
        Reading::Ahead(ns) => return *now + ns,
    }
    *now
}

fn budget_config() -> impl Strategy<Value = BudgetConfig> {
    let ratio = prop::sample::select(vec![0.0, 0.1, 0.125, 0.2, 0.25, 0.5, 1.0]);
    let floor = prop::sample::select(vec![0.0, 0.5, 1.0, 4.0, 10.0, 1_000.0]);
    let ttl = prop::sample::select(vec![1, 100, 2_500, 10_000, 60_000]);
    (ratio, floor, ttl, prop::bool::weighted(0.95), prop::bool::weighted(0.05)).prop_map(
        |(ratio, min_per_second, ttl, enabled, dry_run)| BudgetConfig {
            ratio,
            min_per_second,
            ttl_ns: Ns(ttl * MS),
            enabled,
            dry_run,
        },
    )
}

fn budget_op(choice: u32) -> BudgetOp {
    match choice {
        0..45 => BudgetOp::Deposit {},
        45..90 => BudgetOp::TryWithdraw {},
        90..94 => BudgetOp::Balance {},
        94..98 => BudgetOp::RetryAfter {},
        _ => BudgetOp::Stats {},
    }
}

fn throttle_config() -> impl Strategy<Value = ThrottleConfig> {
    let k = prop::sample::select(vec![1.0, 1.1, 1.5, 2.0, 1_000.0]);
    let window = prop::sample::select(vec![100, 1_000, 30_000, 600_000]);
    let rest = (prop::sample::select(vec![1, 3, 10]), prop::sample::select(vec![0.3, 0.9, 1.0]));
    let force = prop::sample::select(vec![1, 500, 1_000, 100_000]);
    (k, window, rest, force, prop::bool::weighted(0.95), prop::bool::weighted(0.05)).prop_map(
        |(k, window, (min_calls, max_rejection), force, enabled, dry_run)| ThrottleConfig {
            k,
            window_ns: Ns(window * MS),
            min_calls,
            max_rejection,
            force_pass_ns: Ns(force * MS),
            enabled,
            dry_run,
        },
    )
}

fn throttle_op(choice: u32, draw: f64) -> ThrottleOp {
    match choice {
        0..50 => ThrottleOp::TryAcquire { draw },
        50..75 => ThrottleOp::Report { accepted: false },
        75..90 => ThrottleOp::Report { accepted: true },
        90..94 => ThrottleOp::Probability {},
        94..97 => ThrottleOp::RetryAfter {},
        _ => ThrottleOp::Stats {},
    }
}

fn retry_config() -> impl Strategy<Value = RetryConfig> {
    let jitters = [JitterName::None, JitterName::Full, JitterName::Equal, JitterName::Decorrelated, JitterName::Smooth];
    let numbers = (1..10_u32, 0..10_000_u64, prop_oneof![Just(2.0), 1.0..4.0], 0..100_000_u64);
    let told = (prop::option::of(1..60_000_u64), 0..9_000_u64);
    (numbers, prop::sample::select(jitters.to_vec()), told).prop_map(
        |((attempts, base, factor, most), jitter, (deadline, told))| RetryConfig {
            attempts,
            base_ns: Ns(base * MS / 8),
            factor,
            max_delay_ns: Ns(most * MS / 8),
            jitter,
            deadline_ns: deadline.map(|ms| Ns(ms * MS)),
            max_retry_after_ns: Ns(told * MS),
        },
    )
}

/// The same, but for the last places of a fraction.
fn is_near(ours: &RetryAnswer, theirs: &RetryAnswer) -> bool {
    match (ours, theirs) {
        (RetryAnswer::Delay { delay_ns: Ns(one) }, RetryAnswer::Delay { delay_ns: Ns(two) })
        | (RetryAnswer::Wait { wait_ns: Ns(one) }, RetryAnswer::Wait { wait_ns: Ns(two) }) => {
            one.abs_diff(*two) <= 1 + one / 100_000_000_000
        }
        _ => ours == theirs,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_budget_answers_as_the_model(
        config in budget_config(),
        steps in prop::collection::vec((reading(), 0..100_u32), 1..200),
    ) {
        let (mut pair, mut now) = (Pair::<ModelBudget, CoreBudget>::new(&config, START), START);
        for (reading, choice) in steps {
            pair.step(read(&mut now, reading), budget_op(choice))?;
        }
        pair.step(now, BudgetOp::Stats {})?;
    }

    #[test]
    fn a_throttle_answers_as_the_model(
        config in throttle_config(),
        steps in prop::collection::vec((reading(), 0..100_u32, 0.0..1.0), 1..200),
    ) {
        let (mut pair, mut now) = (Pair::<ModelThrottle, CoreThrottle>::new(&config, START), START);
        for (reading, choice, draw) in steps {
            pair.step(read(&mut now, reading), throttle_op(choice, draw))?;
        }
        pair.step(now, ThrottleOp::Stats {})?;
    }

    #[test]
    fn waits_are_those_of_the_model(
        config in retry_config(),
        steps in prop::collection::vec((0..12_u64, 0.0..1.0, prop::option::of(0..12_000_u64), 0..90_000_u64), 1..12),
        far in prop::collection::vec((any::<u32>(), 0.0..1.0), 0..4),
    ) {
        let (mut model, mut core) = (ModelRetry::make(&config, 0), CoreRetry::make(&config, 0));
        let steps = steps.into_iter().map(|(attempts, draw, told, elapsed)| {
            let retry_after_ns = told.map(|ms| Ns(ms * MS));
            RetryOp::Failed { attempts, draw, retry_after_ns, elapsed_ns: Ns(elapsed * MS) }
        });
        for op in steps.chain(far.into_iter().map(|(n, draw)| RetryOp::Delay { n: n.into(), draw })) {
            let (ours, theirs) = (model.apply(0, &op), core.apply(0, &op));
            prop_assert!(is_near(&ours, &theirs), "{:?} {:?}: {:?} and {:?}", config, op, ours, theirs);
        }
    }
}

/// Of all operations in a row, between whatever readings they lie: no more retries than was saved up, than the calls
/// among them paid in, and than the time between their earliest and their latest reading did.
fn assert_promise(config: &RetryBudgetConfig, history: &[(u64, bool)], from: usize) {
    let saved = (config.min_per_second * config.ttl.as_secs_f64()).max(1.0);
    let (mut earliest, mut latest, mut calls, mut retries) = (u64::MAX, 0, 0_u32, 0_u32);
    for &(at, is_retry) in &history[from..] {
        (earliest, latest) = (earliest.min(at), latest.max(at));
        if is_retry {
            retries += 1
        } else {
            calls += 1
        }
        let seconds = (latest - earliest) as f64 / 1e9;
        let most = saved + config.ratio * f64::from(calls) + config.min_per_second * seconds;
        assert!(f64::from(retries) <= most + 1e-6, "{retries} > {most} from {from} of {history:?} with {config:?}");
    }
}

#[test]
fn no_history_passes_the_budget() {
    let mut random = fastrand::Rng::new();
    let seed = random.get_seed();
    println!("seed {seed}");
    for _ in 0..10_000 {
        let config = RetryBudgetConfig {
            ratio: *random.choice(&[0.0, 0.1, 0.2, 1.0 / 3.0, 0.7, 1.0]).expect("one"),
            min_per_second: *random.choice(&[0.0, 0.3, 1.0, 3.0, 10.0, 777.7]).expect("one"),
            ttl: Duration::from_millis(*random.choice(&[10, 500, 3_000, 10_000]).expect("one")),
            mode: Mode::Enforce,
        };
        let clock = ManualClock::new(START);
        let budget = RetryBudget::with_clock(config, (&clock).into()).expect("sound");
        let step = *random.choice(&[MS, 50 * MS, S]).expect("one");
        let (greed, mut now, mut history) = (random.u32(1..10), START, Vec::new());
        for _ in 0..60 {
            match random.u32(..10) {
                0 => now = now.saturating_sub(random.u64(..4 * step)).max(START),
                1..5 => now += random.u64(..2 * step),
                _ => {}
            }
            // A thread that comes late with its reading.
            let at = if random.u32(..8) == 0 { now.saturating_sub(random.u64(..4 * step)) } else { now };
            clock.set(now);
            if random.u32(..10) < greed {
                if budget.try_withdraw_at(at) {
                    history.push((at, true));
                }
            } else {
                budget.deposit_at(at);
                history.push((at, false));
            }
        }
        (0..history.len()).for_each(|from| assert_promise(&config, &history, from));
    }
}

/// The models are only worth their word if they can be wrong.
#[test]
fn wrong_settings_are_noticed() {
    let config = |ratio| BudgetConfig { ratio, min_per_second: 0.0, ttl_ns: Ns(S), enabled: true, dry_run: false };
    let (mut model, mut core) = (ModelBudget::make(&config(0.2), 0), CoreBudget::make(&config(0.25), 0));
    let differ =
        |op: &BudgetOp, model: &mut ModelBudget, core: &mut CoreBudget| model.apply(0, op) != core.apply(0, op);
    (0..4).for_each(|_| assert!(!differ(&BudgetOp::Deposit {}, &mut model, &mut core)));
    assert!(differ(&BudgetOp::TryWithdraw {}, &mut model, &mut core));
}
