//! Circuit breaker.

use super::{breaker_events, breaker_tables};
use crate::random::Random;
use crate::script::{self, MS, S, Script};
use tidegate_model::format::{Case, File, Ns};
use tidegate_model::script::breaker::{Config, Draw, ModelBreaker, Op, Outcome};

pub(super) type Breaker = Script<ModelBreaker>;
pub(super) type Cases = Vec<Case<Config, Op>>;

use Outcome::{Failure, Ignore, Slow, Success, Unreached};

pub(crate) fn file() -> File<Config, Op> {
    let groups = [
        tripping(),
        slow_calls(),
        classified(),
        time_window(),
        probing(),
        cooling_down(),
        coming_back(),
        late_results(),
        switches(),
        changes(),
        breaker_tables::all(),
        breaker_events::all(),
        random(),
    ];
    script::file("circuit_breaker", groups.into_iter().flatten().collect())
}

pub(super) fn breaker(name: &str, why: &str, config: Config) -> Breaker {
    Script::new(name, why, config)
}

/// Two failures in a row open it for a second: for what comes after the trip.
fn quick() -> Config {
    Config { consecutive_failures: Some(2), cooldown_ns: Ns(S), probe_timeout_ns: Ns(2 * S), ..Config::default() }
}

pub(super) fn acquire(name: &str) -> Op {
    Op::Acquire { name: name.into() }
}

fn draw(name: &str, draw: f64) -> Op {
    Op::AcquireWith { name: name.into(), draw: Draw(draw) }
}

pub(super) fn report(permit: &str, outcome: Outcome) -> Op {
    Op::Report { permit: permit.into(), outcome, duration_ns: None, retry_after_ns: None }
}

pub(super) fn took(permit: &str, outcome: Outcome, duration: u64) -> Op {
    Op::Report { permit: permit.into(), outcome, duration_ns: Some(Ns(duration)), retry_after_ns: None }
}

/// A failure after `duration` whose answer asks for `wait`.
fn told(permit: &str, duration: u64, wait: u64) -> Op {
    let permit = permit.into();
    Op::Report { permit, outcome: Failure, duration_ns: Some(Ns(duration)), retry_after_ns: Some(Ns(wait)) }
}

pub(super) fn release(permit: &str) -> Op {
    Op::Release { permit: permit.into() }
}

pub(super) fn state() -> Op {
    Op::State {}
}

pub(super) fn stats() -> Op {
    Op::Stats {}
}

fn retry_after() -> Op {
    Op::RetryAfter {}
}

/// A whole call.
fn call(script: Breaker, outcome: Outcome) -> Breaker {
    let (script, granted) = script.acquires("c");
    assert!(granted, "the script calls while the circuit is closed");
    script.then(report("c", outcome))
}

fn calls(script: Breaker, times: u32, outcome: Outcome) -> Breaker {
    (0..times).fold(script, |script, _| call(script, outcome))
}

/// Two failures: a quick breaker is open after them.
fn trip(script: Breaker) -> Breaker {
    calls(script, 2, Failure).then(state())
}

