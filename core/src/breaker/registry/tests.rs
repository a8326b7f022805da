//! Keys that come and go; what a killed process may leave at any step; bytes that nobody wrote.

use super::*;
use crate::breaker::{BreakerConfig, BreakerStats, Outcome, Rejected, State};
use crate::{Arena, ConfigErrorKind, OnConflict};
use std::sync::atomic::Ordering;
use std::time::Duration;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

/// Opens at the first failure, for ten seconds.
fn brittle() -> BreakerConfig {
    BreakerConfig { consecutive_failures: Some(1), cooldown: Duration::from_secs(10), ..BreakerConfig::default() }
}

fn config(max_breakers: u32) -> RegistryConfig {
    RegistryConfig { max_breakers, defaults: brittle(), ..RegistryConfig::default() }
}

fn of(config: RegistryConfig) -> BreakerRegistry {
    BreakerRegistry::with_clock(config, crate::ManualClock::new(0).into()).expect("valid settings")
}

fn registry(max_breakers: u32) -> BreakerRegistry {
    of(config(max_breakers))
}

fn call(registry: &BreakerRegistry, now: u64, key: &str, outcome: Outcome) -> Result<(), Rejected> {
    let breaker = registry.get_at(now, key.as_bytes());
    let permit = breaker.acquire_at(now, 0.0)?;
    breaker.report_at(now, permit, outcome, None);
    Ok(())
}

fn fine(registry: &BreakerRegistry, now: u64, key: &str) {
    call(registry, now, key, Outcome::Success).expect("closed");
}

fn trip(registry: &BreakerRegistry, now: u64, key: &str) {
    call(registry, now, key, Outcome::Failure).expect("closed");
}

fn has(registry: &BreakerRegistry, key: &str) -> bool {
    registry.peek(key.as_bytes()).is_some()
}

fn keys(registry: &BreakerRegistry) -> Vec<String> {
    registry.items().into_iter().map(|item| String::from_utf8(item.key).expect("a text")).collect()
}

#[test]
fn get_makes_and_peek_does_not() {
    let registry = registry(3);
    assert!(registry.peek(b"a").is_none() && registry.items().is_empty());
    assert_eq!(registry.get(b"a").name(), "a");
    assert!(Arc::ptr_eq(&registry.get(b"a"), &registry.peek(b"a").expect("made")));
    assert_eq!(registry.stats().breakers, 1);
    trip(&registry, 0, "a");
    assert_eq!(registry.peek(b"a").expect("made").state(), State::Open);
    assert_eq!(registry.get(b"").state(), State::Closed, "an empty key is one");
    assert_eq!(keys(&registry), ["a", ""]);
    assert_eq!(registry.remove(b"a"), Ok(true));
    assert_eq!(registry.remove(b"a"), Ok(false));
    assert_eq!(keys(&registry), [""]);
    assert_eq!(registry.get(b"a").state(), State::Closed);
}

#[test]
fn what_is_lent_is_what_get_gives() {
    let registry = registry(3);
    let made = registry.with_at(7, b"a", |breaker| {
        assert_eq!((breaker.name(), breaker.state()), ("a", State::Closed));
        // It may call anything, of its own key too.
        assert!(Arc::ptr_eq(breaker, &registry.get(b"a")));
        registry.with(b"b", |other| assert_eq!(other.name(), "b"));
        Arc::clone(breaker)
    });
    assert!(Arc::ptr_eq(&made, &registry.get(b"a")));
    assert_eq!(registry.with(b"a", |_| registry.remove(b"a")), Ok(true));
    assert_eq!(keys(&registry), ["b"]);
    registry.with(b"a", |breaker| assert!(!Arc::ptr_eq(&made, breaker), "another of that key"));
    for key in ["b", "c", "a"] {
        trip(&registry, 0, key);
    }
    registry.with(b"d", |breaker| assert!(Arc::ptr_eq(breaker, registry.overflow())));
    // A panic gives back what was lent.
    let it = std::panic::AssertUnwindSafe(&registry);
    assert!(std::panic::catch_unwind(|| it.with(b"a", |_| panic!("mine"))).is_err());
    assert_eq!(Arc::strong_count(&made), 1);
}

