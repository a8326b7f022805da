//! `RateLimiter` behind the vectors' vocabulary.

use std::time::Duration;
use tidegate::limit::{Algorithm, Block, LimiterConfig, LimiterStats, Mode, RateLimiter, Tier, WarmUp};
use tidegate::{Clock, ConfigError, Decision, ManualClock, Quota};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::limiter::{AlgorithmName, Answer, Config, DecisionAnswer, ModeName, Op, QuotaConfig};

/// A limiter and its clock.
#[derive(Debug)]
pub(crate) struct CoreLimiter {
    limiter: RateLimiter,
    clock: ManualClock,
}

impl Subject for CoreLimiter {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let limiter = limiter(config, &clock).expect("sound settings");
        Self { limiter, clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        let limiter = &self.limiter;
        match op {
            Op::TryAcquire { key, n, tier } => {
                let key = key.bytes();
                let ok = match self.tier(tier) {
                    None => limiter.try_acquire(&key, *n),
                    Some(tier) => limiter.try_acquire_tier(&key, *n, &tier),
                };
                return Answer::Ok { ok };
            }
            Op::Check { key, n, tier } => {
                let key = key.bytes();
                return Answer::Decision(answer(match self.tier(tier) {
                    None => limiter.check(&key, *n),
                    Some(tier) => limiter.check_tier(&key, *n, &tier),
                }));
            }
            Op::Peek { key, tier } => {
                return Answer::Decision(answer(limiter.peek(&key.bytes(), self.tier(tier).as_ref())));
            }
            Op::Refund { key, n, tier } => limiter.refund(&key.bytes(), *n, self.tier(tier).as_ref()),
            Op::Penalize { key, wait_ns } => {
                assert!(limiter.penalize(&key.bytes(), Duration::from_nanos(wait_ns.0)), "there is room");
            }
            Op::Reset { key } => limiter.reset(&key.bytes()),
            Op::ResetAll {} => limiter.reset_all(),
            &Op::SetQuota { count, period_ns, burst } => {
                let next = quota(QuotaConfig { count, period_ns, burst }).expect("a sound quota");
                limiter.set_quota(next).expect("a quota that fits");
            }
            Op::Stats {} => {
                let LimiterStats { admitted, denied, would_deny, .. } = limiter.stats();
                return Answer::Stats { admitted, denied, would_deny };
            }
        }
        Answer::Nothing {}
    }
}

impl CoreLimiter {
    fn tier(&self, quota_config: &Option<QuotaConfig>) -> Option<Tier> {
        quota_config.map(|config| {
            let quota = quota(config).expect("a sound quota");
            self.limiter.tier(quota).expect("a quota that fits")
        })
    }
}

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