fn tripping() -> Cases {
    let small = |n, min| Config { window_calls: Some(n), min_calls: min, ..Config::default() };
    vec![
        breaker(
            "payment_provider",
            "the field's example: 50 % of the last 20, 30 s of rest, one probe",
            Config::default(),
        )
        .each(0..19, |script, i| call(script.after(100 * MS), if i < 11 { Success } else { Failure }).then(state()))
        .then(stats())
        .after(100 * MS)
        .each(0..2, |script, _| call(script, Failure).then(state()))
        .then(acquire("refused"))
        .then(retry_after())
        .after(29_999 * MS)
        .then(acquire("refused"))
        .then(state())
        .after(MS)
        .then(state())
        .then(retry_after())
        .then(acquire("probe"))
        .then(state())
        .then(acquire("refused"))
        .after(200 * MS)
        .then(report("probe", Success))
        .then(state())
        .then(stats())
        .then(acquire("c"))
        .end(),
        calls(
            breaker("min_calls_first", "nine failures of nine say nothing yet, the tenth call does", Config::default()),
            9,
            Failure,
        )
        .then(state())
        .then(stats())
        .then(acquire("c"))
        .then(report("c", Failure))
        .then(state())
        .end(),
        calls(
            breaker(
                "the_call_that_reaches_min_calls_may_be_a_success",
                "the rate is looked at when it first counts",
                Config::default(),
            ),
            5,
            Failure,
        )
        .each(0..4, |script, _| call(script, Success).then(state()))
        .then(acquire("c"))
        .then(report("c", Success))
        .then(state())
        .end(),
        calls(breaker("just_below_the_threshold", "49 % of the window is not 50 %", small(20, 20)), 11, Success)
            .each(0..9, |script, _| call(script, Failure))
            .then(stats())
            .then(state())
            .then(acquire("a"))
            .then(report("a", Failure))
            .then(stats())
            .then(state())
            .end(),
        calls(
            breaker(
                "old_calls_leave_the_window",
                "failures that slid out of the last 10 no longer count",
                small(10, 10),
            ),
            4,
            Failure,
        )
        .each(0..10, |script, _| call(script, Success).then(stats()))
        .each(0..4, |script, _| call(script, Failure))
        .then(stats())
        .then(state())
        .then(acquire("c"))
        .then(report("c", Failure))
        .then(state())
        .end(),
        calls(
            breaker("a_small_window_lowers_the_default_min_calls", "otherwise it could never open", small(4, 10)),
            3,
            Failure,
        )
        .then(state())
        .then(acquire("c"))
        .then(report("c", Failure))
        .then(state())
        .end(),
        breaker("window_of_one", "the smallest window: each call decides", small(1, 1))
            .each(0..3, |script, _| call(script, Success).then(stats()))
            .then(acquire("c"))
            .then(report("c", Failure))
            .then(state())
            .end(),
        breaker("window_over_many_words", "a window of 333 counts neither one more nor one less", small(333, 333))
            .each(0..700, |script, i| call(script, if i % 3 == 0 { Failure } else { Success }))
            .then(stats())
            .each(0..81, |script, _| call(script, Failure))
            .then(stats())
            .each(0..2, |script, _| call(script, Failure).then(state()).then(stats()))
            .end(),
        breaker(
            "consecutive_failures",
            "the fifth in a row opens it, long before min_calls; a success ends the run",
            Config { consecutive_failures: Some(5), min_calls: 20, ..Config::default() },
        )
        .each(0..4, |script, _| call(script, Failure))
        .then(acquire("s"))
        .then(report("s", Success))
        .each(0..5, |script, _| call(script, Failure).then(state()))
        .end(),
        breaker(
            "ignored_and_released_do_not_count",
            "they say nothing about the dependency, and do not end a run of failures",
            Config { consecutive_failures: Some(3), ..Config::default() },
        )
        .each(0..2, |script, _| call(script, Failure))
        .then(acquire("i"))
        .then(report("i", Ignore))
        .then(acquire("r"))
        .then(release("r"))
        .then(stats())
        .then(acquire("c"))
        .then(report("c", Failure))
        .then(state())
        .end(),
        breaker(
            "every_call_must_fail",
            "a threshold of 1.0 opens only when all of the window failed",
            Config { failure_rate_threshold: 1.0, ..small(5, 5) },
        )
        .then(acquire("s"))
        .then(report("s", Success))
        .each(0..4, |script, _| call(script, Failure).then(state()))
        .then(acquire("c"))
        .then(report("c", Failure))
        .then(state())
        .end(),
    ]
}

fn slow_calls() -> Cases {
    let slow = Config {
        window_calls: Some(4),
        min_calls: 4,
        slow_call_duration_ns: Some(Ns(2 * S)),
        slow_call_rate_threshold: 0.75,
        failure_rate_threshold: 1.0,
        ..Config::default()
    };
    vec![
        breaker("slow_calls", "successes that take 2 s or more open it at 75 %", slow.clone())
            .then(acquire("a"))
            .then(took("a", Success, 2 * S))
            .then(acquire("b"))
            .then(took("b", Success, 2 * S - MS))
            .then(acquire("c"))
            .then(took("c", Success, 3 * S))
            .then(stats())
            .then(acquire("d"))
            .then(took("d", Success, MS))
            .then(state())
            .then(acquire("e"))
            .then(took("e", Success, 2 * S))
            .then(stats())
            .then(acquire("f"))
            .then(took("f", Success, 2 * S))
            .then(state())
            .end(),
        breaker(
            "duration_is_measured_from_the_permit",
            "without a duration it is the time since the acquire",
            slow.clone(),
        )
        .then(acquire("a"))
        .after(2 * S - 1)
        .then(acquire("b"))
        .then(report("a", Success))
        .then(stats())
        .after(2 * S)
        .then(report("b", Success))
        .then(stats())
        .end(),
        breaker("slow_failures_count_twice", "a failure can be slow as well", slow.clone())
            .then(acquire("a"))
            .then(took("a", Failure, 5 * S))
            .then(stats())
            .then(acquire("b"))
            .then(took("b", Failure, MS))
            .then(stats())
            .end(),
        breaker(
            "slow_probe",
            "a probe that succeeds too slowly opens it again",
            Config { slow_call_rate_threshold: 1.0, consecutive_failures: Some(2), cooldown_ns: Ns(S), ..slow },
        )
        .then(acquire("a"))
        .then(report("a", Failure))
        .then(acquire("b"))
        .then(report("b", Failure))
        .then(state())
        .after(S)
        .then(acquire("p"))
        .then(took("p", Success, 2 * S))
        .then(state())
        .after(S)
        .then(acquire("q"))
        .then(took("q", Success, S))
        .then(state())
        .end(),
    ]
}

