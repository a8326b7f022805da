//! Retry budget.

use crate::random::Random;
use crate::script::{self, MIN, MS, S, Script};
use tidegate_model::format::{Case, File, Ns};
use tidegate_model::script::budget::{Config, ModelBudget, Op};

type Budget = Script<ModelBudget>;
type Cases = Vec<Case<Config, Op>>;

const WITHDRAW: Op = Op::TryWithdraw {};
const DEPOSIT: Op = Op::Deposit {};
const BALANCE: Op = Op::Balance {};
const RETRY_AFTER: Op = Op::RetryAfter {};
const STATS: Op = Op::Stats {};

pub(crate) fn file() -> File<Config, Op> {
    script::file("retry_budget", [savings(), clocks(), switches(), random()].into_iter().flatten().collect())
}

fn config(ratio: f64, min_per_second: f64, ttl: u64) -> Config {
    Config { ratio, min_per_second, ttl_ns: Ns(ttl), enabled: true, dry_run: false }
}

fn budget(name: &str, why: &str, config: Config) -> Budget {
    Script::new(name, why, config)
}

fn savings() -> Cases {
    vec![
        budget("the_defaults", "a hundred retries are saved up, then ten a second", config(0.2, 10.0, 10 * S))
            .then(BALANCE)
            .times(100, &WITHDRAW)
            .then(WITHDRAW)
            .then(RETRY_AFTER)
            .then(BALANCE)
            .after(100 * MS - 1)
            .then(WITHDRAW)
            .then(RETRY_AFTER)
            .after(1)
            .then(WITHDRAW)
            .then(WITHDRAW)
            .then(STATS)
            .end(),
        budget("five_calls_pay_for_one", "four are not enough", config(0.2, 0.0, 10 * S))
            .then(WITHDRAW)
            .times(4, &DEPOSIT)
            .then(WITHDRAW)
            .then(RETRY_AFTER)
            .then(DEPOSIT)
            .then(BALANCE)
            .then(RETRY_AFTER)
            .then(WITHDRAW)
            .then(WITHDRAW)
            .then(STATS)
            .end(),
        budget("nothing_is_saved_beyond_the_most", "calls pay into a full budget for nothing", config(0.5, 1.0, 3 * S))
            .times(50, &DEPOSIT)
            .then(BALANCE)
            .times(4, &WITHDRAW)
            .times(50, &DEPOSIT)
            .times(4, &WITHDRAW)
            .after(MIN)
            .then(BALANCE)
            .times(4, &WITHDRAW)
            .then(STATS)
            .end(),
        budget("one_at_least", "less than one is saved up by time, so the first comes later", config(0.1, 0.5, S))
            .then(BALANCE)
            .then(WITHDRAW)
            .then(RETRY_AFTER)
            .after(S)
            .then(WITHDRAW)
            .then(WITHDRAW)
            .times(10, &DEPOSIT)
            .then(WITHDRAW)
            .then(WITHDRAW)
            .end(),
        budget("no_ratio", "time alone pays", config(0.0, 2.0, S))
            .times(10, &DEPOSIT)
            .times(3, &WITHDRAW)
            .times(10, &DEPOSIT)
            .then(WITHDRAW)
            .after(500 * MS)
            .times(2, &WITHDRAW)
            .end(),
        budget("a_retry_a_call", "the highest ratio", config(1.0, 0.0, S))
            .then(WITHDRAW)
            .each(0..3, |script, _| script.then(DEPOSIT).then(WITHDRAW).then(WITHDRAW))
            .end(),
    ]
}

fn clocks() -> Cases {
    vec![
        budget(
            "the_clock_steps_back",
            "nothing is minted, and it may deny until the clock is there",
            config(0.2, 10.0, S),
        )
        .after(10 * S)
        .times(10, &WITHDRAW)
        .back(5 * S)
        .then(WITHDRAW)
        .then(BALANCE)
        .then(RETRY_AFTER)
        .times(5, &DEPOSIT)
        .then(WITHDRAW)
        .after(5 * S)
        .then(WITHDRAW)
        .then(WITHDRAW)
        .after(100 * MS)
        .then(WITHDRAW)
        .end(),
        budget("a_bad_reading_heals", "after a minute of readings behind it, from empty", config(0.0, 10.0, S))
            .at(30 * 24 * 60 * MIN)
            .then(WITHDRAW)
            .at(S)
            .then(WITHDRAW)
            .then(BALANCE)
            .at(60 * S + 999 * MS)
            .then(WITHDRAW)
            .at(61 * S)
            .then(WITHDRAW)
            .then(BALANCE)
            .after(100 * MS)
            .then(WITHDRAW)
            .then(WITHDRAW)
            .end(),
        budget(
            "a_plausible_reading_keeps_it",
            "a late thread's readings do not heal what is right",
            config(0.0, 10.0, S),
        )
        .at(10 * MIN)
        .times(10, &WITHDRAW)
        .at(MIN)
        .then(WITHDRAW)
        .at(10 * MIN)
        .then(WITHDRAW)
        .at(2 * MIN + S)
        .then(WITHDRAW)
        .at(10 * MIN)
        .then(WITHDRAW)
        .then(BALANCE)
        .end(),
    ]
}

fn switches() -> Cases {
    let play =
        |script: Budget| script.then(DEPOSIT).times(3, &WITHDRAW).then(BALANCE).then(RETRY_AFTER).then(STATS).end();
    vec![
        play(budget(
            "dry_run",
            "it refuses nothing and counts what it would have",
            Config { dry_run: true, ..config(0.2, 1.0, S) },
        )),
        play(budget(
            "disabled",
            "it lets everything through and counts nothing",
            Config { enabled: false, ..config(0.2, 1.0, S) },
        )),
    ]
}

fn random() -> Cases {
    let case = |seed| {
        let mut random = Random::new(seed);
        let config = config(
            random.pick(&[0.0, 0.1, 0.2, 0.25, 0.5, 1.0]),
            random.pick(&[0.0, 0.5, 1.0, 4.0, 10.0, 1_000.0]),
            random.pick(&[100, 1_000, 2_500, 10_000]) * MS,
        );
        budget(&format!("random_{seed}"), "calls and retries mixed, with a clock that now and then steps back", config)
            .each(0..120, |script, _| {
                let script = match random.below(20) {
                    0 => script.back(random.below(3_000) * MS / 3),
                    n if n < 12 => script.after(random.below(400) * MS / 2),
                    _ => script,
                };
                match random.below(20) {
                    0 => script.then(BALANCE),
                    1 => script.then(RETRY_AFTER),
                    n if n < 10 => script.then(DEPOSIT),
                    _ => script.then(WITHDRAW),
                }
            })
            .then(STATS)
            .end()
    };
    (1..=10).map(case).collect()
}
