//! Backoff and retry policy: one call's retries.

use crate::format::{Ns, Subject};
use crate::retry::{Jitter, Next, Retry, Settings};
use serde::{Deserialize, Serialize};

/// How waits are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the format's README documents them")]
pub enum JitterName {
    None,
    Full,
    Equal,
    Decorrelated,
    Smooth,
}

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    pub attempts: u32,
    pub base_ns: Ns,
    pub factor: f64,
    pub max_delay_ns: Ns,
    pub jitter: JitterName,
    pub deadline_ns: Option<Ns>,
    pub max_retry_after_ns: Ns,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    Delay { n: u64, draw: f64 },
    Failed { attempts: u64, draw: f64, retry_after_ns: Option<Ns>, elapsed_ns: Ns },
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the format's README documents them")]
pub enum End {
    Attempts,
    Deadline,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Delay { delay_ns: Ns },
    Wait { wait_ns: Ns },
    GaveUp { gave_up: End },
}

/// The model of one call.
#[derive(Debug)]
pub struct ModelRetry(Retry);

impl Subject for ModelRetry {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, _start: u64) -> Self {
        Self(Retry::new(Settings {
            attempts: config.attempts.into(),
            base: config.base_ns.0,
            factor: config.factor,
            max_delay: config.max_delay_ns.0,
            jitter: match config.jitter {
                JitterName::None => Jitter::None,
                JitterName::Full => Jitter::Full,
                JitterName::Equal => Jitter::Equal,
                JitterName::Decorrelated => Jitter::Decorrelated,
                JitterName::Smooth => Jitter::Smooth,
            },
            deadline: config.deadline_ns.map(|ns| ns.0),
            max_retry_after: config.max_retry_after_ns.0,
        }))
    }

    fn apply(&mut self, _now: u64, op: &Op) -> Answer {
        match *op {
            Op::Delay { n, draw } => Answer::Delay { delay_ns: Ns(self.0.delay(n, draw)) },
            Op::Failed { attempts, draw, retry_after_ns, elapsed_ns } => {
                match self.0.failed(attempts, draw, retry_after_ns.map(|ns| ns.0), elapsed_ns.0) {
                    Next::Wait(ns) => Answer::Wait { wait_ns: Ns(ns) },
                    Next::Exhausted => Answer::GaveUp { gave_up: End::Attempts },
                    Next::PastDeadline => Answer::GaveUp { gave_up: End::Deadline },
                }
            }
        }
    }
}