#[test]
fn the_oldest_call_makes_room_and_only_of_a_closed_one() {
    let registry = registry(4);
    for (now, key) in [(1, "open"), (2, "half"), (3, "a"), (4, "b")] {
        fine(&registry, now * MS, key);
    }
    trip(&registry, 5 * MS, "open");
    trip(&registry, 5 * MS, "half");
    let half = registry.get(b"half");
    let probe = half.acquire_at(11 * S, 0.0).expect("a probe");
    fine(&registry, 11 * S, "a");
    fine(&registry, 12 * S, "c");
    assert_eq!(keys(&registry), ["open", "half", "a", "c"]);
    fine(&registry, 13 * S, "d");
    assert_eq!(keys(&registry), ["open", "half", "d", "c"]);
    half.report_at(14 * S, probe, Outcome::Success, None);
    assert_eq!(half.state(), State::Closed);
    fine(&registry, 15 * S, "e");
    assert_eq!(keys(&registry), ["open", "e", "d", "c"], "its last call is the oldest");
    assert_eq!((registry.stats().evicted, registry.stats().overflowed), (3, 0));
    for (switch, key) in [("disabled", "d"), ("metrics", "c"), ("forced", "e")] {
        let breaker = registry.get(key.as_bytes());
        match switch {
            "disabled" => breaker.disable_at(0),
            "metrics" => breaker.metrics_only_at(0),
            _ => breaker.force_open_at(0),
        }
    }
    assert_eq!(registry.get_at(16 * S, b"f").name(), OVERFLOW, "who was switched by hand stays");
}

#[test]
fn newcomers_without_room_share_one_breaker() {
    let registry = registry(2);
    trip(&registry, S, "a");
    trip(&registry, S, "b");
    let shared = registry.get_at(S, b"c");
    assert!(Arc::ptr_eq(&shared, &registry.get_at(S, b"d")) && Arc::ptr_eq(&shared, registry.overflow()));
    assert_eq!(shared.name(), OVERFLOW);
    assert!(!has(&registry, "c"));
    trip(&registry, S, "c");
    assert!(call(&registry, S, "d", Outcome::Success).is_err(), "one for both");
    assert_eq!(registry.stats().overflowed, 4);
    registry.get(b"a").reset();
    assert_eq!(registry.get_at(S + 9 * MS, b"c").name(), OVERFLOW, "nobody has looked again");
    assert_eq!(registry.get_at(S - 9 * MS, b"c").name(), "c", "by an earlier clock it is long ago");
    trip(&registry, S, "c");
    assert_eq!(registry.get_at(2 * S, b"d").name(), OVERFLOW);
    assert_eq!(registry.remove(b"b"), Ok(true));
    assert_eq!(registry.get_at(2 * S, b"d").name(), "d", "somebody made room");
}

#[test]
fn a_handle_stands_for_its_key_wherever_that_is() {
    let registry = registry(1);
    let old = registry.get_at(0, b"a");
    let permit = old.acquire_at(0, 0.0).expect("closed");
    fine(&registry, MS, "b");
    // "b" stands in the place of "a" now, in the same generation of nothing.
    old.report_at(MS, permit, Outcome::Failure, None);
    assert_eq!(registry.get(b"b").stats_at(MS), BreakerStats { calls: 1, ..BreakerStats::NEW });
    assert_eq!((old.state(), old.stats_at(MS)), (State::Closed, BreakerStats::NEW), "it has no breaker");
    assert!(!has(&registry, "a"), "a look makes none");
    let again = old.acquire_at(2 * MS, 0.0).expect("a new one");
    assert!(has(&registry, "a") && !has(&registry, "b"));
    old.report_at(2 * MS, again, Outcome::Failure, None);
    assert_eq!((old.state(), registry.get(b"a").state()), (State::Open, State::Open));
    assert!(old.acquire_at(2 * MS, 0.0).is_err());
    assert_eq!(old.retry_after_ns_at(2 * MS), 10 * S);
    old.reset();
    assert_eq!(registry.get(b"a").state(), State::Closed);
    assert_eq!(old.events_since(0).len(), 2);
}

