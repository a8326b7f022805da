//! Adaptive concurrency limit.

use crate::adaptive::{Algorithm, Limiter, Outcome, Settings};
use crate::format::{Ns, Subject};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    pub algorithm: String,
    pub min_limit: u32,
    pub initial_limit: u32,
    pub max_limit: u32,
    pub tolerance: f64,
    pub window_ns: Ns,
    pub samples: u32,
    pub max_window_ns: Ns,
    pub min_samples: u32,
    pub probe: bool,
    pub probe_every_ns: Ns,
    pub probe_floor: Option<u32>,
    pub max_latency_ns: Option<Ns>,
    pub base_ns: Option<Ns>,
    pub timeout_ns: Ns,
    pub backoff_ratio: f64,
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
    Report {
        permit: String,
        outcome: String,
        /// As its caller measured it; null: from asking for the permit on.
        latency_ns: Option<Ns>,
    },
    Release {
        permit: String,
    },
    Limit {},
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Acquired { permit: bool },
    Released { released: bool },
    Limit { limit: u32, in_use: u32 },
}

/// The model and the permits it gave out.
#[derive(Debug)]
pub struct ModelAdaptive {
    limiter: Limiter,
    permits: HashMap<String, u64>,
}

fn outcome(text: &str) -> Outcome {
    match text {
        "success" => Outcome::Success,
        "ignore" => Outcome::Ignore,
        "dropped" => Outcome::Dropped,
        _ => panic!("{text} is no outcome"),
    }
}

impl Subject for ModelAdaptive {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let algorithm = match config.algorithm.as_str() {
            "gradient" => Algorithm::Gradient,
            "gradient2" => Algorithm::Gradient2,
            "vegas" => Algorithm::Vegas,
            "aimd" => Algorithm::Aimd,
            other => panic!("{other} is no algorithm"),
        };
        let settings = Settings {
            algorithm,
            min_limit: config.min_limit,
            initial_limit: config.initial_limit,
            max_limit: config.max_limit,
            tolerance: config.tolerance,
            window: config.window_ns.0,
            samples: config.samples as usize,
            max_window: config.max_window_ns.0,
            min_samples: config.min_samples as usize,
            probe: config.probe,
            probe_every: config.probe_every_ns.0,
            probe_floor: config.probe_floor,
            max_latency: config.max_latency_ns.map(|ns| ns.0),
            base: config.base_ns.map(|ns| ns.0),
            timeout: config.timeout_ns.0,
            backoff_ratio: config.backoff_ratio,
        };
        Self { limiter: Limiter::new(settings, start), permits: HashMap::new() }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        let limiter = &mut self.limiter;
        match op {
            Op::TryAcquire { name } => {
                let permit = limiter.try_acquire(now);
                if let Some(permit) = permit {
                    self.permits.insert(name.clone(), permit);
                }
                Answer::Acquired { permit: permit.is_some() }
            }
            Op::Report { permit, outcome: text, latency_ns } => Answer::Released {
                released: limiter.report(now, self.permits[permit], outcome(text), latency_ns.map(|ns| ns.0)),
            },
            Op::Release { permit } => Answer::Released { released: limiter.release(self.permits[permit]) },
            Op::Limit {} => Answer::Limit { limit: limiter.limit(), in_use: limiter.in_use() },
        }
    }
}
