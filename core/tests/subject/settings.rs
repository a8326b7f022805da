//! Limits per key as the vectors describe them, and decisions as they spell them.

use std::time::Duration;
use tidegate::limit::{Algorithm, Block, LimiterConfig, Mode, RateLimiter, WarmUp};
use tidegate::{Clock, ConfigError, Decision, ManualClock, Quota};
use tidegate_model::format::Ns;
use tidegate_model::script::limiter::{AlgorithmName, Config, DecisionAnswer, ModeName, QuotaConfig};

/// What `config` describes, on `clock`.
pub(crate) fn limiter(config: &Config, clock: &ManualClock) -> Result<RateLimiter, ConfigError> {
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
    let settings = LimiterConfig {
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
    };
    RateLimiter::with_config(settings, Clock::from(clock))
}

pub(crate) fn quota(config: QuotaConfig) -> Result<Quota, ConfigError> {
    Quota::new(config.count, Duration::from_nanos(config.period_ns.0))?.with_burst(config.burst.into())
}

pub(crate) fn answer(decision: Decision) -> DecisionAnswer {
    let Decision { allowed, limit, remaining, retry_after_ns, reset_after_ns, delay_ns } = decision;
    let (retry_after_ns, reset_after_ns, delay_ns) = (Ns(retry_after_ns), Ns(reset_after_ns), Ns(delay_ns));
    DecisionAnswer { allowed, limit, remaining, retry_after_ns, reset_after_ns, delay_ns }
}
