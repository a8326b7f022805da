//! The leaky bucket of a key: one acts, the others wait for their turn.

use super::{Cases, check, config, limiter, peek, refund, take};
use crate::script::{MS, S};
use tidegate_model::script::limiter::AlgorithmName::LeakyBucket;

pub(super) fn cases() -> Cases {
    let paced = |count, period, queue: u32| config(LeakyBucket, count, period, queue + 1);
    vec![
        limiter("leaky_paces", "each admission is told when to act, and the queue is bounded", paced(10, S, 3))
            .times(4, &check("ann", 1))
            .then(check("ann", 1))
            .then(check("ben", 1))
            .at(150 * MS)
            .then(peek("ann"))
            .then(check("ann", 1))
            .then(check("ann", 1))
            .at(S)
            .then(check("ann", 1))
            .end(),
        limiter("leaky_at_once", "who cannot wait gets only what needs no wait", paced(10, S, 3))
            .then(take("ann", 1))
            .then(take("ann", 1))
            .then(peek("ann"))
            .at(101 * MS)
            .then(take("ann", 1))
            .then(check("ann", 1))
            .then(take("ann", 1))
            .end(),
        limiter("leaky_without_a_queue", "one after the other, at an even pace", paced(4, S, 0))
            .then(check("ann", 1))
            .then(check("ann", 1))
            .at(251 * MS)
            .then(check("ann", 1))
            .then(check("ann", 2))
            .end(),
        limiter("leaky_costs", "a cost takes its places in the queue together", paced(10, S, 9))
            .then(check("ann", 4))
            .then(check("ann", 7))
            .then(check("ann", 6))
            .then(check("ann", 11))
            .at(300 * MS)
            .then(check("ann", 2))
            .end(),
        limiter("leaky_given_back", "a place given back is the next one's", paced(10, S, 4))
            .then(check("ann", 3))
            .then(refund("ann", 1))
            .then(check("ann", 1))
            .then(refund("ann", 9))
            .then(check("ann", 1))
            .end(),
    ]
}
