//! The token bucket of a key.

use super::{Cases, check, config, limiter, peek, refund, reset, take};
use crate::script::{MIN, MS, S};
use tidegate_model::script::limiter::{AlgorithmName::TokenBucket, Op};

pub(super) fn cases() -> Cases {
    let tokens = |count, period, burst| config(TokenBucket, count, period, burst);
    vec![
        limiter("each_key_has_its_own", "one key's use is no other's", tokens(10, S, 3))
            .times(3, &check("ann", 1))
            .then(check("ann", 1))
            .then(peek("ben"))
            .then(check("ben", 2))
            .then(peek("ann"))
            .at(100 * MS)
            .then(take("ann", 1))
            .then(take("ann", 1))
            .then(take("ben", 2))
            .end(),
        limiter("a_token_comes_back_in_its_tick", "waiting as long as told is enough", tokens(100, MIN, 20))
            .then(check("ann", 20))
            .then(check("ann", 1))
            .at(599_999_000)
            .then(check("ann", 1))
            .at(600_100_000)
            .then(check("ann", 1))
            .then(check("ann", 1))
            .end(),
        limiter("costs", "a cost takes all or nothing, and above the burst it is never", tokens(10, S, 10))
            .then(check("ann", 7))
            .then(check("ann", 4))
            .then(check("ann", 11))
            .then(check("ann", 3))
            .at(250 * MS)
            .then(check("ann", 3))
            .then(check("ann", 2))
            .end(),
        limiter("cost_zero_looks", "n = 0 passes and takes nothing", tokens(10, S, 2))
            .then(check("ann", 0))
            .then(check("ann", 2))
            .then(check("ann", 0))
            .then(take("ann", 0))
            .then(peek("ann"))
            .end(),
        limiter("denials_cost_nothing", "hammering changes nothing", tokens(1, S, 1))
            .then(take("ann", 1))
            .each(1..20, |script, i| script.at(u64::from(i) * 50 * MS).then(take("ann", 1)))
            .at(S + MS)
            .then(check("ann", 1))
            .end(),
        limiter("given_back", "a refund is never above full", tokens(10, S, 5))
            .then(check("ann", 5))
            .then(refund("ann", 2))
            .then(peek("ann"))
            .then(refund("ann", 100))
            .then(peek("ann"))
            .then(refund("nobody", 1))
            .then(peek("nobody"))
            .then(check("ann", 5))
            .then(check("ann", 1))
            .end(),
        limiter("as_new", "a reset ends one key's past, reset_all everybody's", tokens(1, MIN, 2))
            .then(check("ann", 2))
            .then(check("ben", 2))
            .then(reset("ann"))
            .then(check("ann", 1))
            .then(check("ben", 1))
            .then(Op::ResetAll {})
            .then(check("ann", 2))
            .then(check("ben", 2))
            .end(),
        limiter("a_clock_that_steps_back", "it denies early and mints nothing", tokens(10, S, 5))
            .at(10 * S)
            .then(take("ann", 5))
            .at(9 * S)
            .then(take("ann", 1))
            .at(10 * S)
            .then(take("ann", 1))
            .at(10 * S + 101 * MS)
            .then(take("ann", 1))
            .then(take("ann", 1))
            .end(),
        limiter("slow_rate", "one a day, and weeks without a call", tokens(1, 24 * 60 * MIN, 3))
            .then(check("ann", 3))
            .then(check("ann", 1))
            .at(24 * 60 * MIN - MIN)
            .then(take("ann", 1))
            .at(24 * 60 * MIN + MIN)
            .then(check("ann", 1))
            .at(90 * 24 * 60 * MIN)
            .then(check("ann", 4))
            .then(check("ann", 3))
            .end(),
        limiter("fast_rate", "a million a second, to its tick", tokens(1_000_000, S, 1_000))
            .then(check("ann", 1_000))
            .at(999)
            .then(check("ann", 1))
            .at(1_001)
            .then(check("ann", 1))
            .at(1_000_500)
            .then(check("ann", 999))
            .end(),
    ]
}
