//! Breakers by key.

use crate::random::Random;
use crate::script::{self, MIN, MS, S, Script};
use tidegate_model::format::{Case, File, Ns};
use tidegate_model::script::registry::{Config, ModelRegistry, Op, Override};

type Registry = Script<ModelRegistry>;
type Cases = Vec<Case<Config, Op>>;

pub(crate) fn file() -> File<Config, Op> {
    let groups = [keys(), changes(), room(), handles(), clocks(), random()];
    script::file("breaker_registry", groups.into_iter().flatten().collect())
}

/// Each opens at the second failure in a row, for ten seconds.
fn config(max_breakers: u32) -> Config {
    Config { max_breakers, consecutive_failures: 2, cooldown_ns: Ns(10 * S), overrides: Vec::new() }
}

fn registry(name: &str, why: &str, max_breakers: u32) -> Registry {
    Script::new(name, why, config(max_breakers))
}

fn call(key: &str) -> Op {
    Op::Call { key: key.into(), failed: false }
}

fn failure(key: &str) -> Op {
    Op::Call { key: key.into(), failed: true }
}

fn peek(key: &str) -> Op {
    Op::Peek { key: key.into() }
}

fn hold(key: &str, name: &str) -> Op {
    Op::Hold { key: key.into(), name: name.into() }
}

fn remove(key: &str) -> Op {
    Op::Remove { key: key.into() }
}

fn set(pattern: &str, cooldown: Option<u64>, consecutive_failures: Option<u32>) -> Op {
    Op::SetConfig { pattern: pattern.into(), cooldown_ns: cooldown.map(|it| Ns(it * S)), consecutive_failures }
}

const ITEMS: Op = Op::Items {};
const STATS: Op = Op::Stats {};

fn keys() -> Cases {
    let long = "long".repeat(100);
    let overrides = [("*", 1), ("*.example.com", 2), ("api.*", 3), ("api.example.com", 4), ("*xample.com*", 5)];
    let of = |(pattern, seconds): (&str, u64)| Override { pattern: pattern.into(), cooldown_ns: Ns(seconds * S) };
    let config = Config { overrides: overrides.map(of).to_vec(), ..config(8) };
    vec![
        registry("a_breaker_each", "one key's failures say nothing of another's, and a look makes none", 4)
            .then(peek("a"))
            .then(ITEMS)
            .times(2, &failure("a"))
            .then(call("a"))
            .then(call("b"))
            .then(peek("a"))
            .then(peek("b"))
            .then(peek("c"))
            .then(ITEMS)
            .then(STATS)
            .end(),
        registry("any_text_is_a_key", "an empty one, one of other letters, and such as differ in their last letter", 8)
            .then(call(""))
            .then(call("żółw 🐢"))
            .times(2, &failure(&format!("{long}a")))
            .then(call(&format!("{long}b")))
            .then(call(&format!("{long}a")))
            .then(peek(""))
            .then(peek("żółw 🐢"))
            .then(peek("żółw"))
            .then(STATS)
            .end(),
        registry("removed", "whatever its state; who asks again gets a new one", 2)
            .times(2, &failure("a"))
            .then(remove("a"))
            .then(remove("a"))
            .then(peek("a"))
            .then(call("a"))
            .end(),
        ["www.org", "www.example.com", "api.org", "api.example.com", "example.com"]
            .into_iter()
            .fold(
                Script::new("overrides", "the pattern that says most holds, of equals the first", config),
                |script: Registry, key| script.times(2, &failure(key)).then(call(key)),
            )
            .end(),
    ]
}

fn changes() -> Cases {
    let overrides = vec![Override { pattern: "*.example.com".into(), cooldown_ns: Ns(3 * S) }];
    let config = Config { overrides, ..config(8) };
    let trip = |script: Registry, key: &str, failures| script.times(failures, &failure(key)).then(call(key));
    let script = Script::new(
        "a_change_is_of_what_it_names",
        "a new pattern begins with what meant all of its keys before, or with the settings of all",
        config,
    );
    let script: Registry = script.then(call("e1")).then(call("a.example.com"));
    let script = trip(script.then(set("*", Some(5), None)).then(set("e*", None, Some(3))), "e1", 3);
    let script = trip(trip(trip(script, "e2", 3), "a", 2), "a.example.com", 2);
    let script = script.then(set("eb*", Some(7), None)).then(set("a.example.com", None, Some(1)));
    let script = trip(trip(script, "eb", 3), "e3", 3).then(remove("a.example.com"));
    let script = trip(script, "a.example.com", 1).then(set("e*", Some(6), None));
    let script = trip(trip(trip(script, "e4", 3), "eb2", 3), "b.example.com", 2);
    let held = registry("a_change_reaches_breakers_that_stand", "their state and the calls in their windows stay", 2)
        .times(1, &failure("e1"))
        .times(2, &failure("open"))
        .then(set("*", Some(20), Some(3)))
        .then(call("open"))
        .times(2, &failure("e1"))
        .then(call("e1"))
        .then(set("e1", None, Some(9)))
        .then(Op::Reset { key: "e1".into() })
        .times(3, &failure("e1"))
        .then(call("e1"))
        .then(failure("c"))
        .then(failure("c"))
        .then(failure("c"))
        .then(call("c"));
    vec![script.then(STATS).end(), held.then(STATS).end()]
}