/// What a classifier says beside the breaker's own settings.
fn classified() -> Cases {
    let rates = |slow_ms: Option<u64>| Config {
        window_calls: Some(4),
        min_calls: 2,
        failure_rate_threshold: 1.0,
        slow_call_duration_ns: slow_ms.map(|ms| Ns(ms * MS)),
        slow_call_rate_threshold: 0.5,
        cooldown_ns: Ns(S),
        ..Config::default()
    };
    vec![
        breaker("slow_outcome", "a classifier's slow counts whatever the duration, and is no failure", rates(None))
            .then(acquire("a"))
            .then(acquire("b"))
            .then(report("a", Success))
            .then(took("b", Slow, 0))
            .then(state())
            .then(stats())
            .end(),
        breaker("slow_twice", "slow by the classifier and by the breaker is slow once", rates(Some(100)))
            .then(acquire("a"))
            .then(took("a", Slow, 200 * MS))
            .then(stats())
            .end(),
        breaker(
            "slow_run",
            "a slow call is no failure: it ends a run of them",
            Config { consecutive_failures: Some(2), slow_call_rate_threshold: 1.0, ..rates(None) },
        )
        .then(acquire("a"))
        .then(acquire("b"))
        .then(acquire("c"))
        .then(report("a", Failure))
        .then(report("b", Slow))
        .then(report("c", Failure))
        .then(state())
        .then(stats())
        .end(),
        trip(breaker(
            "slow_outcome_of_a_probe",
            "a slow probe opens the circuit again by the rate of slow calls",
            Config { slow_call_rate_threshold: 1.0, ..quick() },
        ))
        .after(S)
        .then(acquire("p"))
        .then(report("p", Slow))
        .then(state())
        .then(stats())
        .end(),
        breaker(
            "duration_and_retry_after",
            "a failure that was slow and asks for rest: all three count",
            Config { failure_rate_threshold: 1.0, max_cooldown_ns: Some(Ns(60 * S)), ..rates(Some(100)) },
        )
        .then(acquire("a"))
        .then(acquire("b"))
        .then(told("a", 50 * MS, 7 * S))
        .then(stats())
        .then(told("b", 200 * MS, 5 * S))
        .then(state())
        .then(stats())
        .then(Op::RetryAfter {})
        .end(),
    ]
}

fn time_window() -> Cases {
    let ten_seconds =
        Config { window_calls: None, window_duration_ns: Some(Ns(10 * S)), min_calls: 4, ..Config::default() };
    vec![
        breaker("time_window_slides", "calls leave with their second, ten slices after they came", ten_seconds.clone())
            .then(acquire("a"))
            .then(report("a", Failure))
            .after(500 * MS)
            .then(acquire("b"))
            .then(report("b", Success))
            .after(1_500 * MS)
            .then(acquire("c"))
            .then(report("c", Failure))
            .at(9_999 * MS)
            .then(stats())
            .at(10 * S)
            .then(stats())
            .at(11_999 * MS)
            .then(stats())
            .at(12 * S)
            .then(stats())
            .end(),
        breaker("time_window_trips", "the fourth call in ten seconds makes half of them failures", ten_seconds.clone())
            .each(0..2, |script, _| call(script.after(S), Success))
            .each(0..2, |script, _| call(script.after(S), Failure).then(state()))
            .then(retry_after())
            .end(),
        breaker(
            "slow_trickle_never_reaches_min_calls",
            "failures farther apart than the window do not add up",
            ten_seconds.clone(),
        )
        .each(0..6, |script, _| call(script.after(4 * S), Failure).then(stats()))
        .then(state())
        .end(),
        breaker(
            "time_window_after_long_silence",
            "an old window does not come back as the slices' ring goes round",
            ten_seconds.clone(),
        )
        .each(0..3, |script, _| call(script, Failure))
        .after(100 * S)
        .then(stats())
        .then(acquire("a"))
        .then(report("a", Failure))
        .then(stats())
        .then(state())
        .end(),
        breaker("counted_when_reported", "a call belongs to the slice of its report, not of its start", ten_seconds)
            .then(acquire("a"))
            .after(8 * S)
            .then(report("a", Failure))
            .after(9 * S)
            .then(stats())
            .after(S)
            .then(stats())
            .end(),
    ]
}

