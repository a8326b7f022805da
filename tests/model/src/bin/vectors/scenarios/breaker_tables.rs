//! The tables by which other circuit breakers are tested: what their calls and states come to here.
//!
//! From Resilience4j's CircuitBreakerStateMachineTest, gobreaker's gobreaker_test, Polly's AdvancedCircuitBehaviorTests
//! and CircuitStateControllerTests, failsafe-go's closedstate_test, halfopenstate_test and circuitbreaker_test, and
//! Hystrix's HystrixCircuitBreakerTest. Where tidegate decides otherwise `docs/circuit-breaker.md` says why.

use super::circuit_breaker::{Breaker, Cases, acquire, breaker, release, report, state, stats, took};
use crate::script::{MS, S};
use tidegate_model::format::Ns;
use tidegate_model::script::breaker::{Config, Op, Outcome};

use Outcome::{Failure, Ignore, Success};

/// Whole calls, and the state after each. `S` succeeds, `F` fails, `s` and `f` take 5 s as well, `I` is ignored, `X` is
/// given back; `c`losed, `o`pen, `h`alf-open.
fn plays(script: Breaker, calls: &str, states: &str) -> Breaker {
    assert_eq!(calls.len(), states.len());
    calls.chars().zip(states.chars()).fold(script, |script, (call, state)| {
        let script = takes(script, "c");
        let script = match call {
            'S' => script.then(report("c", Success)),
            'F' => script.then(report("c", Failure)),
            's' => script.then(took("c", Success, 5 * S)),
            'f' => script.then(took("c", Failure, 5 * S)),
            'I' => script.then(report("c", Ignore)),
            'X' => script.then(release("c")),
            other => panic!("no call is {other:?}"),
        };
        is(script, state)
    })
}

fn is(script: Breaker, expected: char) -> Breaker {
    let script = script.then(state());
    let found = script.last_answer()["state"].as_str().expect("a state").to_owned();
    let expected = match expected {
        'c' => "closed",
        'o' => "open",
        'h' => "half_open",
        'O' => "forced_open",
        other => panic!("no state is {other:?}"),
    };
    assert_eq!(found, expected);
    script
}

fn takes(script: Breaker, permit: &str) -> Breaker {
    let script = script.then(acquire(permit));
    assert_eq!(script.last_answer()["permit"], true);
    script
}

fn refuses(script: Breaker) -> Breaker {
    let script = script.then(acquire("refused"));
    assert_eq!(script.last_answer()["permit"], false);
    script
}

fn holds(script: Breaker, calls: u32, failed: u32, slow: u32) -> Breaker {
    let script = script.then(stats());
    let found = script.last_answer();
    assert_eq!((&found["calls"], &found["failed"], &found["slow"]), (&calls.into(), &failed.into(), &slow.into()));
    script
}

/// By which calls it opened: its window is empty then.
fn opened_by(script: Breaker, calls: u32, failed: u32, slow: u32) -> Breaker {
    let script = holds(script, 0, 0, 0);
    let found = &script.last_answer()["last_trip"];
    assert_eq!((&found["calls"], &found["failed"], &found["slow"]), (&calls.into(), &failed.into(), &slow.into()));
    script
}

pub(super) fn all() -> Cases {
    [resilience4j(), gobreaker(), polly(), failsafe_go(), hystrix()].into_iter().flatten().collect()
}

