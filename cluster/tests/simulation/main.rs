//! The real script and the real host under random histories of faults; and without each of their safeguards, to see
//! that it bites. `TIDEGATE_HISTORIES=10000 cargo test --profile sim -p tidegate-cluster` plays as many of each mode.

mod dying;
mod mutants;
mod real;
#[path = "../server/mod.rs"]
mod server;
mod store;
mod world;

use mutants::MUTANTS;
use store::Store;
use world::{Fault, Mode, history};

fn histories() -> u64 {
    let said = std::env::var("TIDEGATE_HISTORIES").ok();
    said.map_or(120, |said| said.parse().expect("TIDEGATE_HISTORIES is a number"))
}

/// A hint where each is caught comes first, so that it is found at once while the histories stay what they are.
fn seeds(hint: u64) -> impl Iterator<Item = u64> {
    std::iter::once(hint).chain(0..CAUGHT_WITHIN)
}

fn all_keep_the_law(mode: Mode) {
    let store = Store::new(tidegate_cluster::SYNC);
    let (mut near, mut admitted, mut idle) = (0, 0, 0);
    for seed in 0..histories() {
        let verdict = history(&store, seed, mode, Fault::None);
        assert!(!verdict.is_over(), "seed {seed}: {verdict:?} is above {}", verdict.bound());
        near += u64::from(verdict.worst > 0.95 * verdict.burst);
        admitted += verdict.admitted;
        idle += u64::from((verdict.admitted as f64) < 0.3 * verdict.rate * verdict.secs);
    }
    println!("{mode:?}: {} histories, {admitted} admitted, {near} near the limit, {idle} below 30 %", histories());
    assert!(near * 4 > histories(), "only {near} of {} histories come near the limit", histories());
}

#[test]
fn a_host_that_denies_without_the_store_keeps_the_law() {
    all_keep_the_law(Mode::Plain);
}

#[test]
fn a_host_that_goes_on_with_its_share_keeps_the_law() {
    all_keep_the_law(Mode::Local);
}

#[test]
fn a_leap_of_the_stores_clock_costs_at_most_its_bound() {
    all_keep_the_law(Mode::Clock);
}

/// The histories within which each is caught, with room to spare.
const CAUGHT_WITHIN: u64 = 3_000;

#[test]
fn without_any_of_its_safeguards_the_law_is_broken() {
    let mut escaped = Vec::new();
    for mutant in MUTANTS {
        let store = Store::new(&mutant.script());
        let caught = seeds(mutant.hint).find(|&seed| history(&store, seed, mutant.mode, mutant.fault).is_over());
        println!("{}: {caught:?}", mutant.name);
        if caught.is_none() {
            escaped.push(mutant.name);
        }
    }
    assert!(escaped.is_empty(), "not caught in {CAUGHT_WITHIN} histories: {escaped:?}");
}

#[test]
fn the_simulated_store_answers_as_redis_does() {
    let Some(mut redis) = real::Redis::start() else { return };
    for (seed, mode) in [(1, Mode::Plain), (8, Mode::Local), (14, Mode::Clock)] {
        let store = Store::new(tidegate_cluster::SYNC);
        let asked = world::questions(&store, seed, mode);
        assert!(asked.len() > 50, "only {} questions", asked.len());
        for asked in asked.iter().take(600) {
            assert_eq!(redis.sync(asked), (asked.answer.clone(), asked.after.hashes.clone()), "{:?}", asked.args);
        }
    }
}

/// A store whose clock steps back costs no host its tokens for long.
#[test]
fn after_a_step_back_of_the_stores_clock_hosts_get_on() {
    let store = Store::new(tidegate_cluster::SYNC);
    let args = |seq: u64, spent: u64, epoch: &str, seen: u64, most: u64| {
        let numbers = [seq, 0, spent, 10, 100, 100, 1_000_000, 100, 500_000, 50];
        let mut args = vec!["x".to_owned()];
        args.extend(numbers.iter().map(u64::to_string));
        args.extend([epoch.to_owned(), seen.to_string(), most.to_string()]);
        args.extend(["0", "1", "0", "0", "0"].map(str::to_owned));
        args
    };
    let at = |us: u64| store.data.borrow_mut().now_us = us;
    at(1_000_000_000);
    let hello = store.sync(&args(0, 0, "-", 0, 0));
    assert_eq!(hello.status, "hello");
    at(1_002_000_000);
    let granted = store.sync(&args(1, 0, &hello.epoch, hello.store_us, 2_100_000));
    assert_eq!((granted.status.as_str(), granted.granted), ("ok", 10));
    // A minute back; what accrued before stays, and time goes on from where it was.
    at(942_000_000);
    let granted = store.sync(&args(2, 10, &hello.epoch, granted.store_us, 200_000));
    assert_eq!((granted.status.as_str(), granted.granted, granted.store_us), ("ok", 10, 1_002_000_000));
    at(943_000_000);
    let after = store.sync(&args(3, 20, &hello.epoch, granted.store_us, 1_100_000));
    assert_eq!((after.status.as_str(), after.store_us), ("ok", 1_003_000_000));
    assert_eq!((after.granted, after.level), (10, 80), "{granted:?}, {after:?}");
}