fn probing() -> Cases {
    let probes = |n| Config { probes: n, ..quick() };
    vec![
        trip(breaker("failed_probe_opens_again", "the next probe comes a whole cooldown later", quick()))
            .after(S)
            .then(acquire("p"))
            .after(10 * MS)
            .then(report("p", Failure))
            .then(state())
            .then(acquire("refused"))
            .after(999 * MS)
            .then(acquire("refused"))
            .after(MS)
            .then(acquire("q"))
            .then(report("q", Success))
            .then(state())
            .end(),
        trip(breaker("half_open_caps_probes", "two probes pass, the third is told when to come back", probes(2)))
            .after(S)
            .then(acquire("p"))
            .then(acquire("q"))
            .then(acquire("refused"))
            .then(report("p", Success))
            .then(state())
            .then(acquire("refused"))
            .then(report("q", Success))
            .then(state())
            .end(),
        trip(breaker(
            "mixed_verdict_below_the_threshold",
            "two failures of five are 40 %: closed, once all have reported",
            probes(5),
        ))
        .after(S)
        .each(0..5, |script, i| script.then(acquire(&format!("p{i}"))))
        .then(report("p0", Failure))
        .then(report("p1", Success))
        .then(report("p2", Failure))
        .then(state())
        .then(report("p3", Success))
        .then(state())
        .then(report("p4", Success))
        .then(state())
        .end(),
        trip(breaker(
            "mixed_verdict_as_soon_as_certain",
            "the third failure of five decides, before the others report",
            probes(5),
        ))
        .after(S)
        .each(0..5, |script, i| script.then(acquire(&format!("p{i}"))))
        .then(report("p0", Failure))
        .then(report("p1", Failure))
        .then(state())
        .then(report("p2", Failure))
        .then(state())
        .then(report("p3", Success))
        .then(report("p4", Success))
        .then(state())
        .end(),
        trip(breaker(
            "released_probe_gives_its_slot_back",
            "a cancelled probe neither closes nor opens, and cannot block",
            quick(),
        ))
        .after(S)
        .then(acquire("p"))
        .then(release("p"))
        .then(state())
        .then(acquire("q"))
        .then(report("q", Ignore))
        .then(state())
        .then(acquire("r"))
        .then(report("p", Success))
        .then(report("q", Failure))
        .then(state())
        .then(report("r", Success))
        .then(state())
        .end(),
        calls(
            breaker("unreached_opens", "no connection was free: while it is closed, calls do fail", quick()),
            2,
            Unreached,
        )
        .then(state())
        .then(stats())
        .end(),
        trip(breaker(
            "unreached_probe",
            "a probe that never reached the dependency says nothing about it: the next caller gets its slot",
            quick(),
        ))
        .after(S)
        .then(acquire("p"))
        .then(report("p", Unreached))
        .then(state())
        .then(acquire("q"))
        .then(report("q", Success))
        .then(state())
        .end(),
        trip(breaker("lost_probe", "a probe that never reports cannot keep it half-open for ever", quick()))
            .after(S)
            .then(acquire("p"))
            .after(2 * S - MS)
            .then(acquire("refused"))
            .then(state())
            .after(MS)
            .then(acquire("q"))
            .then(state())
            .then(report("p", Failure))
            .then(state())
            .after(2 * S)
            .then(acquire("refused"))
            .then(state())
            .then(report("q", Success))
            .then(state())
            .then(stats())
            .after(S)
            .then(acquire("r"))
            .then(report("r", Success))
            .then(state())
            .then(stats())
            .end(),
        trip(breaker("lost_once", "one lost probe is no failure: the next caller gets its slot", quick()))
            .after(S)
            .then(acquire("p"))
            .after(2 * S)
            .then(acquire("q"))
            .then(report("q", Success))
            .then(state())
            .end(),
        trip(
            breaker(
                "whole_seconds",
                "a cooldown of one second never reads as more, whatever the moment: it ends up to a millisecond early",
                quick(),
            )
            .after(MS / 3),
        )
        .then(acquire("refused"))
        .then(retry_after())
        .after(S - MS / 3)
        .then(acquire("p"))
        .then(acquire("refused"))
        .end(),
        (0..20)
            .fold(
                trip(breaker(
                    "kept_probe",
                    "a probe that was given back is void for good, 16 leases later as well",
                    quick(),
                ))
                .after(S)
                .then(acquire("kept"))
                .then(release("kept")),
                |script, i| {
                    let name = format!("p{i}");
                    script.then(acquire(&name)).then(report("kept", Failure)).then(release(&name)).then(state())
                },
            )
            .end(),
        trip(breaker(
            "late_probe_nobody_missed",
            "past its deadline, but before anyone noticed, its report still counts",
            quick(),
        ))
        .after(S)
        .then(acquire("p"))
        .after(3 * S)
        .then(report("p", Success))
        .then(state())
        .end(),
        trip(breaker("one_lost_one_good", "the verdict is taken over those that reported", probes(2)))
            .after(S)
            .then(acquire("p"))
            .then(acquire("q"))
            .then(report("q", Success))
            .after(2 * S)
            .then(acquire("p2"))
            .after(2 * S)
            .then(acquire("c"))
            .then(state())
            .then(report("p", Failure))
            .then(stats())
            .end(),
        trip(breaker("probe_reports_once", "a second report of the same probe is dropped", probes(3)))
            .after(S)
            .then(acquire("p"))
            .times(3, &report("p", Success))
            .then(state())
            .then(report("p", Failure))
            .then(acquire("q"))
            .then(report("q", Success))
            .then(acquire("r"))
            .then(report("r", Success))
            .then(state())
            .end(),
        trip(breaker(
            "wait_of_a_refused_probe",
            "the earlier of the next lease's end and a cooldown",
            Config { probe_timeout_ns: Ns(300 * MS), ..quick() },
        ))
        .after(S)
        .then(acquire("p"))
        .after(100 * MS)
        .then(acquire("refused"))
        .end(),
        trip(breaker(
            "wait_of_a_refused_probe_is_capped",
            "a probe timeout of a minute does not keep clients away for a minute",
            Config { probe_timeout_ns: Ns(60 * S), ..quick() },
        ))
        .after(S)
        .then(acquire("p"))
        .after(100 * MS)
        .then(acquire("refused"))
        .end(),
    ]
}

