//! Limits per key as the vectors describe them, and decisions as they spell them.

use std::sync::Arc;
use std::time::Duration;
use tidegate::limit::{Algorithm, Block, LimiterConfig, Mode, RateLimiter, WarmUp};
use tidegate::{Arena, Clock, ConfigError, Decision, ManualClock, OnConflict, Quota};
use tidegate_model::format::Ns;
use tidegate_model::script::limiter::{AlgorithmName, Config, DecisionAnswer, ModeName, QuotaConfig};

/// What `config` describes, on `clock`.
pub(crate) fn limiter(config: &Config, clock: &ManualClock) -> Result<RateLimiter, ConfigError> {
    RateLimiter::with_config(limiter_config(config)?, Clock::from(clock))
}

/// The same in an arena.
pub(crate) fn limiter_in(arena: &Arc<Arena>, name: &str, config: &Config) -> RateLimiter {
    let config = limiter_config(config).expect("sound settings");
    RateLimiter::in_arena(arena, name, config, OnConflict::Error).expect("room in the arena")
}

/// An arena for what a test makes: pages count only when they are touched.
pub(crate) fn arena(clock: &ManualClock) -> Arc<Arena> {
    Arena::private("subject", 64 << 20, Clock::from(clock)).expect("an arena")
}

fn limiter_config(config: &Config) -> Result<LimiterConfig, ConfigError> {
    let algorithm = match config.algorithm {
        AlgorithmName::TokenBucket => Algorithm::TokenBucket,
        AlgorithmName::FixedWindow => Algorithm::FixedWindow,
        AlgorithmName::SlidingWindow => Algorithm::SlidingWindow,
        AlgorithmName::SlidingLog => Algorithm::SlidingLog,
        AlgorithmName::LeakyBucket => Algorithm::LeakyBucket,
    };
    let default = QuotaConfig { count: config.count, period_ns: config.period_ns, burst: config.burst };
    let time = |ns: Ns| Duration::from_nanos(ns.0);
    let block = config.block.map(|block| {
        let (within, duration, max) = (time(block.within_ns), time(block.duration_ns), time(block.max_ns));
        Block::new(block.after, within, duration, block.growth, Some(max))
    });
    Ok(LimiterConfig {
        max_keys: config.max_keys,
        fastest: config.fastest.map(quota).transpose()?,
        block: block.transpose()?,
        warm_up: config.warm_up.map(|ramp| WarmUp::new(time(ramp.period_ns), ramp.from)).transpose()?,
        mode: match config.mode {
            ModeName::Enforce => Mode::Enforce,
            ModeName::DryRun => Mode::DryRun,
            ModeName::Disabled => Mode::Disabled,
        },
        ..LimiterConfig::new(algorithm, quota(default)?)
    })
}

pub(crate) fn quota(config: QuotaConfig) -> Result<Quota, ConfigError> {
    Quota::new(config.count, Duration::from_nanos(config.period_ns.0))?.with_burst(config.burst.into())
}

pub(crate) fn answer(decision: Decision) -> DecisionAnswer {
    let Decision { allowed, limit, remaining, retry_after_ns, reset_after_ns, delay_ns } = decision;
    let (retry_after_ns, reset_after_ns, delay_ns) = (Ns(retry_after_ns), Ns(reset_after_ns), Ns(delay_ns));
    DecisionAnswer { allowed, limit, remaining, retry_after_ns, reset_after_ns, delay_ns }
}
