//! Another quota for some calls, and another default.

use super::{Cases, check, check_tier, config, limiter, peek, quota, take};
use crate::script::{MIN, MS, S};
use tidegate_model::script::limiter::AlgorithmName::{
    self, FixedWindow, LeakyBucket, SlidingLog, SlidingWindow, TokenBucket,
};
use tidegate_model::script::limiter::{Config, Op, QuotaConfig};

/// Ten a minute for the free, a hundred for the paying.
fn plans(algorithm: AlgorithmName) -> (Config, QuotaConfig) {
    let pro = quota(100, MIN, 100);
    (Config { fastest: Some(pro), ..config(algorithm, 10, MIN, 10) }, pro)
}

fn set_quota(QuotaConfig { count, period_ns, burst }: QuotaConfig) -> Op {
    Op::SetQuota { count, period_ns, burst }
}

pub(super) fn cases() -> Cases {
    let all = [
        ("token", TokenBucket),
        ("fixed", FixedWindow),
        ("sliding", SlidingWindow),
        ("log", SlidingLog),
        ("leaky", LeakyBucket),
    ];
    all.into_iter().flat_map(|(name, algorithm)| of(name, algorithm)).collect()
}

fn of(name: &str, algorithm: AlgorithmName) -> Cases {
    let (settings, pro) = plans(algorithm);
    let case = |what: &str, why: &str| limiter(&format!("tier_{name}_{what}"), why, settings);
    vec![
        case("has_its_own_limit", "one call by a faster quota, the next by the default, on the same table")
            .then(check_tier("ann", 60, pro))
            .then(check("ben", 10))
            .then(check("ben", 1))
            .then(check_tier("ann", 41, pro))
            .then(check_tier("ann", 40, pro))
            .then(check_tier("ann", 1, pro))
            .then(Op::Peek { key: "ann".into(), tier: Some(pro) })
            .at(6 * S + 100 * MS)
            .then(check("ben", 1))
            .then(check_tier("ann", 5, pro))
            .end(),
        case("moves_down", "a key that loses its tier keeps what fits under the smaller limit")
            .then(check_tier("ann", 80, pro))
            .then(peek("ann"))
            .then(check("ann", 1))
            .at(20 * S)
            .then(check("ann", 1))
            .at(2 * MIN)
            .then(check("ann", 10))
            .end(),
        case("default_changes", "a new default holds for every key, and keeps what it has used")
            .then(check("ann", 8))
            .then(set_quota(pro))
            .then(peek("ann"))
            .then(check("ann", 50))
            .then(check("ben", 100))
            .at(10 * S)
            .then(set_quota(quota(10, MIN, 10)))
            .then(peek("ann"))
            .then(take("ben", 1))
            .at(3 * MIN)
            .then(check("ann", 10))
            .then(check("ann", 1))
            .end(),
    ]
}
