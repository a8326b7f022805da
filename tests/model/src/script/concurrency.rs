//! Concurrency limit.

use crate::concurrency::{Limiter, Order, Permit, Waiter};
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
    pub max_waiting: Option<u32>,
    pub order: String,
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
    Wait {
        #[serde(rename = "as")]
        name: String,
    },
    Take {
        waiter: String,
        #[serde(rename = "as")]
        name: String,
    },
    GiveUp {
        waiter: String,
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
    Waits { waits: bool },
    InUse { in_use: u32 },
    Stats { limit: u32, in_use: u32, admitted: u64, denied: u64, would_deny: u64 },
    Nothing {},
}

/// The model and the permits it gave out.
#[derive(Debug)]
pub struct ModelLimiter {
    limiter: Limiter,
    permits: HashMap<String, Permit>,
    waiters: HashMap<String, Waiter>,
}

impl Subject for ModelLimiter {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, _start: u64) -> Self {
        let mode = super::mode(config.enabled, config.dry_run);
        let order = if config.order == "lifo" { Order::Lifo } else { Order::Fifo };
        let limiter = Limiter::new(config.limit as usize, mode).with_order(order);
        let limiter = limiter.with_max_waiting(config.max_waiting.map_or(usize::MAX, |most| most as usize));
        Self { limiter, permits: HashMap::new(), waiters: HashMap::new() }
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
            Op::Wait { name } => {
                let waiter = limiter.wait();
                self.waiters.extend(waiter.map(|waiter| (name.clone(), waiter)));
                Answer::Waits { waits: waiter.is_some() }
            }
            Op::Take { waiter, name } => {
                let permit = limiter.take(self.waiters[waiter]);
                self.permits.extend(permit.map(|permit| (name.clone(), permit)));
                Answer::Acquired { permit: permit.is_some() }
            }
            Op::GiveUp { waiter } => {
                limiter.give_up(self.waiters[waiter]);
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