#[test]
fn a_newcomer_begins_with_nothing_of_who_made_room() {
    let registry = registry(1);
    trip(&registry, 0, "a");
    let old = registry.get(b"a");
    assert!(old.acquire_at(S, 0.0).is_err());
    let probe = old.acquire_at(10 * S, 0.0).expect("a probe");
    old.report_at(10 * S, probe, Outcome::Success, None);
    assert_eq!((old.stats_at(10 * S).opened, old.events_since(0).len()), (1, 4));
    fine(&registry, 20 * S, "b");
    let new = registry.get(b"b");
    assert_eq!(new.stats_at(20 * S), BreakerStats { calls: 1, ..BreakerStats::NEW });
    assert_eq!(new.events_since(0), []);
    trip(&registry, 20 * S, "b");
    assert_eq!(new.events_since(0)[0].seq, 0);
}

#[test]
fn a_trip_and_the_making_of_room_exclude_each_other() {
    let registry = registry(1);
    let a = registry.get_at(0, b"a");
    let shelf = &registry.shelf;
    let (place, seen) = shelf.oldest(1).expect("a closed one");
    trip(&registry, 0, "a");
    assert!(!shelf.retire(place, seen), "the trip came first");
    assert_eq!(a.state(), State::Open);
    a.reset();
    let permit = a.acquire_at(0, 0.0).expect("closed");
    let (place, seen) = shelf.oldest(1).expect("a closed one");
    assert!(shelf.retire(place, seen));
    a.report_at(0, permit, Outcome::Failure, None);
    assert_eq!(shelf.stats().breakers, 1);
    assert!(registry.shelf.control(place).is_retired(), "the outcome is late");
}

#[test]
fn long_keys_are_exact() {
    let registry = registry(8);
    let long = |last: u8| [vec![b'x'; 400], vec![last]].concat();
    let exact = [vec![b'x'; 256], vec![b'x'; 255], vec![b'x'; 257], long(1), long(2)];
    for key in &exact {
        registry.get(key);
    }
    assert_eq!(registry.stats().breakers, 5);
    let items = registry.items();
    assert_eq!(items.iter().map(|item| item.is_whole).collect::<Vec<_>>(), [true, true, false, false, false]);
    assert_eq!((items[0].key.len(), items[3].key.len()), (256, 240));
    assert_ne!(items[3].breaker.name(), items[4].breaker.name());
    registry.get(&exact[3]).force_open();
    assert_eq!((registry.get(&exact[3]).state(), registry.get(&exact[4]).state()), (State::ForcedOpen, State::Closed));
    // What another process knows only by its beginning goes on as the same.
    let known = registry.items().remove(3).breaker;
    assert_eq!(known.state(), State::ForcedOpen);
    assert_eq!(registry.remove(&exact[3]), Ok(true));
    assert!(known.acquire_at(0, 0.0).is_ok() && registry.peek(&exact[3]).is_some());
}

#[test]
fn the_pattern_that_says_most_holds() {
    let with = |cooldown| BreakerConfig { cooldown: Duration::from_secs(cooldown), ..brittle() };
    let overrides = [("*", 1), ("*.example.com", 2), ("api.*", 3), ("api.example.com", 4), ("*xample.com*", 5)];
    let overrides = overrides.map(|(pattern, cooldown)| (pattern.as_bytes().to_vec(), with(cooldown))).to_vec();
    let registry = of(RegistryConfig { overrides, ..config(8) });
    let cooldown = |key: &str| registry.get(key.as_bytes()).config().cooldown.as_secs();
    let expected = [("a", 1), ("www.example.com", 2), ("api.org", 3), ("api.example.com", 4), ("example.com", 5)];
    for (key, seconds) in expected {
        assert_eq!(cooldown(key), seconds, "{key}");
    }
    let wide = BreakerConfig { window: crate::breaker::Window::Duration(Duration::from_secs(1)), ..brittle() };
    for (overrides, words) in [
        (vec![(b"a*".to_vec(), wide)], "window"),
        (vec![(Vec::new(), brittle())], "empty pattern"),
        (vec![(b"a".to_vec(), brittle()), (b"a".to_vec(), brittle())], "twice"),
        (vec![(b"a".to_vec(), BreakerConfig { failure_rate_threshold: 50.0, ..brittle() })], "for \"a\""),
    ] {
        let error = BreakerRegistry::new(RegistryConfig { overrides, ..config(8) }).expect_err("wrong");
        assert_eq!(error.field(), "overrides");
        assert!(error.message().contains(words), "{error}");
    }
    let none = BreakerRegistry::new(RegistryConfig { max_breakers: 0, ..config(8) }).expect_err("no room at all");
    assert_eq!((none.field(), none.kind()), ("max_breakers", ConfigErrorKind::OutOfRange));
}