/// 50 % of failed or of slow calls within 20 s, from five calls on; four probes, 5 s of rest.
fn resilience4j() -> Cases {
    let config = Config {
        window_calls: None,
        window_duration_ns: Some(Ns(20 * S)),
        min_calls: 5,
        slow_call_duration_ns: Some(Ns(4 * S)),
        slow_call_rate_threshold: 0.5,
        cooldown_ns: Ns(5 * S),
        probes: 4,
        probe_timeout_ns: Ns(S),
        ..Config::default()
    };
    let half_open = |name: &str, why: &str| plays(breaker(name, why, config.clone()), "FFFFF", "cccco").after(5 * S);
    vec![
        opened_by(
            plays(
                breaker("resilience4j_failure_rate", "60 % of the first five, by a success", config.clone()),
                "FFFSS",
                "cccco",
            ),
            5,
            3,
            0,
        )
        .end(),
        plays(
            breaker(
                "resilience4j_at_the_threshold",
                "50 % is enough, and here it comes with the hundredth call",
                Config { window_calls: Some(100), window_duration_ns: None, min_calls: 100, ..config.clone() },
            ),
            &"SF".repeat(49),
            &"cc".repeat(49),
        )
        .then(stats())
        .each(0..2, |script, i| plays(script, ["S", "F"][i as usize], ["c", "o"][i as usize]))
        .end(),
        plays(
            breaker(
                "resilience4j_failure_rate_over_seconds",
                "two of five are 40 %, three of six are 50 %",
                config.clone(),
            ),
            "S",
            "c",
        )
        .each(0..5, |script, i| {
            let (call, state) = [("S", "c"), ("S", "c"), ("F", "c"), ("F", "c"), ("F", "o")][i as usize];
            plays(script.after(S), call, state)
        })
        .end(),
        opened_by(
            plays(
                breaker(
                    "resilience4j_slow_call_rate",
                    "slow and failed count both: 40 % failed, 60 % were slow",
                    config.clone(),
                ),
                "fsFSs",
                "cccco",
            ),
            5,
            2,
            3,
        )
        .end(),
        [5, 5, 1, 1, 5]
            .into_iter()
            .fold(
                breaker("resilience4j_slow_by_the_clock", "the same, measured by the breaker", config.clone()),
                |script, seconds| takes(script, "c").after(seconds * S).then(report("c", Success)).then(state()),
            )
            .then(stats())
            .end(),
        is(
            refuses(
                refuses(is(
                    plays(breaker("resilience4j_wait", "3 s are not 5, 6 are", config.clone()), "FFFFF", "cccco"),
                    'o',
                ))
                .after(3 * S),
            )
            .after(3 * S)
            .then(acquire("probe")),
            'h',
        )
        .end(),
        [(); 2]
            .into_iter()
            .fold(half_open("resilience4j_four_probes", "and no fifth, in the next cycle as well"), |script, ()| {
                let script = (0..4).fold(script, |script, i| takes(script, &format!("p{i}")));
                let script = refuses(refuses(script));
                let script = takes(script.then(release("p0")), "again");
                let reports =
                    ["again", "p1"].into_iter().fold(script, |script, name| script.then(report(name, Failure)));
                is(reports, 'o').after(5 * S)
            })
            .end(),
        plays(half_open("resilience4j_probes_fail", "two of four failed decide: 50 % are certain"), "FF", "ho").end(),
        plays(half_open("resilience4j_slow_probes", "two slow ones of four as well"), "ss", "ho").end(),
        holds(
            plays(half_open("resilience4j_probes_succeed", "one failure of four is 25 %"), "FSSSS", "hhhcc"),
            1,
            0,
            0,
        )
        .end(),
        plays(half_open("resilience4j_ignored_probe", "it gives its slot back, and four count"), "SSSIF", "hhhhc")
            .end(),
        plays(half_open("resilience4j_ignored_probes", "any number of them"), "IIIISSSS", "hhhhhhhc").end(),
    ]
}

/// gobreaker: six failures in a row, or 60 % from three calls on within 30 s in ten buckets; three probes.
fn gobreaker() -> Cases {
    let default = Config {
        consecutive_failures: Some(6),
        failure_rate_threshold: 1.0,
        cooldown_ns: Ns(60 * S),
        ..Config::default()
    };
    let custom = Config {
        window_calls: None,
        window_duration_ns: Some(Ns(30 * S)),
        failure_rate_threshold: 0.6,
        min_calls: 3,
        probes: 3,
        probe_failure_rate_threshold: Some(0.3),
        cooldown_ns: Ns(90 * S),
        probe_timeout_ns: Ns(90 * S),
        ..Config::default()
    };
    let close = |script: Breaker| plays(script.after(90 * S), "SSS", "hhc");
    vec![
        plays(
            plays(
                refuses(
                    plays(
                        breaker(
                            "gobreaker_default",
                            "six in a row, then 60 s, a failed probe, 60 s, a good one",
                            default,
                        ),
                        "FFFFFSFFFFFF",
                        "ccccccccccco",
                    )
                    .after(59 * S),
                )
                .after(S),
                "F",
                "o",
            )
            .after(60 * S),
            "S",
            "c",
        )
        .end(),
        holds(
            plays(
                plays(
                    breaker(
                        "gobreaker_window",
                        "calls leave by slices of 3 s, and do not end together",
                        custom.clone(),
                    ),
                    "SFSFSFSFSF",
                    "cccccccccc",
                )
                .after(29 * S),
                "S",
                "c",
            )
            .after(S),
            1,
            0,
            0,
        )
        .each(0..4, |script, i| plays(script, ["F", "S", "F", "F"][i as usize], ["c", "c", "c", "o"][i as usize]))
        .end(),
        {
            let script = plays(
                breaker("gobreaker_half_open", "three successes, and no fourth call", custom.clone()),
                "FFF",
                "cco",
            );
            let script = plays(script.after(90 * S), "SS", "hh");
            let script = refuses(takes(script, "third").after(50 * MS));
            is(script.then(report("third", Success)), 'c').then(stats()).end()
        },
        plays(
            plays(breaker("gobreaker_failed_probe", "one failure of three opens", custom.clone()), "FFF", "cco")
                .after(90 * S),
            "SSF",
            "hho",
        )
        .end(),
        {
            let script = takes(
                takes(
                    breaker("gobreaker_generations", "what was asked in one says nothing in the next", custom.clone()),
                    "a",
                ),
                "b",
            );
            let script = plays(script, "FFF", "cco").then(report("a", Success));
            let script = is(holds(close(is(script, 'o')), 0, 0, 0), 'c');
            holds(script.then(report("b", Failure)), 0, 0, 0).end()
        },
        {
            let script = breaker(
                "gobreaker_excluded",
                "neither way: not in the window, nor in a run",
                Config { consecutive_failures: Some(3), ..custom.clone() },
            );
            let script = holds(plays(script, "III", "ccc"), 0, 0, 0);
            let script = holds(plays(script, "SSSFF", "ccccc"), 5, 2, 0);
            plays(script, "IF", "co").end()
        },
        {
            let script = breaker("gobreaker_excluded_probe", "the next caller gets its slot", custom);
            plays(plays(script, "FFF", "cco").after(90 * S), "IISISS", "hhhhhc").end()
        },
    ]
}

