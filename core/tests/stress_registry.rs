//! Threads that ask for more keys than have room, and one key that is open all the while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use tidegate::breaker::{Outcome, State};
use tidegate::{Arena, BreakerConfig, BreakerRegistry, OnConflict, RegistryConfig};

const THREADS: usize = 8;

fn config(max_breakers: u32) -> RegistryConfig {
    let defaults = BreakerConfig {
        consecutive_failures: Some(1),
        cooldown: Duration::from_secs(3600),
        ..BreakerConfig::default()
    };
    RegistryConfig { max_breakers, defaults, ..RegistryConfig::default() }
}

/// A key's number says whether its calls fail. No key that never fails is ever refused but by the shared breaker, no
/// key that has tripped ever passes again, and each breaker carries its key's name. (A handle whose key finds no place
/// goes by the shared breaker too, under its own name.)
fn stress(registries: &[&BreakerRegistry], rounds: u64) {
    let barrier = Barrier::new(registries.len());
    let tripped = [const { AtomicU64::new(0) }; 4];
    std::thread::scope(|scope| {
        for (seed, registry) in (1_u64..).zip(registries) {
            let (barrier, tripped) = (&barrier, &tripped);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut held = Vec::new();
                barrier.wait();
                for _ in 0..rounds {
                    let number = random.u64(..40);
                    let key = format!("k{number}");
                    let fails = number < tripped.len() as u64;
                    let breaker = match random.usize(..4) {
                        0 if !held.is_empty() => {
                            let (kept, breaker): &(u64, Arc<tidegate::CircuitBreaker>) =
                                &held[random.usize(..held.len())];
                            if *kept < tripped.len() as u64 {
                                continue;
                            }
                            breaker.clone()
                        }
                        _ => registry.get(key.as_bytes()),
                    };
                    let shared = breaker.name().starts_with('(');
                    let own = breaker.name() == key;
                    if own && fails {
                        // Before the call: by then it was open.
                        let was = tripped[number as usize].load(Ordering::Acquire) > 0;
                        if let Ok(permit) = breaker.acquire() {
                            assert!(!was, "{key} was open, and let a call pass");
                            breaker.report(permit, Outcome::Failure, None);
                        }
                        if registry.peek(key.as_bytes()).is_some_and(|own| own.state() == State::Open) {
                            tripped[number as usize].store(1, Ordering::Release);
                        }
                        continue;
                    }
                    match breaker.acquire() {
                        Ok(permit) => breaker.report(permit, Outcome::Success, None),
                        Err(refusal) => {
                            let is_shared = registry.overflow().state() == State::Open;
                            assert!(is_shared, "{} never failed: {refusal}", breaker.name());
                        }
                    }
                    if !shared && held.len() < 50 {
                        held.push((number, breaker));
                    }
                }
            });
        }
    });
    let registry = &registries[0];
    for (number, was) in tripped.iter().enumerate() {
        assert_eq!(was.load(Ordering::Acquire), 1, "k{number} failed");
        let breaker = registry.peek(format!("k{number}").as_bytes()).expect("an open one never makes room");
        assert_eq!((breaker.state(), breaker.stats().opened), (State::Open, 1));
    }
    let stats = registry.stats();
    let mut keys: Vec<_> = registry.items().into_iter().map(|item| item.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len() as u64, stats.breakers), (stats.max_breakers, stats.max_breakers), "each key once");
    assert!(stats.evicted > 0);
}

#[test]
fn threads_of_one_registry() {
    let registry = BreakerRegistry::new(config(12)).expect("sound settings");
    stress(&[&registry; THREADS], 4_000);
}

#[test]
fn handles_of_one_registry() {
    let arena = Arena::private("stress", 1 << 20, tidegate::Clock::monotonic()).expect("an arena");
    let open = || BreakerRegistry::in_arena(&arena, "it", config(12), OnConflict::Error).expect("sound settings");
    let registries: [_; THREADS] = std::array::from_fn(|_| open());
    stress(&registries.each_ref(), 4_000);
}

/// A breaker that is lent is its key's as long as it is lent, also where its key is removed or makes room meanwhile,
/// and however many one thread has at once.
#[test]
fn what_is_lent_stays() {
    const KEYS: u64 = 20;
    let defaults = BreakerConfig { min_calls: 10, ..BreakerConfig::default() };
    let registry = BreakerRegistry::new(RegistryConfig { max_breakers: 12, defaults, ..RegistryConfig::default() });
    let registry = registry.expect("sound settings");
    let barrier = Barrier::new(THREADS);
    fn nested(registry: &BreakerRegistry, random: &mut fastrand::Rng, depth: u32) {
        let key = format!("k{}", random.u64(..KEYS));
        registry.with(key.as_bytes(), |breaker| {
            let permit = breaker.acquire().expect("none ever fails");
            if random.u8(..4) == 0 {
                registry.remove(key.as_bytes()).expect("no arena");
                registry.get(format!("k{}", random.u64(..KEYS)).as_bytes());
            }
            // More than a thread has of what `arc_swap` lends without counting.
            if depth < 12 {
                nested(registry, random, depth + 1);
            }
            breaker.report(permit, Outcome::Success, None);
            assert!(breaker.name() == key || breaker.name().starts_with('('), "{} is not {key}", breaker.name());
        });
    }
    std::thread::scope(|scope| {
        for seed in 0..THREADS as u64 {
            let (registry, barrier) = (&registry, &barrier);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                barrier.wait();
                (0..200).for_each(|_| nested(registry, &mut random, 0));
            });
        }
    });
}

/// Memory is what it was, and the open one open.
#[test]
fn many_keys() {
    // A million take half a minute without optimization.
    const KEYS: u32 = if cfg!(debug_assertions) { 200_000 } else { 1_000_000 };
    let registry = BreakerRegistry::new(config(64)).expect("sound settings");
    let dependency = registry.get(b"dependency");
    dependency.report(dependency.acquire().expect("closed"), Outcome::Failure, None);
    let flood = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            drop(registry.get(&number.to_le_bytes()));
        }
    };
    flood(0..KEYS / 10);
    let before = resident();
    flood(KEYS / 10..KEYS);
    let after = resident();
    assert!(after < before + (4 << 20), "{before} bytes became {after}");
    assert_eq!(registry.peek(b"dependency").expect("it stays").state(), State::Open);
    assert!(registry.get(b"dependency").acquire().is_err());
    assert_eq!((registry.stats().breakers, registry.stats().overflowed), (64, 0));
}

/// Bytes of this process in memory; 0 where the system does not say.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