fn cooling_down() -> Cases {
    let backoff =
        |factor, max: Option<u64>| Config { cooldown_backoff: factor, max_cooldown_ns: max.map(Ns), ..quick() };
    let reopen = |script: Breaker, cooldown: u64| {
        script
            .after(cooldown - MS)
            .then(acquire("refused"))
            .after(MS)
            .then(acquire("p"))
            .then(report("p", Failure))
            .then(retry_after())
    };
    let asks = |ns: u64| Op::ReportRetryAfter { permit: "c".into(), retry_after_ns: Ns(ns) };
    vec![
        [1, 2, 4, 8, 10, 10]
            .into_iter()
            .fold(
                trip(breaker(
                    "backoff_doubles_to_the_cap",
                    "each failed round of probes doubles the rest: 1, 2, 4, 8, 10, 10 s",
                    backoff(2.0, Some(10 * S)),
                )),
                |script, seconds| reopen(script, seconds * S),
            )
            .after(10 * S)
            .then(acquire("p"))
            .then(report("p", Success))
            .after(10 * S)
            .each(0..2, |script, _| call(script, Failure))
            .then(retry_after())
            .end(),
        [1, 3, 9, 27, 64, 64]
            .into_iter()
            .fold(
                trip(breaker("cap_without_a_setting", "64 times the cooldown", backoff(3.0, None))),
                |script, seconds| reopen(script, seconds * S),
            )
            .end(),
        breaker("cooldown_ends_on_a_whole_millisecond", "rounded up, never short", quick())
            .after(1)
            .each(0..2, |script, _| call(script, Failure))
            .then(retry_after())
            .at(S)
            .then(acquire("refused"))
            .at(S + MS - 1)
            .then(acquire("refused"))
            .at(S + MS)
            .then(acquire("p"))
            .end(),
        call(breaker("retry_after_of_the_server", "a server that asks for 5 s gets them", quick()), Failure)
            .then(acquire("c"))
            .then(asks(5 * S))
            .then(state())
            .then(retry_after())
            .after(5 * S - MS)
            .then(acquire("refused"))
            .after(MS)
            .then(acquire("p"))
            .end(),
        call(breaker("retry_after_shorter_than_the_cooldown", "the configured rest is the least", quick()), Failure)
            .then(acquire("c"))
            .then(asks(100 * MS))
            .then(retry_after())
            .end(),
        call(
            breaker(
                "retry_after_beyond_the_cap",
                "a server cannot ask for a day",
                Config { max_cooldown_ns: Some(Ns(20 * S)), ..quick() },
            ),
            Failure,
        )
        .then(acquire("c"))
        .then(asks(86_400 * S))
        .then(retry_after())
        .end(),
        breaker("retry_after_without_a_trip", "it counts as one failure and nothing else", quick())
            .then(acquire("c"))
            .then(asks(5 * S))
            .then(state())
            .then(stats())
            .each(0..2, |script, _| call(script, Success))
            .each(0..2, |script, _| call(script, Failure))
            .then(retry_after())
            .end(),
        trip(breaker("retry_after_of_a_probe", "a failed probe's Retry-After sets the next rest", quick()))
            .after(S)
            .then(acquire("c"))
            .then(asks(7 * S))
            .then(retry_after())
            .end(),
    ]
}

