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
    let by_turns = [("token", TokenBucket), ("fixed", FixedWindow), ("leaky", LeakyBucket)];
    let each = all.into_iter().flat_map(|(name, algorithm)| of(name, algorithm));
    each.chain(by_turns.into_iter().flat_map(|(name, algorithm)| turns(name, algorithm))).collect()
}

/// Five a minute and sixty a second: what one has used of a key, the other finds used.
fn turns(name: &str, algorithm: AlgorithmName) -> Cases {
    let (slow, fast) = (quota(5, MIN, 5), quota(60, S, 60));
    let settings = match algorithm {
        // Of windows the table is made for the longest and the largest.
        FixedWindow => Config { fastest: Some(quota(60, MIN, 60)), ..config(algorithm, 5, MIN, 5) },
        _ => Config { fastest: Some(fast), ..config(algorithm, 5, MIN, 5) },
    };
    let case = |what: &str, why: &str| limiter(&format!("tier_{name}_{what}"), why, settings);
    let peek_tier = |tier| Op::Peek { key: "ann".into(), tier };
    let mut by_tier = case("by_turns", "no order of two quotas on one key admits more than the larger burst");
    let mut by_default = case("default_by_turns", "nor do two defaults by turns");
    for at in [0, 0, 0, S / 2, 2 * S] {
        by_tier = by_tier.at(at);
        by_default = by_default.at(at);
        for _ in 0..3 {
            by_tier = by_tier.then(check("ann", 2)).then(peek_tier(Some(fast))).then(check_tier("ann", 20, fast));
            by_tier = by_tier.then(peek_tier(None)).then(check("ann", 1)).then(check_tier("ann", 1, fast));
            by_default = by_default.then(check("ann", 2)).then(set_quota(fast)).then(check("ann", 20));
            by_default = by_default.then(set_quota(slow)).then(take("ann", 1)).then(peek("ann"));
        }
    }
    vec![
        by_tier.end(),
        by_default.end(),
        case("keeps_its_part", "half of one quota is half of another, either way, and comes back with it")
            .then(check("ann", 2))
            .then(peek_tier(Some(fast)))
            .then(check_tier("ann", 6, fast))
            .then(peek_tier(None))
            .at(S / 4)
            .then(peek_tier(Some(fast)))
            .then(check("ann", 1))
            .then(Op::Refund { key: "ann".into(), n: 10, tier: Some(fast) })
            .then(peek_tier(None))
            .at(S)
            .then(check("ann", 5))
            .then(check_tier("ann", 60, fast))
            .at(2 * MIN)
            .then(check_tier("ann", 60, fast))
            .then(check("ann", 1))
            .end(),
    ]
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