#[test]
fn a_flood_of_keys_leaves_the_open_one_open() {
    let registry = registry(16);
    trip(&registry, 0, "dependency");
    for number in 0..100_000_u64 {
        fine(&registry, number * 1_000, &format!("key{number}"));
    }
    assert_eq!(registry.get(b"dependency").state(), State::Open);
    assert!(has(&registry, "dependency"));
    let stats = registry.stats();
    assert_eq!((stats.breakers, stats.evicted, stats.overflowed), (16, 100_000 - 15, 0));
}

#[test]
fn a_last_call_of_a_bad_clock_is_long_ago() {
    let registry = registry(2);
    fine(&registry, 0, "a");
    fine(&registry, 1_000 * S, "b");
    fine(&registry, MS, "c");
    assert_eq!(keys(&registry), ["a", "c"]);
    fine(&registry, 10 * S, "a");
    fine(&registry, 5 * S, "a");
    fine(&registry, 6 * S, "c");
    fine(&registry, 7 * S, "d");
    assert_eq!(keys(&registry), ["a", "d"], "a late reading takes no call away");
}

/// Cut off after each step, whoever comes next goes on.
#[test]
fn others_go_on_for_the_killed() {
    type Step = fn(&Shelf, usize);
    let steps: [(&str, Step); 6] = [
        ("retired", |_, _| {}),
        ("out of the index", |shelf, place| {
            shelf.index.remove(shelf.keys[place][0].load(Ordering::Relaxed), place);
        }),
        ("incarnation ended", |shelf, place| {
            shelf.index.remove(shelf.keys[place][0].load(Ordering::Relaxed), place);
            shelf.incarnation(place).fetch_add(1, Ordering::Relaxed);
        }),
        ("key half written", |shelf, place| {
            shelf.index.remove(shelf.keys[place][0].load(Ordering::Relaxed), place);
            shelf.incarnation(place).fetch_add(1, Ordering::Relaxed);
            shelf.keys[place][0].store(shelf.hash(b"new"), Ordering::Relaxed);
        }),
        ("not in the index", |shelf, place| {
            shelf.vacate(place);
            key::write(&shelf.keys[place], &shelf.key(b"new"));
            shelf.calls[place].store(1, Ordering::Relaxed);
            shelf.incarnation(place).fetch_add(1, Ordering::Relaxed);
        }),
        ("in the index, and still retired", |shelf, place| {
            shelf.vacate(place);
            let key = shelf.key(b"new");
            key::write(&shelf.keys[place], &key);
            shelf.calls[place].store(1, Ordering::Relaxed);
            let incarnation = shelf.incarnation(place).fetch_add(1, Ordering::Relaxed) + 1;
            shelf.index.insert(key.hash, place, incarnation);
        }),
    ];
    for (name, step) in steps {
        for first in ["old", "new", "other"] {
            let registry = registry(2);
            fine(&registry, 0, "old");
            fine(&registry, MS, "b");
            let held = registry.get(b"old");
            let (place, seen) = registry.shelf.oldest(2).expect("the old one");
            assert!(registry.shelf.retire(place, seen));
            step(&registry.shelf, place);
            assert!(!has(&registry, "old") || name == "retired", "{name}");
            assert!(!has(&registry, "new"), "{name}");
            fine(&registry, 2 * MS, first);
            assert!(has(&registry, first), "{name}, {first}");
            assert_eq!(registry.get(first.as_bytes()).stats_at(2 * MS).calls, 1, "{name}, {first}");
            held.acquire_at(3 * MS, 0.0).expect("closed");
            for (at, key) in (4..).zip(["new", "old", "b", "new"]) {
                fine(&registry, at * MS, key);
                trip(&registry, at * MS, key);
                registry.get(key.as_bytes()).reset();
            }
            assert_eq!(registry.stats().overflowed, 0, "{name}, {first}");
            let mut known = keys(&registry);
            known.sort();
            assert_eq!(known, ["b", "new"], "{name}, {first}");
            assert_eq!(registry.shelf.stats().breakers, 2);
        }
    }
}