/// After closing: a ramp, and how long the backoff is remembered.
fn coming_back() -> Cases {
    let ramp = |config: Config| Config { ramp_ns: Some(Ns(10 * S)), ..config };
    let backoff = |healthy: Option<u64>| Config { cooldown_backoff: 2.0, healthy_after_ns: healthy.map(Ns), ..quick() };
    let close = |script: Breaker| trip(script).after(S).then(acquire("p")).then(report("p", Success)).then(state());
    let trips = |script: Breaker| {
        script.each(0..2, |script, i| {
            let name = format!("t{i}");
            script.then(draw(&name, 0.0)).then(report(&name, Failure))
        })
    };
    vec![
        close(breaker(
            "ramp",
            "after closing the chance to pass grows from a tenth to all, in ten seconds",
            ramp(quick()),
        ))
        .then(stats())
        .then(draw("a", 0.09))
        .then(draw("refused", 0.11))
        .then(retry_after())
        .after(5 * S)
        .then(draw("b", 0.54))
        .then(draw("refused", 0.56))
        .after(5 * S - MS)
        .then(draw("refused", 0.99995))
        .then(stats())
        .after(MS)
        .then(stats())
        .then(draw("c", 0.9999))
        .then(stats())
        .then(acquire("d"))
        .end(),
        close(breaker("ramp_from", "the chance that it begins with", Config { ramp_from: Some(0.5), ..ramp(quick()) }))
            .then(draw("a", 0.49))
            .then(draw("refused", 0.51))
            .after(5 * S)
            .then(draw("b", 0.74))
            .then(draw("refused", 0.76))
            .end(),
        close(breaker(
            "ramp_counts_calls",
            "calls of the ramp stand in the window, and permits of the ramp outlive it",
            Config { window_calls: Some(4), min_calls: 4, ..ramp(quick()) },
        ))
        .then(draw("a", 0.01))
        .then(draw("b", 0.02))
        .then(draw("c", 0.03))
        .then(report("a", Success))
        .then(stats())
        .after(10 * S)
        .then(draw("d", 0.9999))
        .then(report("b", Failure))
        .then(report("c", Success))
        .then(stats())
        .then(report("d", Failure))
        .then(state())
        .end(),
        trips(
            close(breaker(
                "trip_in_the_ramp",
                "counts as a failed probe for the backoff, however short the healthy time",
                Config { ramp_ns: Some(Ns(10 * S)), ..backoff(Some(MS)) },
            ))
            .after(9 * S),
        )
        .then(state())
        .then(retry_after())
        .after(2 * S)
        .then(acquire("q"))
        .then(report("q", Success))
        .then(draw("refused", 0.5))
        .end(),
        close(breaker("reset_ends_the_ramp", "an operator's reset lets all pass at once", ramp(quick())))
            .then(draw("refused", 0.5))
            .then(Op::Reset {})
            .then(stats())
            .then(draw("a", 0.9999))
            .end(),
        breaker("no_ramp_at_first", "nor after a reset of what was opened by hand", ramp(quick()))
            .then(draw("a", 0.9999))
            .then(Op::ForceOpen {})
            .then(Op::Reset {})
            .then(draw("b", 0.9999))
            .end(),
        trips(
            close(breaker(
                "backoff_is_remembered",
                "a trip within the last cooldown after closing is another in a row",
                backoff(None),
            ))
            .after(S - MS),
        )
        .then(retry_after())
        .end(),
        trips(
            close(breaker(
                "backoff_is_forgotten",
                "after as long as the last cooldown without a trip the first one holds again",
                backoff(None),
            ))
            .after(S),
        )
        .then(retry_after())
        .end(),
        trips(close(breaker("healthy_after", "is how long it remembers", backoff(Some(5 * S)))).after(5 * S - MS))
            .then(retry_after())
            .after(2 * S)
            .then(acquire("q"))
            .then(report("q", Success))
            .after(5 * S)
            .each(0..2, |script, _| call(script, Failure))
            .then(retry_after())
            .end(),
        trip(breaker(
            "probes_at_once",
            "three successes, one at a time",
            Config { probes: 3, probes_at_once: Some(1), ..quick() },
        ))
        .after(S)
        .each(0..3, |script, i| {
            let name = format!("p{i}");
            script.then(acquire(&name)).then(acquire("refused")).then(report(&name, Success)).then(state())
        })
        .end(),
        trip(breaker(
            "probes_at_once_of_which_one_is_lost",
            "its end makes room",
            Config { probes: 3, probes_at_once: Some(2), ..quick() },
        ))
        .after(S)
        .then(acquire("p"))
        .after(500 * MS)
        .then(acquire("q"))
        .then(acquire("refused"))
        .after(1_500 * MS)
        .then(acquire("r"))
        .then(acquire("refused"))
        .then(report("q", Success))
        .then(report("r", Success))
        .then(acquire("s"))
        .then(report("p", Failure))
        .then(report("s", Success))
        .then(state())
        .end(),
        trip(breaker(
            "probe_failure_rate",
            "three of four probes must fail, though half of the calls are enough while closed",
            Config { probes: 4, probe_failure_rate_threshold: Some(0.75), ..quick() },
        ))
        .after(S)
        .each(0..4, |script, i| script.then(acquire(&format!("p{i}"))))
        .then(report("p0", Failure))
        .then(report("p1", Failure))
        .then(state())
        .then(report("p2", Success))
        .then(report("p3", Success))
        .then(state())
        .end(),
    ]
}

