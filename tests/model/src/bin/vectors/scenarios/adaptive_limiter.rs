//! Adaptive concurrency limit: the default's windows step by step, and the numbers of Netflix's own tests.

use crate::random::Random;
use crate::script::{self, MS, S, Script};
use serde_json::json;
use tidegate_model::format::{Case, File, Ns};
use tidegate_model::script::adaptive::{Config, ModelAdaptive, Op};

type Adaptive = Script<ModelAdaptive>;
type Cases = Vec<Case<Config, Op>>;

const LIMIT: Op = Op::Limit {};

pub(crate) fn file() -> File<Config, Op> {
    let groups = [windows(), probes(), guards(), permits(), clocks(), netflix(), random()];
    script::file("adaptive_limiter", groups.into_iter().flatten().collect())
}

fn config() -> Config {
    Config {
        algorithm: "gradient".to_owned(),
        min_limit: 1,
        initial_limit: 10,
        max_limit: 100,
        tolerance: 2.0,
        window_ns: Ns(500 * MS),
        samples: 20,
        max_window_ns: Ns(5 * S),
        min_samples: 5,
        probe: true,
        probe_every_ns: Ns(60 * S),
        probe_floor: None,
        max_latency_ns: None,
        base_ns: None,
        timeout_ns: Ns(5 * S),
        backoff_ratio: 0.9,
    }
}

fn without_probe() -> Config {
    Config { probe: false, ..config() }
}

fn with_base(ns: u64) -> Config {
    Config { base_ns: Some(Ns(ns)), ..config() }
}

/// Netflix's, behind its windows of 1 s and 10 samples.
fn of_netflix(algorithm: &str, initial_limit: u32, min_limit: u32, max_limit: u32) -> Config {
    let tolerance = if algorithm == "gradient2" { 1.5 } else { 2.0 };
    Config {
        algorithm: algorithm.to_owned(),
        initial_limit,
        min_limit,
        max_limit,
        tolerance,
        window_ns: Ns(S),
        samples: 10,
        ..config()
    }
}

fn adaptive(name: &str, why: &str, config: Config) -> Adaptive {
    Script::new(name, why, config)
}

fn ask(name: impl ToString) -> Op {
    Op::TryAcquire { name: name.to_string() }
}

fn report(permit: impl ToString, outcome: &str) -> Op {
    Op::Report { permit: permit.to_string(), outcome: outcome.to_owned(), latency_ns: None }
}

/// So many calls at once, `latency` each, and the limit afterwards.
fn round(script: Adaptive, calls: u32, latency: u64, dropped: u32) -> Adaptive {
    let mut script = script;
    let mut held = Vec::new();
    for call in 0..calls {
        script = script.then(ask(format!("c{call}")));
        if script.last_answer()["permit"] == true {
            held.push(call);
        }
    }
    script = script.after(latency);
    for call in held {
        script = script.then(report(format!("c{call}"), if call < dropped { "dropped" } else { "success" }));
    }
    script.then(LIMIT)
}

/// Rounds, each a number of calls and their latency in ms.
fn rounds(script: Adaptive, rounds: &[(u32, u64)]) -> Adaptive {
    rounds.iter().fold(script, |script, &(calls, ms)| round(script, calls, ms * MS, 0))
}

fn limits(script: Adaptive, expected: &[u32]) -> Case<Config, Op> {
    let case = script.end();
    let seen: Vec<_> = case.steps.iter().filter_map(|step| step.expect.get("limit")).collect();
    assert_eq!(json!(seen), json!(expected), "{}", case.name);
    case
}

fn windows() -> Cases {
    let grows = adaptive("slow_start", "the limit doubles while somebody is refused", without_probe());
    let near = adaptive("near_the_limit", "eight tenths of it in flight: it grows by its root", without_probe());
    let idle = adaptive("demand_decides", "fewer than half of it in flight: it stays", without_probe());
    let falls =
        adaptive("a_queue", "calls at four times the base: halfway to half of it, plus one", with_base(20 * MS));
    let bounds = adaptive("bounds", "not below the least", Config { min_limit: 8, ..with_base(20 * MS) });
    let drops = adaptive("drops", "more than a tenth dropped: a tenth less", with_base(500 * MS));
    let few = adaptive("few_samples", "fewer than five in the longest window: no step", without_probe());
    vec![
        limits(rounds(grows, &[(11, 250), (11, 250), (21, 500), (41, 500)]), &[10, 20, 40, 80]),
        limits(rounds(near, &[(8, 200), (8, 200), (8, 200)]), &[10, 10, 13]),
        limits(rounds(idle, &[(4, 250), (4, 250), (4, 250), (4, 250), (4, 250)]), &[10, 10, 10, 10, 10]),
        limits(rounds(falls, &[(10, 80); 8]), &[10, 10, 10, 10, 10, 10, 8, 8]),
        limits(rounds(bounds, &[(10, 300); 6]), &[10, 8, 8, 8, 8, 8]),
        limits(round(round(drops, 10, 250 * MS, 2), 10, 250 * MS, 2), &[10, 9]),
        limits(rounds(few, &[(2, 4_900), (11, 300), (11, 300)]), &[10, 10, 10]),
    ]
}