/// 10 % of at least ten calls.
fn polly() -> Cases {
    let config = Config {
        window_calls: None,
        window_duration_ns: Some(Ns(30 * S)),
        failure_rate_threshold: 0.1,
        min_calls: 10,
        cooldown_ns: Ns(30 * S),
        probe_timeout_ns: Ns(30 * S),
        ..Config::default()
    };
    let after =
        |name: &str, why: &str, calls: &str| plays(breaker(name, why, config.clone()), calls, &"c".repeat(calls.len()));
    let open = |name: &str, why: &str| plays(after(name, why, "SSSSSSSSS"), "F", "o");
    vec![
        after("polly_no_failure", "10 calls, 0 %", "SSSSSSSSSS").end(),
        open("polly_at_the_threshold", "10 calls, 10 %").end(),
        plays(
            after("polly_above_the_threshold", "11 calls, above 10 %, at the first that says so", "SSSSSSSSSS"),
            "FF",
            "co",
        )
        .end(),
        after("polly_below_the_throughput", "9 calls, 11 %", "FSSSSSSSS").end(),
        plays(after("polly_throughput_by_a_success", "Polly would wait for the next failure", "FSSSSSSSS"), "S", "o")
            .end(),
        {
            let script = open("polly_one_probe_a_break", "a probe that hangs is followed by another after a break");
            let script = refuses(takes(script.after(30 * S), "hangs"));
            let script = is(takes(refuses(script.after(30 * S - MS)).after(MS), "next"), 'h');
            is(is(script.then(report("hangs", Success)), 'h').then(report("next", Success)), 'c').end()
        },
        {
            let script = open("polly_cancelled_probe", "Polly closes on it; here it says nothing").after(30 * S);
            plays(script, "XXF", "hho").end()
        },
        {
            let script =
                takes(takes(after("polly_isolated", "late outcomes do not end it, nor does time", "S"), "a"), "b");
            let script = is(script.then(Op::ForceOpen {}).then(report("a", Success)).then(report("b", Failure)), 'O');
            let script = is(refuses(script.after(3_600 * S)), 'O').then(Op::Reset {});
            holds(is(script, 'c'), 0, 0, 0).end()
        },
        {
            let script = takes(takes(after("polly_late_when_open", "only time ends it", "SSSSSSSS"), "a"), "b");
            let script = plays(script, "SF", "co").then(report("a", Success)).then(report("b", Failure));
            is(refuses(is(script, 'o')).after(30 * S).then(acquire("probe")), 'h').end()
        },
    ]
}