#[test]
fn foreign_bytes_neither_hang_nor_panic() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..40 {
        let registry = registry(4);
        let held: Vec<_> = ["a", "b", "c"].map(|key| registry.get(key.as_bytes())).to_vec();
        let permit = held[0].acquire_at(0, 0.0).expect("closed");
        let shelf = &registry.shelf;
        let mut scribble = |word: &crate::sync::AtomicU64, half: bool| {
            if !half || random.bool() {
                word.store(
                    [0, 1, u64::MAX, random.u64(..), random.u64(..) | 1 << 63][random.usize(..5)],
                    Ordering::Relaxed,
                );
            }
        };
        let half = round % 2 == 1;
        shelf.index.words().for_each(|word| scribble(word, half));
        shelf.keys.iter().flatten().chain(shelf.calls.iter()).for_each(|word| scribble(word, half));
        for place in 0..4 {
            scribble(shelf.incarnation(place), half);
            scribble(&shelf.rows.heads[place].control.word, half);
        }
        (0..3).for_each(|at| scribble(&shelf.common.0[at], half));
        for now in [0, S, u64::MAX / 2, u64::MAX] {
            for key in ["a", "b", "new", "newer", ""] {
                let breaker = registry.get_at(now, key.as_bytes());
                if let Ok(permit) = breaker.acquire_at(now, 0.5) {
                    breaker.report_at(now, permit, Outcome::Failure, None);
                }
                let _ = (registry.peek(key.as_bytes()), registry.remove(key.as_bytes()));
            }
            for breaker in &held {
                breaker.report_at(now, permit, Outcome::Failure, None);
                let _ = (breaker.acquire_at(now, 0.5), breaker.state(), breaker.stats_at(now));
                let _ = breaker.events_since(0);
                breaker.force_open_at(now);
            }
            let _ = (registry.items(), registry.stats());
        }
    }
}