fn late_results() -> Cases {
    vec![
        breaker(
            "late_results_are_dropped",
            "calls begun before the trip say nothing about the probes or the time after",
            quick(),
        )
        .then(acquire("early1"))
        .then(acquire("early2"))
        .then(acquire("early3"))
        .each(0..2, |script, _| call(script, Failure))
        .then(report("early1", Success))
        .then(state())
        .after(S)
        .then(acquire("p"))
        .then(report("early2", Failure))
        .then(state())
        .then(report("p", Success))
        .then(report("early3", Failure))
        .then(stats())
        .end(),
        trip(breaker(
            "late_probe_after_the_verdict",
            "a probe of an earlier round is dropped",
            Config { probes: 2, ..quick() },
        ))
        .after(S)
        .then(acquire("p"))
        .then(acquire("q"))
        .then(report("p", Failure))
        .then(state())
        .after(S)
        .then(acquire("r"))
        .then(report("q", Failure))
        .then(state())
        .then(acquire("s"))
        .then(report("r", Success))
        .then(report("s", Success))
        .then(state())
        .end(),
    ]
}

fn set(config: Config) -> Op {
    Op::SetConfig(Box::new(config))
}

/// Settings that are changed at run time.
fn changes() -> Cases {
    let wide = |calls| Config { window_calls: Some(calls), failure_rate_threshold: 1.0, ..Config::default() };
    vec![
        calls(
            breaker("change_thresholds", "the window stays, and the next failure judges", Config::default()),
            4,
            Failure,
        )
        .then(acquire("early"))
        .then(set(Config { min_calls: 5, cooldown_ns: Ns(S), ..Config::default() }))
        .then(state())
        .then(stats())
        .then(report("early", Failure))
        .then(state())
        .then(retry_after())
        .then(set(Config { cooldown_ns: Ns(9 * S), ..Config::default() }))
        .then(retry_after())
        .end(),
        calls(breaker("change_window", "it holds what it would had it always been so large", wide(20)), 4, Failure)
            .each(0..20, |script, _| call(script, Success))
            .then(stats())
            .then(set(wide(22)))
            .then(stats())
            .then(set(wide(5)))
            .then(stats())
            .end(),
        breaker("change_probes", "a cycle takes as many probes as it began with", Config { probes: 2, ..quick() })
            .each(0..2, |script, _| call(script, Failure))
            .after(S)
            .then(acquire("one"))
            .then(acquire("two"))
            .then(set(Config { probes: 3, probe_timeout_ns: Ns(S), ..quick() }))
            .then(acquire("three"))
            .then(report("one", Success))
            .then(report("two", Success))
            .then(state())
            .end(),
        breaker("change_run", "failures in a row count from the change that asks for them", Config::default())
            .each(0..3, |script, _| call(script, Failure))
            .then(set(quick()))
            .each(0..1, |script, _| call(script, Failure))
            .then(state())
            .each(0..1, |script, _| call(script, Failure))
            .then(state())
            .end(),
    ]
}

