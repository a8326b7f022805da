//! Every interleaving of two threads, up to a bound on preemptions.

use super::*;
use crate::breaker::{BreakerConfig, Outcome, Permit, State};
use loom::thread;
use std::time::Duration;

const MS: u64 = 1_000_000;

fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Opens at the first failure.
fn registry(max_breakers: u32) -> Arc<BreakerRegistry> {
    let defaults = BreakerConfig {
        consecutive_failures: Some(1),
        window: crate::breaker::Window::Calls(2),
        cooldown: Duration::from_millis(5),
        ..BreakerConfig::default()
    };
    let config = RegistryConfig { max_breakers, defaults, overrides: Vec::new() };
    Arc::new(BreakerRegistry::with_clock(config, crate::ManualClock::new(0).into()).expect("valid settings"))
}

fn permit(breaker: &CircuitBreaker, now: u64) -> Permit {
    breaker.acquire_at(now, 0.0).expect("a permit")
}

/// Two who ask for the same new key get the same breaker.
#[test]
fn loom_same_key_twice() {
    explore(3, || {
        let registry = registry(2);
        let other = {
            let registry = registry.clone();
            thread::spawn(move || {
                let breaker = registry.get_at(0, b"a");
                breaker.report_at(0, permit(&breaker, 0), Outcome::Success, None);
            })
        };
        let breaker = registry.get_at(0, b"a");
        breaker.report_at(0, permit(&breaker, 0), Outcome::Success, None);
        other.join().unwrap();
        assert_eq!((registry.stats().breakers, registry.stats().overflowed), (1, 0));
        assert_eq!(registry.get_at(0, b"a").stats_at(0).calls, 2, "both counted in one");
    });
}

/// Either the trip comes first, and the key stays open and in its place; or it makes room, and the outcome is dropped.
#[test]
fn loom_making_room_against_a_trip() {
    explore(3, || {
        let registry = registry(1);
        let old = registry.get_at(0, b"a");
        let failed = permit(&old, 0);
        let other = {
            let registry = registry.clone();
            thread::spawn(move || registry.get_at(MS, b"b").name().to_owned())
        };
        old.report_at(MS, failed, Outcome::Failure, None);
        let name = other.join().unwrap();
        match registry.peek(b"a") {
            Some(a) => {
                assert_eq!((a.state(), a.stats_at(MS).opened), (State::Open, 1));
                assert_eq!((name.as_str(), registry.stats().evicted), (OVERFLOW, 0));
            }
            None => {
                let b = registry.peek(b"b").expect("it found room");
                assert_eq!((b.state(), b.stats_at(MS).opened, b.stats_at(MS).calls), (State::Closed, 0, 0));
                assert!(b.stats_at(MS).last_trip.is_none() && b.events_since(0).is_empty());
                assert_eq!((name.as_str(), registry.stats().evicted), ("b", 1));
            }
        }
    });
}

/// Who calls by a handle whose place changes hands calls for the handle's key, never for the newcomer.
#[test]
fn loom_a_call_against_the_making_of_room() {
    explore(2, || {
        let registry = registry(2);
        let old = registry.get_at(0, b"a");
        permit(&registry.get_at(MS, b"x"), MS);
        let other = {
            let registry = registry.clone();
            thread::spawn(move || drop(registry.get_at(2 * MS, b"b")))
        };
        let call = permit(&old, MS);
        old.report_at(MS, call, Outcome::Failure, None);
        other.join().unwrap();
        if let Some(b) = registry.peek(b"b") {
            assert_eq!((b.state(), b.stats_at(MS).calls), (State::Closed, 0), "the outcome is another key's");
        }
        if let Some(a) = registry.peek(b"a") {
            let stats = a.stats_at(MS);
            assert!(stats.state == State::Open || stats.calls == 0, "{stats:?}");
        }
    });
}

/// Who looks for a key that stands all the while finds it, whatever comes and goes in its chain.
#[test]
fn loom_a_look_against_the_making_of_room() {
    explore(2, || {
        let registry = registry(2);
        let a = registry.get_at(0, b"a");
        a.force_open_at(0);
        registry.get_at(0, b"b");
        let other = {
            let registry = registry.clone();
            thread::spawn(move || drop(registry.get_at(MS, b"c")))
        };
        let key = registry.shelf.key(b"a");
        assert_eq!(registry.shelf.find(&key).map(|a| a.state()), Some(State::ForcedOpen));
        let fresh = registry.shelf.find(&registry.shelf.key(b"c"));
        assert!(fresh.is_none_or(|c| c.state() == State::Closed && c.stats_at(MS).calls == 0));
        other.join().unwrap();
        assert_eq!(registry.stats().breakers, 2);
    });
}
