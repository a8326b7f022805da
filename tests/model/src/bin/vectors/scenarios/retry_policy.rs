//! Backoff and retry policy.

use crate::random::Random;
use crate::script::{self, MIN, MS, S, Script};
use tidegate_model::format::{Case, File, Ns};
use tidegate_model::script::retry::{Config, JitterName, ModelRetry, Op};

type Retry = Script<ModelRetry>;
type Cases = Vec<Case<Config, Op>>;

/// Whole parts of a power of two, so that no answer depends on the order of a multiplication.
const DRAWS: [f64; 8] = [0.0, 0.125, 0.25, 0.5, 0.625, 0.75, 0.875, 0.984375];

pub(crate) fn file() -> File<Config, Op> {
    script::file("retry_policy", [jitters(), edges(), policies(), random()].into_iter().flatten().collect())
}

fn config(jitter: JitterName) -> Config {
    Config {
        attempts: 3,
        base_ns: Ns(100 * MS),
        factor: 2.0,
        max_delay_ns: Ns(5 * S),
        jitter,
        deadline_ns: None,
        max_retry_after_ns: Ns(60 * S),
    }
}

fn retry(name: &str, why: &str, config: Config) -> Retry {
    Script::new(name, why, config)
}

fn delay(n: u64, draw: f64) -> Op {
    Op::Delay { n, draw }
}

fn failed(attempts: u64, retry_after: Option<u64>, elapsed: u64) -> Op {
    Op::Failed { attempts, draw: 0.5, retry_after_ns: retry_after.map(Ns), elapsed_ns: Ns(elapsed) }
}

fn jitters() -> Cases {
    let each = |name, why, jitter| {
        let draws = [0.5, 0.0, 0.875, 0.25, 0.984375, 0.5, 0.125, 0.75];
        retry(name, why, config(jitter)).each(0..8, |script, n| script.then(delay(n.into(), draws[n as usize]))).end()
    };
    vec![
        each("none", "it doubles from the base up to the longest, whatever the draw", JitterName::None),
        each("full", "anything up to the whole wait, the draw is the part of it", JitterName::Full),
        each("equal", "half of the wait, and the drawn part of the other half", JitterName::Equal),
        each("decorrelated", "from the base up to three times the wait before", JitterName::Decorrelated),
        each("smooth", "the rise of Polly's curve since the draw before", JitterName::Smooth),
        retry(
            "smooth_median",
            "without a spread of the draw the first wait is about the base",
            config(JitterName::Smooth),
        )
        .then(delay(0, 0.5))
        .end(),
    ]
}

fn edges() -> Cases {
    let all = [JitterName::None, JitterName::Full, JitterName::Equal, JitterName::Decorrelated, JitterName::Smooth];
    let mut cases = Cases::new();
    for jitter in all {
        let name = format!("{jitter:?}").to_lowercase();
        cases.push(
            retry(
                &format!("{name}_far_out"),
                "no number overflows: it is the longest wait, or its part",
                config(jitter),
            )
            .then(delay(1 << 32, 0.5))
            .then(delay(u64::from(u32::MAX), 0.875))
            .then(delay(1 << 52, 0.0))
            .end(),
        );
        cases.push(
            retry(
                &format!("{name}_from_nothing"),
                "a base of 0 never waits",
                Config { base_ns: Ns(0), ..config(jitter) },
            )
            .then(delay(0, 0.5))
            .then(delay(7, 0.75))
            .then(delay(1 << 32, 0.875))
            .end(),
        );
        let low = Config { max_delay_ns: Ns(10 * MS), ..config(jitter) };
        cases.push(
            retry(&format!("{name}_capped_below_its_base"), "the longest wait is the longest", low)
                .each(0..4, |script, n| script.then(delay(n.into(), DRAWS[2 * n as usize])))
                .end(),
        );
    }
    cases.push(
        retry("factor_one", "it does not grow", Config { factor: 1.0, ..config(JitterName::None) })
            .then(delay(0, 0.0))
            .then(delay(9, 0.0))
            .then(delay(1 << 40, 0.0))
            .end(),
    );
    cases.push(
        retry("factor_of_a_half_more", "any factor from 1", Config { factor: 1.5, ..config(JitterName::None) })
            .each(0..6, |script, n| script.then(delay(n.into(), 0.5)))
            .end(),
    );
    cases
}

fn policies() -> Cases {
    let none = config(JitterName::None);
    vec![
        retry("attempts", "three attempts are two retries", none.clone())
            .then(failed(1, None, 0))
            .then(failed(2, None, 0))
            .then(failed(3, None, 0))
            .then(failed(4, None, 0))
            .end(),
        retry("one_attempt", "no retry at all", Config { attempts: 1, ..none.clone() }).then(failed(1, None, 0)).end(),
        retry("told_by_the_server", "it wins when it is longer, as far as it is believed", none.clone())
            .then(failed(1, Some(50 * MS), 0))
            .then(failed(1, Some(7 * S), 0))
            .then(failed(1, Some(60 * S), 0))
            .then(failed(1, Some(60 * MIN), 0))
            .then(failed(1, Some(u64::MAX - 1), 0))
            .then(failed(3, Some(S), 0))
            .end(),
        retry(
            "never_believed",
            "what a server tells may count for nothing",
            Config { max_retry_after_ns: Ns(0), ..none.clone() },
        )
        .then(failed(1, Some(7 * S), 0))
        .end(),
        retry(
            "deadline",
            "a wait that would reach the end is not begun",
            Config { deadline_ns: Some(Ns(S)), attempts: 10, ..none.clone() },
        )
        .then(failed(1, None, 0))
        .then(failed(1, None, 899 * MS))
        .then(failed(1, None, 900 * MS))
        .then(failed(2, None, 800 * MS))
        .then(failed(2, None, 799 * MS))
        .then(failed(1, Some(2 * S), 0))
        .then(failed(1, None, u64::MAX - 1))
        .end(),
        retry("as_often_as_it_takes", "the highest number of attempts", Config { attempts: u32::MAX, ..none })
            .then(failed(1 << 31, None, 0))
            .then(failed(u64::from(u32::MAX) - 1, None, 0))
            .then(failed(u32::MAX.into(), None, 0))
            .end(),
    ]
}

fn random() -> Cases {
    let case = |seed| {
        let mut random = Random::new(seed);
        let all = [JitterName::None, JitterName::Full, JitterName::Equal, JitterName::Decorrelated];
        let config = Config {
            attempts: 1 + random.below(8) as u32,
            base_ns: Ns(random.below(300) * MS),
            factor: random.pick(&[1.0, 1.5, 2.0, 3.0]),
            max_delay_ns: Ns(random.below(9_000) * MS),
            jitter: random.pick(&all),
            deadline_ns: random.chance(50).then_some(Ns((1 + random.below(20)) * S)),
            max_retry_after_ns: Ns(random.below(9) * S),
        };
        let mut elapsed = 0;
        retry(&format!("random_{seed}"), "calls that fail again and again", config)
            .each(1..10, |script, attempts| {
                elapsed += random.below(2_000) * MS;
                let retry_after_ns = random.chance(30).then_some(Ns(random.below(12_000) * MS));
                let draw = random.pick(&DRAWS);
                script.then(Op::Failed { attempts: attempts.into(), draw, retry_after_ns, elapsed_ns: Ns(elapsed) })
            })
            .end()
    };
    (1..=12).map(case).collect()
}
