//! Penalties of a key.

use super::{Cases, check, config, limiter, peek, penalize, refund, reset, take};
use crate::script::{MS, S};
use tidegate_model::script::limiter::AlgorithmName::{
    self, FixedWindow, LeakyBucket, SlidingLog, SlidingWindow, TokenBucket,
};

pub(super) fn cases() -> Cases {
    let all: [(&str, AlgorithmName); 5] = [
        ("token", TokenBucket),
        ("fixed", FixedWindow),
        ("sliding", SlidingWindow),
        ("log", SlidingLog),
        ("leaky", LeakyBucket),
    ];
    all.into_iter().flat_map(|(name, algorithm)| of(name, algorithm)).collect()
}

fn of(name: &str, algorithm: AlgorithmName) -> Cases {
    let case = |what: &str, why: &str| limiter(&format!("penalty_{name}_{what}"), why, config(algorithm, 4, 10 * S, 4));
    vec![
        case("holds", "nothing passes before its end, then the bucket refills and the others start fresh")
            .then(check("ann", 1))
            .at(S)
            .then(penalize("ann", 5 * S))
            .then(check("ann", 1))
            .then(check("ann", 0))
            .then(take("ann", 1))
            .then(peek("ann"))
            .then(check("ben", 1))
            .at(6 * S - MS)
            .then(check("ann", 1))
            .at(6 * S + 2 * MS)
            .then(peek("ann"))
            .then(check("ann", 1))
            .at(9 * S)
            .then(check("ann", 1))
            .then(check("ann", 1))
            .at(60 * S)
            .then(check("ann", 4))
            .end(),
        case("is_not_bought_off", "a refund does not shorten it, another one only lengthens it, a reset ends it")
            .then(penalize("ann", 8 * S))
            .at(S)
            .then(refund("ann", 4))
            .then(check("ann", 1))
            .then(penalize("ann", 2 * S))
            .then(check("ann", 1))
            .then(penalize("ann", 20 * S))
            .then(check("ann", 1))
            .at(2 * S)
            .then(reset("ann"))
            .then(check("ann", 4))
            .end(),
    ]
}
