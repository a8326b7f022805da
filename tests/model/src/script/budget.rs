//! Retry budget.

use super::mode;
use crate::budget::Budget;
use crate::format::{Ns, Subject};
use serde::{Deserialize, Serialize};

/// Settings; both numbers have at most three decimals, so that the arithmetic is exact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    pub ratio: f64,
    pub min_per_second: f64,
    pub ttl_ns: Ns,
    pub enabled: bool,
    pub dry_run: bool,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    Deposit {},
    TryWithdraw {},
    Balance {},
    RetryAfter {},
    Stats {},
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Ok { ok: bool },
    Balance { balance: u64 },
    RetryAfter { retry_after_ns: Ns },
    Stats { deposited: u64, withdrawn: u64, denied: u64, would_deny: u64 },
    Nothing {},
}

/// The model.
#[derive(Debug)]
pub struct ModelBudget(Budget);

impl Subject for ModelBudget {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let thousandths = |number: f64| (number * 1_000.0).round() as u64;
        let mode = mode(config.enabled, config.dry_run);
        Self(Budget::new(thousandths(config.ratio), thousandths(config.min_per_second), config.ttl_ns.0, mode, start))
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        match op {
            Op::Deposit {} => {
                self.0.deposit(now);
                Answer::Nothing {}
            }
            Op::TryWithdraw {} => Answer::Ok { ok: self.0.try_withdraw(now) },
            Op::Balance {} => Answer::Balance { balance: self.0.balance(now) },
            Op::RetryAfter {} => Answer::RetryAfter { retry_after_ns: Ns(self.0.retry_after(now).unwrap_or(u64::MAX)) },
            Op::Stats {} => {
                let counts = self.0.counts();
                Answer::Stats {
                    deposited: counts.deposited,
                    withdrawn: counts.withdrawn,
                    denied: counts.denied,
                    would_deny: counts.would_deny,
                }
            }
        }
    }
}