fn probes() -> Cases {
    let begins = adaptive(
        "a_probe",
        "refused and never looked: half of what is in flight without a queue, until 40 calls begun since have ended",
        config(),
    );
    let late =
        adaptive("begun_before_a_probe", "who asked before it began says nothing of it", config()).then(ask("early"));
    let stuck = adaptive("a_probe_that_nobody_ends", "a refusal ends it after four longest windows", config());
    let floor = adaptive(
        "the_floor_of_a_probe",
        "apart from the least limit",
        Config { probe_floor: Some(2), min_limit: 6, ..config() },
    );
    let lull = adaptive(
        "a_probe_after_a_lull",
        "what is in flight without a queue follows from a limit that is reached, not from the quiet time before",
        config(),
    );
    let stuck = round(round(stuck, 11, 250 * MS, 0), 11, 250 * MS, 0)
        .each(0..6, |script, i| script.then(ask(i)))
        .after(20 * S)
        .then(ask("refused"))
        .then(LIMIT)
        .after(1)
        .then(ask("last_refused"))
        .then(LIMIT)
        .then(ask("admitted"));
    let late = round(round(late, 10, 250 * MS, 0), 10, 300 * MS, 0).then(LIMIT);
    let late = rounds(late, &[(4, 20); 9]).after(20 * MS).then(report("early", "success"));
    vec![
        limits(rounds(begins, &[(11, 250), (11, 250), (6, 20), (6, 20), (6, 20)]), &[10, 5, 5, 5, 5]),
        limits(rounds(late, &[(4, 20), (4, 20)]), &[10, 10, 10, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 10]),
        limits(stuck, &[10, 5, 5, 10]),
        limits(rounds(floor, &[(8, 200), (8, 200), (4, 200), (14, 3_000), (14, 3_000)]), &[10, 10, 13, 13, 2]),
        limits(rounds(lull, &[(2, 2_000), (2, 2_000), (11, 50), (11, 50), (1, 1)]), &[10, 10, 10, 5, 5]),
    ]
}

fn guards() -> Cases {
    let slow = adaptive(
        "max_latency",
        "above it the limit falls, however the base",
        Config { max_latency_ns: Some(Ns(100 * MS)), ..config() },
    );
    let fixed = adaptive("a_fixed_base", "it is not measured, and nothing is probed for", with_base(30 * MS));
    let quick = adaptive("quick_refusals", "a dropped call is no faster than the base", without_probe());
    let quick = rounds(quick, &[(11, 250), (11, 250)]);
    vec![
        limits(rounds(slow, &[(11, 300); 6]), &[10, 7, 7, 7, 5, 5]),
        limits(
            rounds(rounds(fixed, &[(11, 50); 10]), &[(21, 100); 5]),
            &[10, 10, 10, 10, 10, 10, 10, 10, 10, 20, 20, 20, 20, 20, 16],
        ),
        limits(round(round(quick, 20, MS, 20), 20, 500 * MS, 0), &[10, 20, 20, 18]),
    ]
}

fn permits() -> Cases {
    let silent = adaptive("released_says_nothing", "and so does ignored; a permit counts once", without_probe());
    let silent = silent.each(0..30, |script, i| {
        let script = script.then(ask(i)).after(50 * MS);
        let script = if i % 2 == 0 {
            script.then(Op::Release { permit: i.to_string() })
        } else {
            script.then(report(i, "ignore"))
        };
        script.then(report(i, "success")).then(report(i, "dropped"))
    });
    let given = adaptive("a_latency_of_the_callers", "counts in place of the time since asking", with_base(20 * MS))
        .each(0..20, |script, i| {
            let latency_ns = Some(Ns(80 * MS));
            let script = script.then(ask(i)).after(if i < 10 { 0 } else { 50 * MS });
            let more = ["b", "c", "d", "e"].map(|other| ask(format!("{other}{i}")));
            more.into_iter().fold(script, Script::then).then(Op::Report {
                permit: i.to_string(),
                outcome: "success".to_owned(),
                latency_ns,
            })
        })
        .then(LIMIT);
    let lowered = adaptive("lowered", "the present finish, and nobody comes in before fewer are held", with_base(MS))
        .each(0..10, |script, i| script.then(ask(i)))
        .after(5 * S)
        .each(0..5, |script, i| script.then(report(i, "success")))
        .each(10..16, |script, i| script.then(ask(i)))
        .then(LIMIT)
        .each(5..8, |script, i| script.then(report(i, "success")))
        .each(20..26, |script, i| script.then(ask(i)))
        .then(LIMIT);
    vec![silent.then(LIMIT).end(), given.end(), lowered.end()]
}

