//! Concurrency limit.

use crate::concurrency::{Limiter, Permit};
use crate::format::Subject;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    pub limit: u32,
    pub max_limit: u32,
    pub enabled: bool,
    pub dry_run: bool,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    TryAcquire {
        #[serde(rename = "as")]
        name: String,
    },
    Release {
        permit: String,
    },
    SetLimit {
        limit: u32,
    },
    InUse {},
    Stats {},
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Acquired { permit: bool },
    Released { released: bool },
    InUse { in_use: u32 },
    Stats { limit: u32, in_use: u32, admitted: u64, denied: u64, would_deny: u64 },
    Nothing {},
}

/// The model and the permits it gave out.
#[derive(Debug)]
pub struct ModelLimiter {
    limiter: Limiter,
    permits: HashMap<String, Permit>,
}

impl Subject for ModelLimiter {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, _start: u64) -> Self {
        let mode = super::mode(config.enabled, config.dry_run);
        Self { limiter: Limiter::new(config.limit as usize, mode), permits: HashMap::new() }
    }

    fn apply(&mut self, _now: u64, op: &Op) -> Answer {
        let limiter = &mut self.limiter;
        match op {
            Op::TryAcquire { name } => {
                let permit = limiter.try_acquire();
                if let Some(permit) = permit {
                    self.permits.insert(name.clone(), permit);
                }
                Answer::Acquired { permit: permit.is_some() }
            }
            Op::Release { permit } => Answer::Released { released: limiter.release(self.permits[permit]) },
            Op::SetLimit { limit } => {
                limiter.set_limit(*limit as usize);
                Answer::Nothing {}
            }
            Op::InUse {} => Answer::InUse { in_use: limiter.in_use() as u32 },
            Op::Stats {} => {
                let counts = limiter.counts();
                Answer::Stats {
                    limit: limiter.limit() as u32,
                    in_use: limiter.in_use() as u32,
                    admitted: counts.admitted,
                    denied: counts.denied,
                    would_deny: counts.would_deny,
                }
            }
        }
    }
}