/// Failures in a row, ratios of the last calls, and thresholds of success.
fn failsafe_go() -> Cases {
    let run = |n| Config { consecutive_failures: Some(n), failure_rate_threshold: 1.0, ..Config::default() };
    let ratio =
        |rate, n| Config { failure_rate_threshold: rate, window_calls: Some(n), min_calls: n, ..Config::default() };
    let probes = |n, rate| Config {
        probes: n,
        probe_failure_rate_threshold: Some(rate),
        cooldown_ns: Ns(S),
        consecutive_failures: Some(2),
        ..Config::default()
    };
    let half_open = |name: &str, why: &str, config: Config| plays(breaker(name, why, config), "FF", "co").after(S);
    let by_turns = |script: Breaker| plays(script, &"SF".repeat(20), &"cc".repeat(20));
    vec![
        plays(breaker("failsafe_go_failure", "with its defaults one opens it", run(1)), "SF", "co").end(),
        plays(breaker("failsafe_go_failures_in_a_row", "the third in a row", run(3)), "FSFFF", "cccco").end(),
        by_turns(breaker("failsafe_go_no_failures_in_a_row", "never two of them", run(2))).end(),
        plays(breaker("failsafe_go_ratio", "two of the last three", ratio(0.66, 3)), "FSF", "cco").end(),
        by_turns(breaker("failsafe_go_ratio_not_met", "never three of the last four", ratio(0.75, 4))).end(),
        plays(half_open("failsafe_go_success_threshold", "three of three, else open", probes(3, 0.33)), "SSF", "hho")
            .after(S)
            .each(0..3, |script, i| plays(script, "S", ["h", "h", "c"][i as usize]))
            .end(),
        plays(
            half_open("failsafe_go_success_ratio", "three of four: the second failure decides", probes(4, 0.5)),
            "SFSF",
            "hhho",
        )
        .end(),
        plays(
            half_open("failsafe_go_success_ratio_of_half", "two of four: the third failure decides", probes(4, 0.75)),
            "SFFF",
            "hhho",
        )
        .end(),
        plays(
            half_open("failsafe_go_success_ratio_met", "three of four, once all four are known", probes(4, 0.5)),
            "SFSS",
            "hhhc",
        )
        .end(),
        {
            let config = Config {
                window_calls: None,
                window_duration_ns: Some(Ns(200 * MS)),
                min_calls: 3,
                cooldown_ns: Ns(MS),
                ..Config::default()
            };
            let script = breaker("failsafe_go_rate_in_a_period", "what was 210 ms ago has left", config);
            let script = plays(plays(script, "FS", "cc").after(210 * MS), "FS", "cc");
            let script = plays(plays(script.after(50 * MS), "SF", "co").after(MS), "F", "o");
            plays(script.after(MS), "S", "c").end()
        },
    ]
}

/// 50 % of a volume within 10 s, one probe.
fn hystrix() -> Cases {
    let config = |volume| Config {
        window_calls: None,
        window_duration_ns: Some(Ns(10 * S)),
        min_calls: volume,
        cooldown_ns: Ns(200 * MS),
        probe_timeout_ns: Ns(S),
        ..Config::default()
    };
    let open = |name: &str, why: &str| plays(breaker(name, why, config(4)), "FFFF", "ccco");
    vec![
        plays(breaker("hystrix_above_the_threshold", "four of eight", config(4)), "SSFSFSFF", "ccccccco").end(),
        plays(breaker("hystrix_below_the_threshold", "three of eight", config(4)), "SSFSSFSF", "cccccccc").end(),
        plays(
            breaker("hystrix_low_volume", "four failures of four, and five are asked for", config(5)),
            "FFFF",
            "cccc",
        )
        .end(),
        {
            let script = open("hystrix_single_test", "one call after the rest; until it ends nobody else passes");
            let script = refuses(refuses(takes(script.after(200 * MS), "test")).after(MS));
            let script = is(script.then(report("test", Success)), 'c');
            plays(script, "SSS", "ccc").end()
        },
        {
            let script = open("hystrix_many_windows", "three failed tests, a rest after each, then a good one");
            let rests = |script: Breaker| refuses(script.after(199 * MS)).after(MS);
            let script = (0..3).fold(script, |script, _| plays(rests(script), "F", "o"));
            plays(rests(script), "S", "c").end()
        },
        {
            let script =
                open("hystrix_unsubscribed_test", "a test that is given back leaves it to the next caller at once");
            plays(plays(script.after(200 * MS), "X", "h"), "S", "c").end()
        },
        {
            let script =
                open("hystrix_abandoned_test", "a test that never ends is lost at its deadline, and not stuck");
            let script = takes(script.after(200 * MS), "abandoned").after(2_000 * MS);
            plays(is(script, 'h'), "S", "c").then(report("abandoned", Failure)).then(stats()).then(state()).end()
        },
    ]
}
