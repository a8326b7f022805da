//! Limit per key.

use super::key::Key;
use crate::format::{Ns, Subject};
use crate::keyed::{Algorithm, Block, Decision, Limiter, Mode, Quota, Settings, Stats, WarmUp};
use serde::{Deserialize, Serialize};

pub use super::bucket::Config as QuotaConfig;

/// Settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    pub algorithm: AlgorithmName,
    pub count: u64,
    pub period_ns: Ns,
    pub burst: u32,
    pub max_keys: usize,
    pub fastest: Option<QuotaConfig>,
    pub block: Option<BlockConfig>,
    pub warm_up: Option<WarmUpConfig>,
    pub mode: ModeName,
}

/// An algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the format's README documents the values")]
pub enum AlgorithmName {
    TokenBucket,
    FixedWindow,
    SlidingWindow,
    SlidingLog,
    LeakyBucket,
}

/// A mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the format's README documents the values")]
pub enum ModeName {
    Enforce,
    DryRun,
    Disabled,
}

/// A block after denials.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct BlockConfig {
    pub after: u32,
    pub within_ns: Ns,
    pub duration_ns: Ns,
    pub growth: f64,
    pub max_ns: Ns,
}

/// A ramp.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct WarmUpConfig {
    pub period_ns: Ns,
    pub from: f64,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    TryAcquire {
        key: Key,
        n: u32,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        tier: Option<QuotaConfig>,
    },
    Check {
        key: Key,
        n: u32,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        tier: Option<QuotaConfig>,
    },
    Peek {
        key: Key,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        tier: Option<QuotaConfig>,
    },
    Refund {
        key: Key,
        n: u32,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        tier: Option<QuotaConfig>,
    },
    Penalize {
        key: Key,
        wait_ns: Ns,
    },
    Reset {
        key: Key,
    },
    ResetAll {},
    SetQuota {
        count: u64,
        period_ns: Ns,
        burst: u32,
    },
    Stats {},
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Ok { ok: bool },
    Decision(DecisionAnswer),
    Stats { admitted: u64, denied: u64, would_deny: u64 },
    Nothing {},
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct DecisionAnswer {
    pub allowed: bool,
    pub limit: u32,
    pub remaining: u32,
    pub retry_after_ns: Ns,
    pub reset_after_ns: Ns,
    pub delay_ns: Ns,
}

impl From<Decision> for DecisionAnswer {
    fn from(decision: Decision) -> Self {
        Self {
            allowed: decision.allowed,
            limit: decision.limit,
            remaining: decision.remaining,
            retry_after_ns: Ns(decision.retry_after_ns),
            reset_after_ns: Ns(decision.reset_after_ns),
            delay_ns: Ns(decision.delay_ns),
        }
    }
}

impl From<QuotaConfig> for Quota {
    fn from(quota: QuotaConfig) -> Self {
        Self { count: quota.count, period_ns: quota.period_ns.0, burst: quota.burst }
    }
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self {
            algorithm: match config.algorithm {
                AlgorithmName::TokenBucket => Algorithm::TokenBucket,
                AlgorithmName::FixedWindow => Algorithm::FixedWindow,
                AlgorithmName::SlidingWindow => Algorithm::SlidingWindow,
                AlgorithmName::SlidingLog => Algorithm::SlidingLog,
                AlgorithmName::LeakyBucket => Algorithm::LeakyBucket,
            },
            quota: Quota { count: config.count, period_ns: config.period_ns.0, burst: config.burst },
            fastest: config.fastest.map(Quota::from),
            block: config.block.map(|block| Block {
                after: block.after,
                within_ns: block.within_ns.0,
                duration_ns: block.duration_ns.0,
                growth: block.growth,
                max_ns: block.max_ns.0,
            }),
            warm_up: config.warm_up.map(|ramp| WarmUp { period_ns: ramp.period_ns.0, from: ramp.from }),
            mode: match config.mode {
                ModeName::Enforce => Mode::Enforce,
                ModeName::DryRun => Mode::DryRun,
                ModeName::Disabled => Mode::Disabled,
            },
        }
    }
}

/// The model.
#[derive(Debug)]
pub struct ModelLimiter(Limiter);

impl ModelLimiter {
    /// Whether `quota` may be a tier or the new default.
    pub fn fits(&self, quota: QuotaConfig) -> bool {
        self.0.fits(&quota.into())
    }
}

impl Subject for ModelLimiter {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        Self(Limiter::new(config.into(), start).expect("quotas that fit"))
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        let limiter = &mut self.0;
        let quota = |tier: &Option<QuotaConfig>| tier.map(Quota::from);
        match op {
            Op::TryAcquire { key, n, tier } => {
                return Answer::Ok { ok: limiter.try_acquire(now, &key.bytes(), *n, quota(tier)) };
            }
            Op::Check { key, n, tier } => {
                return Answer::Decision(limiter.check(now, &key.bytes(), *n, quota(tier)).into());
            }
            Op::Peek { key, tier } => return Answer::Decision(limiter.peek(now, &key.bytes(), quota(tier)).into()),
            Op::Refund { key, n, tier } => limiter.refund(now, &key.bytes(), *n, quota(tier)),
            Op::Penalize { key, wait_ns } => limiter.penalize(now, &key.bytes(), wait_ns.0),
            Op::Reset { key } => limiter.reset(&key.bytes()),
            Op::ResetAll {} => limiter.reset_all(),
            &Op::SetQuota { count, period_ns, burst } => {
                limiter.set_quota(QuotaConfig { count, period_ns, burst }.into());
            }
            Op::Stats {} => {
                let Stats { admitted, denied, would_deny } = limiter.stats();
                return Answer::Stats { admitted, denied, would_deny };
            }
        }
        Answer::Nothing {}
    }
}