fn switches() -> Cases {
    vec![
        breaker("force_open", "an operator shuts it: never a time to come back, until the reset", quick())
            .then(acquire("before"))
            .then(Op::ForceOpen {})
            .then(state())
            .then(acquire("refused"))
            .then(retry_after())
            .after(3_600 * S)
            .then(acquire("refused"))
            .then(report("before", Failure))
            .then(Op::Reset {})
            .then(state())
            .then(stats())
            .then(acquire("after"))
            .end(),
        breaker("disable", "everything passes and nothing is counted", quick())
            .then(Op::Disable {})
            .then(state())
            .each(0..5, |script, _| call(script, Failure))
            .then(stats())
            .then(state())
            .then(acquire("late"))
            .then(Op::Reset {})
            .then(report("late", Failure))
            .then(stats())
            .end(),
        breaker("metrics_only", "everything is counted and nothing opens", quick())
            .then(Op::MetricsOnly {})
            .each(0..25, |script, _| call(script, Failure))
            .then(stats())
            .then(state())
            .then(Op::Reset {})
            .then(stats())
            .then(state())
            .end(),
        trip(breaker(
            "reset_closes_an_open_one",
            "with an empty window and the first cooldown",
            Config { cooldown_backoff: 2.0, ..quick() },
        ))
        .after(S)
        .then(acquire("p"))
        .then(report("p", Failure))
        .then(retry_after())
        .then(Op::Reset {})
        .then(state())
        .then(stats())
        .each(0..2, |script, _| call(script, Failure))
        .then(retry_after())
        .end(),
    ]
}

/// Calls that overlap, at a rate of failure that swings, with waits around the cooldown.
fn random() -> Cases {
    let case = |seed| {
        let mut random = Random::new(seed);
        let window = random.chance(50);
        let config = Config {
            window_calls: window.then_some(6),
            window_duration_ns: (!window).then_some(Ns(S)),
            failure_rate_threshold: random.pick(&[0.25, 0.5, 1.0]),
            slow_call_duration_ns: random.chance(50).then_some(Ns(200 * MS)),
            slow_call_rate_threshold: random.pick(&[0.5, 1.0]),
            consecutive_failures: random.chance(50).then_some(4),
            min_calls: random.pick(&[1, 3, 6]),
            cooldown_ns: Ns(500 * MS),
            cooldown_backoff: random.pick(&[1.0, 2.0]),
            max_cooldown_ns: random.chance(50).then_some(Ns(2 * S)),
            probes: random.pick(&[1, 2, 3]),
            probe_timeout_ns: Ns(400 * MS),
            ..Config::default()
        };
        let config = if seed <= 10 {
            config
        } else {
            Config {
                cooldown_backoff: 2.0,
                probe_failure_rate_threshold: random.chance(50).then_some(0.75),
                probes_at_once: random.chance(50).then_some(1),
                healthy_after_ns: random.chance(50).then_some(Ns(random.pick(&[300, 3_000]) * MS)),
                ramp_ns: Some(Ns(random.pick(&[500, 2_000, 5_000]) * MS)),
                ramp_from: random.pick(&[None, Some(0.25)]),
                ..config
            }
        };
        let mut script = breaker(&format!("random_{seed}"), "overlapping calls, most answers late, some lost", config);
        let mut out: Vec<String> = Vec::new();
        for i in 0..150 {
            script = script.after(random.below(120 * MS));
            script = match random.below(20) {
                0..=8 => {
                    let name = format!("p{i}");
                    let (next, granted) = if seed <= 10 {
                        script.acquires(&name)
                    } else {
                        script.asks(draw(&name, random.below(100) as f64 / 100.0))
                    };
                    out.extend(granted.then_some(name));
                    next
                }
                9..=17 if !out.is_empty() => {
                    let permit = out.swap_remove(usize::try_from(random.below(out.len() as u64)).expect("small"));
                    let bad = if i / 50 == 1 { 80 } else { 25 };
                    match random.below(12) {
                        0 => script.then(release(&permit)),
                        1 => script.then(report(&permit, Ignore)),
                        2 => script.then(Op::ReportRetryAfter { permit, retry_after_ns: Ns(S) }),
                        3 => script,
                        4 => script.then(took(&permit, Success, 200 * MS)),
                        _ => script.then(report(&permit, if random.chance(bad) { Failure } else { Success })),
                    }
                }
                18 => script.then(retry_after()),
                _ => script.then(state()),
            };
        }
        script.end()
    };
    (1..=16).map(case).collect()
}

impl Breaker {
    /// Acquires, and tells whether there is a permit to report.
    fn acquires(self, name: &str) -> (Self, bool) {
        self.asks(acquire(name))
    }

    fn asks(self, op: Op) -> (Self, bool) {
        let script = self.then(op);
        let granted = script.last_answer()["permit"] == true;
        (script, granted)
    }
}
