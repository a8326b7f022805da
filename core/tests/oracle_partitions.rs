//! A concurrency limit with partitions against its model, and against what must hold of any.

#[path = "adapters/pair.rs"]
mod pair;
#[path = "adapters/partitions.rs"]
mod partitions;

use pair::Pair;
use partitions::{CorePartitions, InArena};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};
use tidegate::concurrency::{ConcurrencyConfig, ConcurrencyListener, ConcurrencyPermit, Partition, Partitions};
use tidegate::limit::Mode;
use tidegate::{ConcurrencyLimiter, ManualClock};
use tidegate_model::format::Subject;
use tidegate_model::script::partitions::{Config, ModelLimiter, Op};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn config() -> impl Strategy<Value = Config> {
    let shares = prop::collection::vec(1..=20_u32, 1..=5);
    let whole = prop_oneof![Just(1.0), 0.3..1.0];
    (1..=20_u32, shares, whole, 0..=5_usize).prop_map(|(limit, shares, whole, ranked)| {
        let sum = f64::from(shares.iter().sum::<u32>());
        let share = |parts| f64::from(parts) / sum * whole;
        let partitions = NAMES.iter().zip(shares).map(|(name, parts)| (name.to_string(), share(parts)));
        let partitions: Vec<_> = partitions.collect();
        // Not the order in which they were declared.
        let priority = partitions.iter().rev().take(ranked).map(|(name, _)| name.clone()).collect();
        Config { limit, partitions, priority }
    })
}

fn play<C: Subject<Config = Config, Op = Op, Answer = <ModelLimiter as Subject>::Answer>>(
    config: &Config,
    steps: &[(u32, u32)],
) -> Result<(), TestCaseError> {
    let mut now = 1_000_000_000_000;
    let mut pair = Pair::<ModelLimiter, C>::new(config, now);
    let mut given: Vec<String> = Vec::new();
    for (number, &(choice, pick)) in steps.iter().enumerate() {
        let of = config.partitions.get(pick as usize % (config.partitions.len() + 1)).map(|(name, _)| name.clone());
        let op = match choice {
            0..55 => Op::TryAcquire { name: format!("p{number}"), partition: of },
            55..85 if !given.is_empty() => Op::Release { permit: given.swap_remove(pick as usize % given.len()) },
            85..95 => {
                now += u64::from(pick) / 2;
                continue;
            }
            _ => Op::Partition { partition: config.partitions[0].0.clone() },
        };
        let answer = pair.step(now, op.clone())?;
        if let (Op::TryAcquire { name, .. }, true) = (op, format!("{answer:?}").contains("permit: true")) {
            given.push(name);
        }
    }
    for (partition, _) in &config.partitions {
        pair.step(now, Op::Partition { partition: partition.clone() })?;
    }
    Ok(())
}