#[test]
fn all_who_open_it_in_an_arena_share_all_breakers() {
    let clock = crate::ManualClock::new(0);
    let arena = Arena::private("registry", 1 << 20, (&clock).into()).expect("an arena");
    let open = |config, on_conflict| BreakerRegistry::in_arena(&arena, "it", config, on_conflict);
    let one = open(config(4), OnConflict::Error).expect("made");
    let two = open(config(4), OnConflict::Error).expect("opened");
    trip(&one, 0, "a");
    assert!(has(&two, "a"));
    assert!(call(&two, 0, "a", Outcome::Success).is_err());
    for (at, key) in (1..).zip(["b", "c", "d", "e", "f"]) {
        fine(&two, at * MS, key);
    }
    assert_eq!(keys(&one), ["a", "e", "f", "d"]);
    assert_eq!((one.stats(), one.stats().evicted), (two.stats(), 2));
    let b = two.get_at(9 * MS, b"b");
    assert_eq!(one.remove(b"b"), Ok(true));
    assert!(b.acquire_at(10 * MS, 0.0).is_ok() && has(&one, "b"));
    let error = open(config(5), OnConflict::Apply).expect_err("another size");
    assert!(error.message().contains("5 breakers") && error.message().contains("4 breakers"), "{error}");
    let overrides = vec![(b"a*".to_vec(), BreakerConfig { cooldown: Duration::from_secs(1), ..brittle() })];
    let other = RegistryConfig { overrides, ..config(4) };
    let error = open(other.clone(), OnConflict::Error).expect_err("other settings");
    assert!(error.message().contains("other settings for 1 patterns"), "{error}");
    let kept = open(other.clone(), OnConflict::Keep).expect("kept");
    assert_eq!(kept.config().of(b"abc").cooldown, Duration::from_secs(1));
    open(other, OnConflict::Apply).expect("applied");
    match arena.to_look("it").expect("known").expect("sound") {
        crate::inspect::Object::BreakerRegistry(look) => assert_eq!(keys(&look), keys(&one)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_process_has_one_handle_of_a_key() {
    let registry = registry(64);
    let asked: Vec<Vec<_>> = std::thread::scope(|scope| {
        let ask = || (0..64_u8).map(|key| registry.get(&[key])).collect();
        let threads = [(); 4].map(|()| scope.spawn(ask));
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let items = registry.items();
    for (key, breaker) in (0..64_u8).zip(&asked[0]) {
        assert!(asked.iter().all(|all| Arc::ptr_eq(&all[usize::from(key)], breaker)));
        assert!(items.iter().any(|item| Arc::ptr_eq(&item.breaker, breaker)));
        assert!(Arc::ptr_eq(&registry.peek(&[key]).expect("it has one"), breaker));
    }
    registry.remove(&[7]).expect("its lock");
    assert!(!Arc::ptr_eq(&registry.get(&[7]), &asked[0][7]));
}

#[test]
fn settings_of_a_pattern_change() {
    let with = |cooldown| BreakerConfig { cooldown: Duration::from_secs(cooldown), ..brittle() };
    let overrides = vec![(b"api.*".to_vec(), with(3))];
    let registry = of(RegistryConfig { overrides, ..config(4) });
    let cooldown = |key: &str| registry.get(key.as_bytes()).config().cooldown.as_secs();
    let held = ["api.org", "api.example.com", "www.example.com", "else"].map(|key| registry.get(key.as_bytes()));
    let of_held = || held.each_ref().map(|breaker| breaker.config().cooldown.as_secs());
    trip(&registry, 0, "www.example.com");
    registry.set_config(b"*.example.com", &with(5)).expect("sound");
    assert_eq!(of_held(), [3, 5, 5, 10]);
    assert_eq!(held[2].state(), State::Open, "it stays what it is");
    registry.update_config(b"api.*", |config| config.min_calls = 7).expect("sound");
    assert_eq!(of_held(), [3, 5, 5, 10]);
    assert_eq!((held[0].config().min_calls, held[1].config().min_calls), (7, with(5).min_calls));
    registry.set_config(b"*", &with(1)).expect("sound");
    assert_eq!(of_held(), [3, 5, 5, 1]);
    assert_eq!(registry.overflow().config().cooldown.as_secs(), 1);
    assert_eq!((cooldown("new"), cooldown("api.new"), cooldown("new.example.com")), (1, 3, 5));
    let wide = crate::breaker::Window::Duration(Duration::from_secs(1));
    for (pattern, wrong, field) in [
        ("*", BreakerConfig { failure_rate_threshold: 50.0, ..brittle() }, "failure_rate_threshold"),
        ("a", BreakerConfig { window: wide, ..brittle() }, "window_duration"),
        ("", brittle(), "pattern"),
    ] {
        let before = registry.config();
        let error = registry.set_config(pattern.as_bytes(), &wrong).expect_err("wrong");
        assert_eq!(error.field(), field, "{error}");
        assert_eq!((registry.config(), cooldown("else")), (before, 1), "nothing is changed");
    }
}

#[test]
fn settings_of_a_pattern_change_for_all_where_a_breaker_stands() {
    let clock = crate::ManualClock::new(0);
    let arena = Arena::private("settings", 1 << 20, (&clock).into()).expect("an arena");
    let open = || BreakerRegistry::in_arena(&arena, "it", config(4), OnConflict::Error).expect("sound");
    let (one, two) = (open(), open());
    let cooldown = |registry: &BreakerRegistry, key: &str| registry.get(key.as_bytes()).config().cooldown.as_secs();
    assert_eq!((cooldown(&one, "a"), cooldown(&two, "b")), (10, 10));
    one.update_config(b"*", |config| config.cooldown = Duration::from_secs(1)).expect("sound");
    assert_eq!((cooldown(&two, "a"), cooldown(&two, "b"), cooldown(&one, "b")), (1, 1, 1));
    assert_eq!(two.overflow().config().cooldown.as_secs(), 1);
    assert_eq!((cooldown(&one, "c"), cooldown(&two, "d")), (1, 1), "whoever makes it");
    two.update_config(b"e*", |config| config.min_calls = 7).expect("sound");
    assert_eq!((cooldown(&one, "e"), one.get(b"e").config().min_calls), (1, 7), "from what meant its keys before");
    two.update_config(b"*", |config| config.min_calls = 3).expect("sound");
    assert_eq!((cooldown(&one, "f"), one.get(b"f").config().min_calls), (1, 3), "what the other had changed stays");
    let of_pattern =
        |registry: &BreakerRegistry| registry.config_of(b"e1").map(|it| (it.cooldown.as_secs(), it.min_calls));
    assert_eq!((of_pattern(&one), of_pattern(&two)), (Ok((1, 7)), Ok((1, 7))), "what others have changed");
    assert_eq!(one.config_of(b"").expect_err("empty").field(), "pattern");
    let later = open();
    later.remove(b"a").expect("its lock");
    assert_eq!((cooldown(&later, "a"), later.get(b"a").config().min_calls), (1, 3), "and for who comes later");
    let error = one.set_config(&[b'x'; 65], &config(4).defaults).expect_err("too long");
    assert_eq!((error.field(), error.kind()), ("pattern", ConfigErrorKind::OutOfRange));
    assert!(!one.config().overrides.iter().any(|(pattern, _)| pattern.len() > 64), "nothing is changed");
    let strict = RegistryConfig {
        defaults: BreakerConfig { min_calls: 2, cooldown: Duration::from_secs(20), ..config(4).defaults },
        ..config(4)
    };
    let applied = BreakerRegistry::in_arena(&arena, "it", strict, OnConflict::Apply).expect("sound");
    assert_eq!(cooldown(&applied, "new"), 20, "what is declared now holds");
    let expected = (10, config(4).defaults.min_calls);
    assert_eq!((cooldown(&one, "g"), one.get(b"g").config().min_calls), expected, "nobody has the changes any more");
}

/// A change is of what it names, and of nothing else.
#[test]
fn a_change_of_a_pattern_undoes_no_other() {
    let of_key = |registry: &BreakerRegistry, key: &str| {
        let config = registry.get(key.as_bytes()).config();
        (config.cooldown.as_secs(), config.min_calls)
    };
    let registry = registry(8);
    let held = registry.get(b"e1");
    let usual = held.config().min_calls;
    registry.update_config(b"*", |config| config.cooldown = Duration::from_secs(5)).expect("sound");
    registry.update_config(b"e*", |config| config.min_calls = 7).expect("sound");
    assert_eq!((of_key(&registry, "e1"), of_key(&registry, "e2")), ((5, 7), (5, 7)), "those before, and new ones");
    registry.update_config(b"em*", |config| config.min_calls = 8).expect("sound");
    registry.update_config(b"*a", |config| config.min_calls = 9).expect("sound");
    assert_eq!(
        (of_key(&registry, "em1"), of_key(&registry, "a"), of_key(&registry, "b")),
        ((5, 8), (5, 9), (5, usual))
    );
    held.update_config(|config| config.cooldown = Duration::from_secs(9)).expect("sound");
    registry.update_config(b"e*", |config| config.min_calls = 6).expect("sound");
    assert_eq!((of_key(&registry, "e1"), of_key(&registry, "e2")), ((9, 6), (5, 6)), "what was changed of it alone");
    held.update_config(|config| config.max_cooldown = Some(Duration::from_secs(9))).expect("sound");
    let before = registry.config();
    let error = registry.update_config(b"e*", |config| config.cooldown = Duration::from_secs(30)).expect_err("longer");
    assert_eq!((error.field(), error.kind()), ("max_cooldown", ConfigErrorKind::Conflict));
    assert!(error.message().contains("\"e1\""), "{error}");
    assert_eq!((registry.config(), of_key(&registry, "e2")), (before, (5, 6)), "nothing is changed");
}

/// A lookup compares the key itself, wherever it stands: not its hash alone, and zeros at its end count.
#[test]
fn keys_of_every_length_are_told_apart() {
    let registry = registry(20);
    let lengths = [0, 1, 29, 30, 31, 32, 240, 255, 256, 257, 300];
    let texts = lengths.map(|len| vec![0; len]);
    let keys = texts.each_ref().map(|text| registry.shelf.key(text));
    for (key, text) in keys.iter().zip(&texts) {
        for other in &texts {
            assert_eq!(key.is(other, || registry.shelf.key(other)), text == other, "{} {}", text.len(), other.len());
        }
        let mut other = text.clone();
        if let Some(last) = other.last_mut() {
            *last = 1;
            assert!(!key.is(&other, || registry.shelf.key(&other)), "{} by its last byte", text.len());
        }
        assert_eq!(
            (key.text(), key.is_whole()),
            (&text[..if text.len() > 256 { 240 } else { text.len() }], text.len() <= 256)
        );
    }
    let breakers = texts.each_ref().map(|text| registry.get(text));
    for (breaker, text) in breakers.iter().zip(&texts) {
        assert!(Arc::ptr_eq(breaker, &registry.get(text)) && breaker.state() == State::Closed);
        breaker.force_open();
    }
    assert_eq!(registry.stats().breakers, texts.len() as u64);
}
