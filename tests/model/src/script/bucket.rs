//! Token bucket.

use crate::bucket::{Bucket, Decision, Ticket};
use crate::format::{Ns, Subject};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    pub count: u64,
    pub period_ns: Ns,
    pub burst: u32,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    TryAcquire {
        n: u32,
    },
    Check {
        n: u32,
    },
    Peek {},
    Reserve {
        n: u32,
        max_wait_ns: Option<Ns>,
        #[serde(rename = "as")]
        name: String,
    },
    Cancel {
        ticket: String,
    },
    Refund {
        n: u32,
    },
    Penalize {
        wait_ns: Ns,
    },
    Reset {},
    SetQuota {
        count: u64,
        period_ns: Ns,
        burst: u32,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Ok { ok: bool },
    Decision { allowed: bool, limit: u32, remaining: u32, retry_after_ns: Ns, reset_after_ns: Ns },
    Booked { booked: bool, wait_ns: Ns },
    NotBooked { booked: bool, retry_after_ns: Ns },
    Returned { returned: bool },
    Nothing {},
}

impl From<Decision> for Answer {
    fn from(decision: Decision) -> Self {
        Self::Decision {
            allowed: decision.allowed,
            limit: decision.limit,
            remaining: decision.remaining,
            retry_after_ns: Ns(decision.retry_after_ns),
            reset_after_ns: Ns(decision.reset_after_ns),
        }
    }
}

/// The model and the tickets it gave out.
#[derive(Debug)]
pub struct ModelBucket {
    bucket: Bucket,
    tickets: HashMap<String, Ticket>,
}

impl Subject for ModelBucket {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let bucket = Bucket::new(config.count, config.period_ns.0, config.burst, start);
        Self { bucket, tickets: HashMap::new() }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        match op {
            Op::TryAcquire { n } => Answer::Ok { ok: self.bucket.try_acquire(now, *n) },
            Op::Check { n } => self.bucket.check(now, *n).into(),
            Op::Peek {} => self.bucket.peek(now).into(),
            Op::Reserve { n, max_wait_ns, name } => match self.bucket.reserve(now, *n, max_wait_ns.map(|ns| ns.0)) {
                Ok((wait, ticket)) => {
                    self.tickets.insert(name.clone(), ticket);
                    Answer::Booked { booked: true, wait_ns: Ns(wait) }
                }
                Err(wait) => Answer::NotBooked { booked: false, retry_after_ns: Ns(wait) },
            },
            Op::Cancel { ticket } => Answer::Returned { returned: self.bucket.cancel(now, self.tickets[ticket]) },
            Op::Refund { n } => {
                self.bucket.refund(now, *n);
                Answer::Nothing {}
            }
            Op::Penalize { wait_ns } => {
                self.bucket.penalize(now, wait_ns.0);
                Answer::Nothing {}
            }
            Op::Reset {} => {
                self.bucket.reset(now);
                Answer::Nothing {}
            }
            Op::SetQuota { count, period_ns, burst } => {
                self.bucket.set_quota(now, *count, period_ns.0, *burst);
                Answer::Nothing {}
            }
        }
    }
}
