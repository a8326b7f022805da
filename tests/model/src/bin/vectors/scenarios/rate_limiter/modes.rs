//! Dry run, off, and the ramp of a new limiter.

use super::{Cases, check, config, limiter, peek, refund, take};
use crate::script::{MIN, MS, S};
use tidegate_model::format::Ns;
use tidegate_model::script::limiter::AlgorithmName::{FixedWindow, SlidingLog, SlidingWindow, TokenBucket};
use tidegate_model::script::limiter::{Config, ModeName, Op, WarmUpConfig};

pub(super) fn cases() -> Cases {
    let mut cases = vec![
        limiter(
            "dry_run_counts",
            "it decides and charges as ever, and refuses nothing",
            Config { mode: ModeName::DryRun, ..config(TokenBucket, 10, S, 3) },
        )
        .times(3, &check("ann", 1))
        .then(check("ann", 1))
        .then(take("ann", 4))
        .at(101 * MS)
        .then(check("ann", 1))
        .then(take("ann", 1))
        .end(),
        limiter(
            "dry_run_of_a_window",
            "the count stays at the limit",
            Config { mode: ModeName::DryRun, ..config(FixedWindow, 2, MIN, 2) },
        )
        .times(4, &take("ann", 1))
        .then(refund("ann", 1))
        .then(take("ann", 1))
        .end(),
        limiter(
            "disabled_admits",
            "nothing is counted",
            Config { mode: ModeName::Disabled, ..config(FixedWindow, 2, MIN, 2) },
        )
        .times(4, &take("ann", 1))
        .end(),
        limiter("stats", "what was admitted and denied is counted, looks are not", config(FixedWindow, 2, MIN, 2))
            .times(3, &take("ann", 1))
            .then(check("ben", 3))
            .then(peek("ann"))
            .then(Op::Stats {})
            .end(),
    ];
    for (name, algorithm) in
        [("token", TokenBucket), ("fixed", FixedWindow), ("sliding", SlidingWindow), ("log", SlidingLog)]
    {
        let ramp = WarmUpConfig { period_ns: Ns(100 * S), from: 0.25 };
        let settings = Config { warm_up: Some(ramp), ..config(algorithm, 8, 10 * S, 8) };
        cases.push(
            limiter(&format!("warm_up_{name}"), "a new limiter starts with a part and grows into the whole", settings)
                .then(peek("ann"))
                .times(3, &check("ann", 1))
                .at(34 * S)
                .then(check("ben", 4))
                .then(check("ben", 1))
                .at(50 * S)
                .then(peek("ann"))
                .then(check("ann", 5))
                .then(check("ann", 1))
                .at(100 * S)
                .then(check("cay", 8))
                .then(check("cay", 1))
                .end(),
        );
        // Six of eight are open once two thirds of the ramp are over: at 66.6 s, and a nanosecond more for what is
        // rounded.
        cases.push(
            limiter(&format!("warm_up_{name}_waits"), "what is not open yet can be had once it is", settings)
                .then(check("ann", 6))
                .then(check("ann", 9))
                .then(check("ben", 1))
                .then(check("ben", 6))
                .then(Op::Penalize { key: "cay".into(), wait_ns: Ns(90 * S) })
                .then(check("cay", 6))
                .at(60 * S)
                .then(check("dan", 1))
                .then(check("dan", 6))
                .at(200 * S / 3)
                .then(check("ann", 6))
                .at(200 * S / 3 + 1)
                .then(check("ann", 6))
                .then(check("ben", 6))
                .end(),
        );
    }
    cases
}