fn clocks() -> Cases {
    let back =
        adaptive("stepped_back", "a call that ended before it began says nothing; the window begins anew", config())
            .each(0..10, |script, i| script.then(ask(i)))
            .back(100 * S)
            .each(0..10, |script, i| script.then(report(i, "success")))
            .then(LIMIT);
    let short = adaptive("stepped_back_a_little", "less than a longest window: it goes on", without_probe());
    let short = round(short, 11, 250 * MS, 0).back(2 * S);
    let zero = adaptive("no_latency", "is the shortest there is", without_probe());
    let zero = round(round(zero, 11, 0, 0).after(500 * MS), 11, 0, 0);
    vec![
        rounds(back, &[(11, 300), (11, 300), (6, 20)]).end(),
        rounds(short, &[(11, 250), (11, 2_500), (21, 600)]).end(),
        zero.end(),
    ]
}

/// The numbers of `AIMDLimitTest`, `VegasLimitTest` and `Gradient2Limit`, each sample a window of ten calls.
fn netflix() -> Cases {
    let of = |name: &str, config: Config| {
        // Netflix's first window is the first sample.
        adaptive(name, "the number of Netflix's own test", config)
            .then(ask("first"))
            .after(MS)
            .then(report("first", "success"))
    };
    // So many calls of one latency, and one more of it that finds the window over.
    let window = |script: Adaptive, calls: u32, ms: u64, dropped: u32| {
        let last =
            Op::Report { permit: "last".to_owned(), outcome: "success".to_owned(), latency_ns: Some(Ns(ms * MS)) };
        round(script, calls, ms * MS, dropped).then(ask("last")).after(1_001 * MS).then(last).then(LIMIT)
    };
    let aimd = |name: &str, initial: u32, min: u32, max: u32| of(name, of_netflix("aimd", initial, min, max));
    let vegas = |name: &str, second: u64| {
        let script = window(of(name, of_netflix("vegas", 10, 1, 20)), 10, 10, 0);
        window(script, 10, second, 0)
    };
    let gradient2 = of("gradient2_steps", of_netflix("gradient2", 20, 20, 200));
    let gradient2 = (0..14).fold(gradient2, |script, i| window(script, 20, if i < 7 { 20 } else { 200 }, 0));
    let long = 6_000 * MS;
    vec![
        limits(window(aimd("aimd_increase", 20, 20, 200), 10, 1, 0), &[20, 21]),
        limits(window(aimd("aimd_decrease", 30, 20, 200), 10, 1, 1), &[30, 27]),
        limits(window(aimd("aimd_overflow", 21, 1, 21), 10, 1, 0), &[21, 21]),
        limits(round(aimd("aimd_timeout", 30, 20, 200), 15, long, 0), &[30]),
        limits(window(aimd("netflix_few_samples", 20, 20, 200), 8, 1, 8), &[20, 20]),
        limits(vegas("vegas_increase", 10), &[10, 10, 10, 16]),
        limits(vegas("vegas_decrease", 50), &[10, 10, 10, 9]),
        limits(vegas("vegas_within", 14), &[10, 10, 10, 10]),
        gradient2.end(),
    ]
}

fn random() -> Cases {
    let case = |seed| {
        let mut random = Random::new(seed);
        let algorithm = random.pick(&["gradient", "gradient", "gradient", "vegas", "gradient2", "aimd"]);
        let probe = random.chance(80);
        let mut script = adaptive(
            &format!("random_{seed}"),
            "load that comes and goes",
            Config { algorithm: algorithm.to_owned(), probe, samples: 10, max_limit: 30, ..config() },
        );
        let mut latency = 20;
        for _ in 0..25 {
            if random.chance(30) {
                latency = random.pick(&[10, 20, 40, 80, 300]);
            }
            let calls = 1 + random.below(20) as u32;
            script = round(script, calls, latency * MS, if random.chance(10) { 5 } else { 0 });
            script = script.after(random.pick(&[0, 0, 100, 2_000]) * MS);
            if random.chance(3) {
                script = script.back(30 * S);
            }
        }
        script.end()
    };
    (1..=6).map(case).collect()
}
