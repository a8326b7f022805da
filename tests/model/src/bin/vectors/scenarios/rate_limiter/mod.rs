//! Limit per key.

mod blocks;
mod keys;
mod leaky_bucket;
mod modes;
mod penalties;
mod random;
mod tiers;
mod token_bucket;
mod windows;

use crate::script::{self, Script};
use tidegate_model::format::{Case, File, Ns};
use tidegate_model::script::key::Key;
use tidegate_model::script::limiter::{AlgorithmName, Config, ModeName, ModelLimiter, Op, QuotaConfig};

type Limiter = Script<ModelLimiter>;
type Cases = Vec<Case<Config, Op>>;

pub(crate) fn file() -> File<Config, Op> {
    let groups = [
        token_bucket::cases(),
        windows::cases(),
        leaky_bucket::cases(),
        penalties::cases(),
        blocks::cases(),
        tiers::cases(),
        modes::cases(),
        keys::cases(),
        random::cases(),
    ];
    script::file("rate_limiter", groups.into_iter().flatten().collect())
}

fn quota(count: u64, period: u64, burst: u32) -> QuotaConfig {
    QuotaConfig { count, period_ns: Ns(period), burst }
}

/// `count` tokens every `period`, at most `burst` at once. Windows have no burst: theirs is the count.
pub(super) fn config(algorithm: AlgorithmName, count: u64, period: u64, burst: u32) -> Config {
    Config {
        algorithm,
        count,
        period_ns: Ns(period),
        burst,
        max_keys: 1_000,
        fastest: None,
        block: None,
        warm_up: None,
        mode: ModeName::Enforce,
    }
}

fn limiter(name: &str, why: &str, config: Config) -> Limiter {
    Script::new(name, why, config)
}

fn window(name: &str, why: &str, algorithm: AlgorithmName, count: u32, period: u64) -> Limiter {
    limiter(name, why, config(algorithm, count.into(), period, count))
}

fn take(key: &str, n: u32) -> Op {
    Op::TryAcquire { key: key.into(), n, tier: None }
}

fn check(key: &str, n: u32) -> Op {
    check_key(key.into(), n)
}

fn check_key(key: Key, n: u32) -> Op {
    Op::Check { key, n, tier: None }
}

fn check_tier(key: &str, n: u32, tier: QuotaConfig) -> Op {
    Op::Check { key: key.into(), n, tier: Some(tier) }
}

fn peek(key: &str) -> Op {
    Op::Peek { key: key.into(), tier: None }
}

fn refund(key: &str, n: u32) -> Op {
    Op::Refund { key: key.into(), n, tier: None }
}

fn penalize(key: &str, wait: u64) -> Op {
    Op::Penalize { key: key.into(), wait_ns: Ns(wait) }
}

fn reset(key: &str) -> Op {
    Op::Reset { key: key.into() }
}
