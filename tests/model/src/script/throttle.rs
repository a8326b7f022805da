//! Client throttle.

use super::mode;
use crate::format::{Ns, Subject};
use crate::throttle::{Settings, Throttle};
use serde::{Deserialize, Serialize};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    pub k: f64,
    pub window_ns: Ns,
    pub min_calls: u32,
    pub max_rejection: f64,
    pub force_pass_ns: Ns,
    pub enabled: bool,
    pub dry_run: bool,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    TryAcquire { draw: f64 },
    Report { accepted: bool },
    Probability {},
    RetryAfter {},
    Stats {},
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Ok {
        ok: bool,
    },
    Probability {
        probability: f64,
    },
    RetryAfter {
        retry_after_ns: Ns,
    },
    Stats {
        accepted: u64,
        refused: u64,
        rejected: u64,
        would_reject: u64,
        forced: u64,
        window_requests: u64,
        window_accepts: u64,
    },
    Nothing {},
}

/// The model.
#[derive(Debug)]
pub struct ModelThrottle(Throttle);

impl Subject for ModelThrottle {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let settings = Settings {
            k: config.k,
            window: config.window_ns.0,
            min_calls: config.min_calls.into(),
            max_rejection: config.max_rejection,
            force_pass: config.force_pass_ns.0,
            mode: mode(config.enabled, config.dry_run),
        };
        Self(Throttle::new(settings, start))
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        match *op {
            Op::TryAcquire { draw } => Answer::Ok { ok: self.0.try_acquire(now, draw) },
            Op::Report { accepted } => {
                self.0.report(now, accepted);
                Answer::Nothing {}
            }
            Op::Probability {} => Answer::Probability { probability: self.0.probability(now) },
            Op::RetryAfter {} => Answer::RetryAfter { retry_after_ns: Ns(self.0.retry_after(now)) },
            Op::Stats {} => {
                let (counts, (window_requests, window_accepts)) = (self.0.counts(), self.0.window(now));
                Answer::Stats {
                    accepted: counts.accepted,
                    refused: counts.refused,
                    rejected: counts.rejected,
                    would_reject: counts.would_reject,
                    forced: counts.forced,
                    window_requests,
                    window_accepts,
                }
            }
        }
    }
}