fn room() -> Cases {
    let full =
        |script: Registry| ["a", "b", "c"].into_iter().fold(script, |script, key| script.then(call(key)).after(MS));
    vec![
        full(registry("the_oldest_call_makes_room", "a call, not a look, makes a breaker young", 3))
            .then(call("a"))
            .then(peek("b"))
            .after(MS)
            .then(call("d"))
            .then(ITEMS)
            .after(MS)
            .then(call("e"))
            .then(ITEMS)
            .then(STATS)
            .end(),
        full(registry("an_open_one_never_makes_room", "nor a half-open one, nor one that was switched by hand", 3))
            .times(2, &failure("a"))
            .then(Op::ForceOpen { key: "b".into() })
            .after(MS)
            .each(0..20, |script, i| script.then(call(&format!("k{i}"))).after(MS))
            .then(ITEMS)
            .after(10 * S)
            .then(hold("a", "a"))
            .then(Op::AcquireHeld { held: "a".into(), name: "probe".into() })
            .then(peek("a"))
            .each(20..30, |script, i| script.then(call(&format!("k{i}"))).after(MS))
            .then(peek("a"))
            .then(Op::Report { permit: "probe".into(), failed: false })
            .then(peek("a"))
            .then(ITEMS)
            .after(MS)
            .then(call("x"))
            .then(ITEMS)
            .then(STATS)
            .end(),
        registry("newcomers_share_one", "where none can make room, and look again after 10 ms", 2)
            .times(2, &failure("a"))
            .times(2, &failure("b"))
            .then(call("c"))
            .then(peek("c"))
            .then(hold("c", "c"))
            .then(failure("d"))
            .then(failure("e"))
            .then(call("f"))
            .then(STATS)
            .then(Op::Reset { key: "a".into() })
            .after(9 * MS)
            .then(call("f"))
            .after(MS)
            .then(call("f"))
            .then(ITEMS)
            .then(STATS)
            .end(),
        registry("who_is_removed_makes_room_at_once", "whatever was found a moment before", 1)
            .times(2, &failure("a"))
            .then(call("b"))
            .then(ITEMS)
            .then(remove("a"))
            .then(call("b"))
            .then(ITEMS)
            .end(),
        registry("a_flood", "the open one is still open, and no more keys than may be", 8)
            .times(2, &failure("dependency"))
            .each(0..300, |script, i| script.after(MS).then(call(&format!("k{i}"))))
            .then(peek("dependency"))
            .then(call("dependency"))
            .then(ITEMS)
            .then(STATS)
            .end(),
    ]
}

fn handles() -> Cases {
    vec![
        registry("a_handle_stands_for_its_key", "also when its breaker has made room", 1)
            .then(hold("a", "a"))
            .then(Op::AcquireHeld { held: "a".into(), name: "p".into() })
            .after(MS)
            .then(failure("b"))
            .then(Op::Report { permit: "p".into(), failed: true })
            .then(peek("a"))
            .then(peek("b"))
            .after(MS)
            .then(Op::CallHeld { held: "a".into(), failed: true })
            .then(ITEMS)
            .then(Op::CallHeld { held: "a".into(), failed: true })
            .then(peek("a"))
            .then(Op::CallHeld { held: "a".into(), failed: false })
            .then(STATS)
            .end(),
        registry("a_handle_of_a_removed_key", "begins a new breaker with its next call", 2)
            .then(hold("a", "a"))
            .then(Op::CallHeld { held: "a".into(), failed: true })
            .then(remove("a"))
            .then(Op::CallHeld { held: "a".into(), failed: true })
            .then(peek("a"))
            .then(Op::CallHeld { held: "a".into(), failed: true })
            .then(peek("a"))
            .then(remove("a"))
            .then(Op::CallHeld { held: "a".into(), failed: false })
            .then(ITEMS)
            .end(),
    ]
}

fn clocks() -> Cases {
    vec![
        registry("a_late_reading_takes_no_call_away", "the last call stays the latest", 2)
            .at(10 * S)
            .then(call("a"))
            .at(5 * S)
            .then(call("a"))
            .then(call("b"))
            .at(6 * S)
            .then(call("c"))
            .then(ITEMS)
            .end(),
        registry("a_call_far_ahead_is_long_ago", "a bad reading's, by more than a minute", 2)
            .at(10 * MIN)
            .then(call("a"))
            .at(0)
            .then(call("b"))
            .after(S)
            .then(call("c"))
            .then(ITEMS)
            .end(),
    ]
}

fn random() -> Cases {
    let case = |seed| {
        let mut random = Random::new(seed);
        let (places, names) = (random.pick(&[1, 2, 3, 5]), random.pick(&[3, 6, 12]));
        registry(&format!("random_{seed}"), "few places, more keys, and a clock that now and then steps back", places)
            .at(10 * MIN)
            .each(0..150, |script, _| {
                let script = match random.below(30) {
                    0 => script.back(random.below(9) * S / 3),
                    1 => script.after(random.below(12) * S),
                    n if n < 15 => script.after(random.below(9) * MS),
                    _ => script,
                };
                let key = format!("k{}", random.below(names));
                match random.below(25) {
                    24 => {
                        // Each means all that the next one means.
                        let pattern = random.pick(&["*", "k*", "k1*", "k1"]);
                        let cooldown = (random.below(3) > 0).then(|| 1 + random.below(20));
                        let failures = (random.below(3) > 0).then(|| 1 + random.below(4) as u32);
                        script.then(set(pattern, cooldown, failures))
                    }
                    0 => script.then(remove(&key)),
                    1 => script.then(ITEMS),
                    2 => script.then(STATS),
                    3 => script.then(Op::ForceOpen { key }),
                    4 | 5 => script.then(Op::Reset { key }),
                    6 | 7 => script.then(peek(&key)),
                    n if n < 13 => script.then(failure(&key)),
                    _ => script.then(call(&key)),
                }
            })
            .then(ITEMS)
            .then(STATS)
            .end()
    };
    (1..=10).map(case).collect()
}
