//! Client throttle.

use crate::random::Random;
use crate::script::{self, MIN, MS, S, Script};
use tidegate_model::format::{Case, File, Ns};
use tidegate_model::script::throttle::{Config, ModelThrottle, Op};

type Throttle = Script<ModelThrottle>;
type Cases = Vec<Case<Config, Op>>;

const ACCEPTED: Op = Op::Report { accepted: true };
const REFUSED: Op = Op::Report { accepted: false };
const PROBABILITY: Op = Op::Probability {};
const RETRY_AFTER: Op = Op::RetryAfter {};
const STATS: Op = Op::Stats {};

pub(crate) fn file() -> File<Config, Op> {
    script::file("client_throttle", [odds(), passes(), clocks(), switches(), random()].into_iter().flatten().collect())
}

fn config() -> Config {
    Config {
        k: 2.0,
        window_ns: Ns(30 * S),
        min_calls: 10,
        max_rejection: 0.9,
        force_pass_ns: Ns(S),
        enabled: true,
        dry_run: false,
    }
}

fn throttle(name: &str, why: &str, config: Config) -> Throttle {
    Script::new(name, why, config)
}

fn acquire(draw: f64) -> Op {
    Op::TryAcquire { draw }
}

fn odds() -> Cases {
    vec![
        throttle("the_formula", "(requests - k accepts) / (requests + 1), a draw below it is rejected", config())
            .times(20, &REFUSED)
            .times(20, &ACCEPTED)
            .then(PROBABILITY)
            .times(9, &REFUSED)
            .then(PROBABILITY)
            .then(acquire(0.0))
            .then(acquire(0.17))
            .then(acquire(0.2))
            .then(STATS)
            .end(),
        throttle("few_calls_say_nothing", "below min_calls everything passes", config())
            .times(9, &REFUSED)
            .then(PROBABILITY)
            .then(acquire(0.0))
            .then(REFUSED)
            .then(PROBABILITY)
            .end(),
        throttle("never_all", "the probability has a highest value, so that some calls find out", config())
            .times(50, &REFUSED)
            .then(PROBABILITY)
            .then(acquire(0.9))
            .then(acquire(0.899))
            .then(acquire(0.899))
            .then(STATS)
            .end(),
        throttle(
            "own_rejections_count",
            "as requests: a backend with a capacity is not offered more and more",
            config(),
        )
        .times(10, &REFUSED)
        .times(4, &ACCEPTED)
        .then(PROBABILITY)
        .then(acquire(0.0))
        .times(20, &acquire(0.0))
        .then(PROBABILITY)
        .then(STATS)
        .end(),
        throttle("k_of_one", "as many requests as are accepted", Config { k: 1.0, ..config() })
            .times(15, &ACCEPTED)
            .then(PROBABILITY)
            .times(15, &REFUSED)
            .then(PROBABILITY)
            .end(),
    ]
}

fn passes() -> Cases {
    vec![
        throttle("one_a_second_passes", "whatever the draw, and none more", config())
            .times(30, &REFUSED)
            .each(0..9, |script, _| script.then(acquire(0.0)).then(RETRY_AFTER).after(400 * MS))
            .then(STATS)
            .end(),
        throttle(
            "a_quiet_backend_is_asked",
            "the first rejection passes at once",
            Config { max_rejection: 1.0, ..config() },
        )
        .times(30, &REFUSED)
        .then(RETRY_AFTER)
        .then(acquire(0.0))
        .then(acquire(0.5))
        .after(20 * S)
        .then(acquire(0.5))
        .end(),
    ]
}

fn clocks() -> Cases {
    vec![
        throttle("forgets_a_tenth_at_a_time", "what is older than the window says nothing", config())
            .each(0..10, |script, _| script.times(3, &REFUSED).after(3 * S))
            .each(0..11, |script, _| script.then(PROBABILITY).then(STATS).after(3 * S))
            .end(),
        throttle("the_clock_steps_back", "by up to a minute it is counted on", config())
            .at(2 * MIN)
            .times(20, &REFUSED)
            .back(50 * S)
            .then(PROBABILITY)
            .then(REFUSED)
            .then(STATS)
            .at(3 * S)
            .then(PROBABILITY)
            .then(REFUSED)
            .then(STATS)
            .end(),
        throttle("a_forced_pass_ahead_heals", "after a minute of readings behind it", config())
            .times(20, &REFUSED)
            .at(60 * MIN)
            .times(20, &REFUSED)
            .then(acquire(0.0))
            .at(0)
            .times(20, &REFUSED)
            .then(acquire(0.0))
            .then(RETRY_AFTER)
            .after(MIN - MS)
            .times(20, &REFUSED)
            .then(acquire(0.0))
            .after(MS)
            .then(acquire(0.0))
            .then(acquire(0.0))
            .end(),
    ]
}

fn switches() -> Cases {
    let play = |script: Throttle| {
        script.times(20, &REFUSED).then(PROBABILITY).times(3, &acquire(0.0)).then(RETRY_AFTER).then(STATS).end()
    };
    vec![
        play(throttle(
            "dry_run",
            "it rejects nothing, and counts what it would have",
            Config { dry_run: true, ..config() },
        )),
        play(throttle("disabled", "everything passes and nothing counts", Config { enabled: false, ..config() })),
    ]
}

fn random() -> Cases {
    let case = |seed| {
        let mut random = Random::new(seed);
        let config = Config {
            k: random.pick(&[1.0, 1.1, 1.5, 2.0, 5.0]),
            window_ns: Ns(random.pick(&[100, 1_000, 10_000, 30_000]) * MS),
            min_calls: random.pick(&[1, 5, 10]),
            max_rejection: random.pick(&[0.5, 0.9, 1.0]),
            force_pass_ns: Ns(random.pick(&[10, 500, 1_000]) * MS),
            ..config()
        };
        throttle(&format!("random_{seed}"), "calls, answers and a clock that now and then steps back", config)
            .each(0..150, |script, _| {
                let script = match random.below(30) {
                    0 => script.back(random.below(3_000) * MS / 3),
                    n if n < 15 => script.after(random.below(900) * MS / 2),
                    _ => script,
                };
                match random.below(20) {
                    0 => script.then(PROBABILITY),
                    1 => script.then(RETRY_AFTER),
                    2 => script.then(STATS),
                    n if n < 8 => script.then(REFUSED),
                    n if n < 11 => script.then(ACCEPTED),
                    _ => script.then(acquire(random.below(1_000) as f64 / 1_000.0)),
                }
            })
            .then(STATS)
            .end()
    };
    (1..=10).map(case).collect()
}
