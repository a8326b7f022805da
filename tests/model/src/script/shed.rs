//! Load shedder.

use super::mode;
use crate::format::{Ns, Subject};
use crate::shed::{Settings, Shedder};
use serde::{Deserialize, Serialize};

/// A signal that is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Signal {
    pub name: String,
    pub start: f64,
    pub full: f64,
}

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    pub signals: Vec<Signal>,
    pub rise: f64,
    pub fall: f64,
    pub min_admit: f64,
    pub critical_at: f64,
    pub critical_after_ns: Ns,
    pub cool_off_ns: Ns,
    pub interval_ns: Ns,
    pub enabled: bool,
    pub dry_run: bool,
}

/// A priority.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the format's README documents the texts")]
pub enum PriorityName {
    Critical,
    High,
    Normal,
    Sheddable,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    Admit { priority: PriorityName, level: u8, draw: f64 },
    Check { priority: PriorityName, level: u8, draw: f64 },
    Tell { signal: String, value: f64 },
    Sample {},
    Pressure {},
    Stats {},
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Ok { ok: bool },
    Check { allowed: bool, signal: Option<String>, pressure: f64, retry_after_ns: Ns },
    Pressure { pressure: f64 },
    Stats { admitted: u64, shed: [u64; 4], would_shed: u64 },
    Nothing {},
}

/// The model.
#[derive(Debug)]
pub struct ModelShedder {
    shedder: Shedder,
    names: Vec<String>,
}

impl ModelShedder {
    /// The model alone.
    pub(super) fn into_model(self) -> Shedder {
        self.shedder
    }
}

impl Subject for ModelShedder {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let settings = Settings {
            signals: config.signals.iter().map(|it| (it.name.clone(), it.start, it.full)).collect(),
            rise: config.rise,
            fall: config.fall,
            min_admit: config.min_admit,
            critical_at: config.critical_at,
            critical_after: config.critical_after_ns.0,
            cool_off: config.cool_off_ns.0,
            interval: config.interval_ns.0,
            mode: mode(config.enabled, config.dry_run),
        };
        let names = config.signals.iter().map(|it| it.name.clone()).collect();
        Self { shedder: Shedder::new(settings, start), names }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        let it = &mut self.shedder;
        match op {
            Op::Admit { priority, level, draw } => {
                Answer::Ok { ok: it.admit(now, *priority as u64, u64::from(*level), *draw) }
            }
            Op::Check { priority, level, draw } => {
                let (priority, level) = (*priority as u64, u64::from(*level));
                let allowed = it.admit(now, priority, level, *draw);
                let (signal, pressure) = it.leader(now);
                let wait = if allowed { 0 } else { it.retry_after(now, priority, level) };
                Answer::Check { allowed, signal: signal.map(str::to_owned), pressure, retry_after_ns: Ns(wait) }
            }
            Op::Tell { signal, value } => {
                let at = self.names.iter().position(|name| name == signal).expect("a signal of the config");
                it.tell(now, at, *value);
                Answer::Nothing {}
            }
            Op::Sample {} => {
                it.sample(now);
                Answer::Nothing {}
            }
            Op::Pressure {} => Answer::Pressure { pressure: it.leader(now).1 },
            Op::Stats {} => {
                let counts = it.counts();
                Answer::Stats { admitted: counts.admitted, shed: counts.shed, would_shed: counts.would_shed }
            }
        }
    }
}
