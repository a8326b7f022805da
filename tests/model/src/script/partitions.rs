//! A concurrency limit with partitions.

use crate::concurrency::Permit;
use crate::format::Subject;
use crate::partitions::Limiter;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    pub limit: u32,
    pub partitions: Vec<(String, f64)>,
    pub priority: Vec<String>,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    TryAcquire {
        #[serde(rename = "as")]
        name: String,
        partition: Option<String>,
    },
    Release {
        permit: String,
    },
    Partition {
        partition: String,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Acquired { permit: bool },
    Released { released: bool },
    Partition { guaranteed: u32, in_use: u32, called_back: u32, admitted: u64, denied: u64 },
}

/// The model and the permits it gave out.
#[derive(Debug)]
pub struct ModelLimiter {
    limiter: Limiter,
    names: Vec<String>,
    permits: HashMap<String, Permit>,
}

impl ModelLimiter {
    fn number(&self, name: &str) -> usize {
        self.names.iter().position(|other| other == name).expect("one of the partitions")
    }
}

impl Subject for ModelLimiter {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, _start: u64) -> Self {
        let (names, shares): (Vec<String>, Vec<f64>) = config.partitions.iter().cloned().unzip();
        let number = |name: &String| names.iter().position(|other| other == name).expect("one of the partitions");
        let priority: Vec<usize> = config.priority.iter().map(number).collect();
        Self { limiter: Limiter::new(config.limit.into(), &shares, &priority), names, permits: HashMap::new() }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        match op {
            Op::TryAcquire { name, partition } => {
                let of = partition.as_deref().map(|name| self.number(name));
                let permit = self.limiter.try_acquire(of, now);
                self.permits.extend(permit.map(|permit| (name.clone(), permit)));
                Answer::Acquired { permit: permit.is_some() }
            }
            Op::Release { permit } => Answer::Released { released: self.limiter.release(self.permits[permit]) },
            Op::Partition { partition } => {
                let of = self.number(partition);
                let now_of = &self.limiter.partitions()[of];
                Answer::Partition {
                    guaranteed: self.limiter.guaranteed(of) as u32,
                    in_use: self.limiter.has(of) as u32,
                    called_back: self.limiter.called_back(of, now) as u32,
                    admitted: now_of.admitted,
                    denied: now_of.denied,
                }
            }
        }
    }
}