fn limiter(
    limit: u32,
    max_limit: u32,
    shares: &[(String, f64)],
    priority: &[String],
) -> (ConcurrencyLimiter, ManualClock) {
    let partitions = Partitions::new(shares.iter().map(|(name, share)| (name, *share))).unwrap();
    let partitions = partitions.with_priority(priority).unwrap();
    let clock = ManualClock::new(1 << 40);
    let config = ConcurrencyConfig { max_limit, partitions, mode: Mode::Enforce, ..ConcurrencyConfig::new(limit) };
    (ConcurrencyLimiter::with_config(config, (&clock).into()).unwrap(), clock)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_the_model(config in config(), steps in prop::collection::vec((0..100_u32, any::<u32>()), 1..200)) {
        play::<CorePartitions>(&config, &steps)?;
        play::<InArena>(&config, &steps)?;
    }

    /// Never above the limit, wherever it is; an owner is refused only while nothing at all is free, and what is given
    /// back after that goes to no borrower, whoever tries and waits.
    #[test]
    fn an_owner_is_not_denied_longer_than_to_the_first_release(
        config in config(),
        steps in prop::collection::vec((0..100_u32, any::<u32>()), 1..250),
    ) {
        let most = config.limit;
        let (limiter, clock) = limiter(most, most, &config.partitions, &config.priority);
        let named = config.partitions.iter().map(|(name, _)| limiter.partition(name).unwrap());
        let mut of: Vec<Partition> = named.collect();
        let count = of.len();
        of.push(Partition::default());
        let mut held: Vec<(usize, ConcurrencyPermit)> = Vec::new();
        let mut line: Vec<(usize, ConcurrencyListener)> = Vec::new();
        // Refused within its guarantee, and since then not served, so many times.
        let mut owed = vec![0_u32; count];
        for (choice, pick) in steps {
            let pick = pick as usize;
            let stats = limiter.partition_stats();
            let is_owner = |which: usize| stats.get(which).is_some_and(|of| of.in_use < of.guaranteed);
            let (free, which) = (limiter.limit().saturating_sub(limiter.in_use()), pick % of.len());
            match choice {
                0..50 => match limiter.try_acquire_in(of[which]) {
                    Some(permit) => {
                        if !is_owner(which) {
                            let unused = |other: usize| stats[other].guaranteed.saturating_sub(stats[other].in_use);
                            let kept = |other: usize| owed[other].min(unused(other));
                            let kept: u32 = (0..count).filter(|&other| other != which).map(kept).sum();
                            prop_assert!(free > kept, "a borrower has one of {free} where {kept} are owed");
                        }
                        if let Some(owed) = owed.get_mut(which) {
                            *owed = owed.saturating_sub(1);
                        }
                        held.push((which, permit));
                    }
                    None if is_owner(which) => {
                        prop_assert_eq!(free, 0, "an owner was refused");
                        owed[which] += 1;
                    }
                    None => {}
                },
                50..75 if !held.is_empty() => {
                    prop_assert!(limiter.release(held.swap_remove(pick % held.len()).1));
                }
                75..80 => {
                    line.push((which, limiter.listen_in(of[which], Waker::noop())));
                    // What is owed to its partition is served to it.
                    owed.get_mut(which).into_iter().for_each(|owed| *owed = 0);
                }
                80..90 if !line.is_empty() => {
                    let (which, mut listener) = line.swap_remove(pick % line.len());
                    held.extend(listener.take().map(|permit| (which, permit)));
                }
                90..95 => {
                    limiter.set_limit(1 + pick as u32 % most).unwrap();
                    owed.fill(0);
                }
                95 => {
                    clock.advance(Duration::from_secs(6));
                    owed.fill(0);
                }
                _ => {}
            }
            prop_assert!(limiter.in_use() <= most);
            // One who waits within its guarantee waits for a place, not for others.
            let stats = limiter.partition_stats();
            let is_full = limiter.in_use() >= limiter.limit();
            for (which, listener) in &mut line {
                let has_come = stats.get(*which).is_some_and(|of| of.in_use < of.guaranteed);
                if has_come && !is_full {
                    let permit = listener.take();
                    prop_assert!(permit.is_some(), "a place is free and an owner waits");
                    held.extend(permit.map(|permit| (*which, permit)));
                    break;
                }
            }
            line.retain(|(_, listener)| !format!("{listener:?}").contains("Done"));
        }
        drop(line);
        for (_, permit) in held {
            prop_assert!(limiter.release(permit));
        }
        prop_assert_eq!((limiter.in_use(), limiter.stats().waiting), (0, 0));
    }
}

/// Threads that borrow all they can, and owners: never above the limit, and an owner who waits is soon served.
#[test]
fn borrowers_keep_no_owner_waiting() {
    let shares = [("live".to_owned(), 0.5), ("batch".to_owned(), 0.25)];
    let partitions = Partitions::new(shares.iter().map(|(name, share)| (name, *share))).unwrap();
    let config = ConcurrencyConfig { partitions, mode: Mode::Enforce, ..ConcurrencyConfig::new(4) };
    let limiter = ConcurrencyLimiter::with_config(config, tidegate::Clock::monotonic()).unwrap();
    let [live, batch] = ["live", "batch"].map(|name| limiter.partition(name).unwrap());
    let (inside, is_over) = (AtomicU32::new(0), AtomicBool::new(false));
    let stay = |permit| {
        assert!(inside.fetch_add(1, Ordering::SeqCst) < 4, "above the limit");
        std::thread::yield_now();
        inside.fetch_sub(1, Ordering::SeqCst);
        assert!(limiter.release(permit));
    };
    std::thread::scope(|scope| {
        for of in [batch, batch, Partition::default(), Partition::default(), Partition::default()] {
            let (limiter, is_over, stay) = (&limiter, &is_over, &stay);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    limiter.try_acquire_in(of).into_iter().for_each(stay);
                }
            });
        }
        let owners = [(); 2].map(|()| {
            let (limiter, stay) = (&limiter, &stay);
            scope.spawn(move || {
                for number in 0..200 {
                    let permit = if number % 2 == 0 { limiter.try_acquire_in(live) } else { None };
                    stay(permit.or_else(|| limiter.acquire_in(live, Some(Duration::from_secs(60)))).expect("served"));
                }
            })
        });
        let start = Instant::now();
        owners.into_iter().for_each(|owner| owner.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        assert!(start.elapsed() < Duration::from_secs(60));
    });
    assert_eq!((limiter.in_use(), limiter.stats().waiting), (0, 0));
}
