//! Blocks after repeated denials.

use super::{Cases, Limiter, check, config, limiter, peek, reset, take};
use crate::script::{MIN, MS, S};
use tidegate_model::format::Ns;
use tidegate_model::script::limiter::AlgorithmName::{FixedWindow, TokenBucket};
use tidegate_model::script::limiter::{BlockConfig, Config, Op};

const HOUR: u64 = 60 * MIN;

/// Five a minute; the third denial in a minute blocks for ten minutes, then twice that, an hour at most.
fn logins() -> Config {
    let block = BlockConfig { after: 3, within_ns: Ns(MIN), duration_ns: Ns(10 * MIN), growth: 2.0, max_ns: Ns(HOUR) };
    Config { block: Some(block), ..config(FixedWindow, 5, MIN, 5) }
}

/// Takes the limit and is denied three times.
fn knock(script: Limiter) -> Limiter {
    script.then(take("ann", 5)).times(2, &check("ann", 1)).then(take("ann", 1)).then(peek("ann"))
}

pub(super) fn cases() -> Cases {
    vec![
        knock(limiter(
            "block_after_denials",
            "the third denial in a minute blocks, denials before it do not",
            logins(),
        ))
        .then(check("ben", 1))
        .at(5 * MIN)
        .times(5, &check("ann", 1))
        .at(10 * MIN + 2 * MS)
        .then(check("ann", 5))
        .end(),
        limiter("block_needs_its_window", "denials a minute apart do not add up", logins())
            .each(0..4, |script, i| {
                let at = u64::from(i) * 61 * S;
                script.at(at).then(take("ann", 5)).times(2, &take("ann", 1)).then(check("ben", 1))
            })
            .at(5 * MIN)
            .then(check("ann", 1))
            .end(),
        (1..5_u32)
            .fold(limiter("block_grows", "each block is twice the last, an hour at most", logins()), |script, _| {
                let script = knock(script);
                let wait = script.last_answer()["retry_after_ns"].as_str().expect("a time").parse::<u64>();
                script.after(wait.expect("a number") + 2 * MS)
            })
            .then(check("ann", 1))
            .end(),
        knock(
            knock(limiter(
                "block_is_forgotten",
                "after twice its length in peace the next one is short again",
                logins(),
            ))
            .at(HOUR),
        )
        .end(),
        knock(limiter("block_ends_with_a_reset", "a reset forgives the key", logins()))
            .then(reset("ann"))
            .then(check("ann", 5))
            .times(2, &check("ann", 1))
            .then(peek("ann"))
            .end(),
        limiter(
            "block_of_a_token_bucket",
            "after the block the bucket refills from empty",
            Config {
                block: Some(BlockConfig {
                    after: 1,
                    within_ns: Ns(S),
                    duration_ns: Ns(30 * S),
                    growth: 1.5,
                    max_ns: Ns(MIN),
                }),
                ..config(TokenBucket, 1, S, 3)
            },
        )
        .then(check("ann", 3))
        .then(take("ann", 1))
        .then(peek("ann"))
        .at(30 * S + 2 * MS)
        .then(peek("ann"))
        .at(32 * S)
        .then(check("ann", 1))
        .then(take("ann", 1))
        .then(peek("ann"))
        .then(Op::Stats {})
        .end(),
    ]
}
