//! Any operation at any time, in proportion to the time a limit takes to come back.

use super::{Cases, Limiter, check, check_tier, config, limiter, peek, penalize, quota, refund, reset, take};
use crate::random::Random;
use crate::script::{MIN, MS, S};
use tidegate_model::script::limiter::AlgorithmName::{
    self, FixedWindow, LeakyBucket, SlidingLog, SlidingWindow, TokenBucket,
};
use tidegate_model::script::limiter::{Config, Op, QuotaConfig};

const KEYS: [&str; 4] = ["ann", "ben", "cay", "dan"];

pub(super) fn cases() -> Cases {
    let mut cases = Vec::new();
    for (seed, (name, algorithm)) in (1..).zip([
        ("token", TokenBucket),
        ("fixed", FixedWindow),
        ("sliding", SlidingWindow),
        ("log", SlidingLog),
        ("leaky", LeakyBucket),
    ]) {
        for (which, (count, period)) in (0..).zip([(3, S), (20, MIN), (7, 15 * MIN)]) {
            let why = "all operations mixed, on a few keys, around the time that the limit takes to come back";
            let tier = quota(2 * count, period, 2 * u32::try_from(count).expect("small"));
            let burst = u32::try_from(count).expect("small");
            let settings = Config { fastest: Some(tier), ..config(algorithm, count, period, burst) };
            let script = limiter(&format!("random_{name}_{count}_per_{period}_ns"), why, settings);
            cases.push(mixed(script, Random::new(10 * seed + which), algorithm, period, tier).end());
        }
    }
    cases
}

fn mixed(script: Limiter, mut random: Random, algorithm: AlgorithmName, period: u64, tier: QuotaConfig) -> Limiter {
    (0..100).fold(script, |script, _| {
        let pause = if random.chance(40) { 0 } else { random.below(period / 2) };
        let script = script.after(pause);
        let (key, n) = (random.pick(&KEYS), u32::try_from(random.below(4)).expect("small"));
        // A leaky bucket's place in the queue is for a cost above zero.
        let n = if algorithm == LeakyBucket { n.max(1) } else { n };
        script.then(match random.below(20) {
            0..=6 => take(key, n),
            7..=11 => check(key, n),
            12..=13 => peek(key),
            14..=15 => check_tier(key, n, tier),
            16..=17 => refund(key, n),
            18 if random.chance(40) => penalize(key, random.below(period / MS) * MS),
            19 if random.chance(40) => reset(key),
            19 if random.chance(5) => Op::ResetAll {},
            _ => peek(key),
        })
    })
}
