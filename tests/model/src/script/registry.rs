//! Breakers by key.

use super::breaker::{self as script, word};
use crate::breaker::{Outcome, Permit, State};
use crate::format::{Ns, Subject};
use crate::registry::{At, Registry};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Settings: of every breaker the library's own, but for these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    pub max_breakers: u32,
    pub consecutive_failures: u32,
    pub cooldown_ns: Ns,
    pub overrides: Vec<Override>,
}

/// Another cooldown for some keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Override {
    pub pattern: String,
    pub cooldown_ns: Ns,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    /// A whole call: the key's breaker, a permit, its outcome.
    Call {
        key: String,
        failed: bool,
    },
    /// Keeps the key's breaker under a name.
    Hold {
        key: String,
        #[serde(rename = "as")]
        name: String,
    },
    /// A whole call by what was kept.
    CallHeld {
        held: String,
        failed: bool,
    },
    /// Keeps the permit of a call by what was kept.
    AcquireHeld {
        held: String,
        #[serde(rename = "as")]
        name: String,
    },
    /// The outcome of such a call.
    Report {
        permit: String,
        failed: bool,
    },
    /// Looks whether the key has a breaker.
    Peek {
        key: String,
    },
    Remove {
        key: String,
    },
    ForceOpen {
        key: String,
    },
    Reset {
        key: String,
    },
    /// Changes what is given of a pattern's settings.
    SetConfig {
        pattern: String,
        cooldown_ns: Option<Ns>,
        consecutive_failures: Option<u32>,
    },
    Items {},
    Stats {},
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Permit { permit: bool },
    Rejected { permit: bool, retry_after_ns: Ns },
    Breaker { breaker: String },
    State { state: Option<&'static str> },
    Removed { removed: bool },
    Keys { keys: Vec<String> },
    Stats { breakers: u64, evicted: u64, overflowed: u64 },
    Nothing {},
}

/// The model and what it gave out.
#[derive(Debug)]
pub struct ModelRegistry {
    registry: Registry,
    held: HashMap<String, (String, At)>,
    /// And whether a key's handle was given it by the shared breaker.
    permits: HashMap<String, (At, Permit, bool)>,
}

impl Subject for ModelRegistry {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let defaults = script::settings(&script::Config {
            consecutive_failures: Some(config.consecutive_failures),
            cooldown_ns: config.cooldown_ns,
            ..script::Config::default()
        });
        let of =
            |it: &Override| (it.pattern.clone(), crate::breaker::Config { cooldown: it.cooldown_ns.0, ..defaults });
        let overrides = config.overrides.iter().map(of).collect();
        let registry = Registry::new(config.max_breakers as usize, defaults, overrides, start);
        Self { registry, held: HashMap::new(), permits: HashMap::new() }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        match op {
            Op::Call { key, failed } => {
                let at = self.registry.get(now, key);
                self.call(now, at, *failed)
            }
            Op::Hold { key, name } => {
                let at = self.registry.get(now, key);
                self.held.insert(name.clone(), (key.clone(), at));
                Answer::Breaker { breaker: self.registry.name(at).to_owned() }
            }
            Op::CallHeld { held, failed } => {
                let at = self.stands(now, held);
                self.call(now, at, *failed)
            }
            Op::AcquireHeld { held, name } => {
                let at = self.stands(now, held);
                match self.registry.acquire(now, at) {
                    Ok(permit) => {
                        let is_lent = at == At::Overflow && self.held[held].1 != At::Overflow;
                        self.permits.insert(name.clone(), (at, permit, is_lent));
                        Answer::Permit { permit: true }
                    }
                    Err(wait) => Answer::Rejected { permit: false, retry_after_ns: Ns(wait) },
                }
            }
            Op::Report { permit, failed } => {
                let (at, permit, _) = self.permits[permit];
                // One whose breaker has made room is dropped.
                if let Some(breaker) = self.registry.breaker(at) {
                    breaker.report(now, permit, outcome(*failed), None);
                }
                Answer::Nothing {}
            }
            Op::Peek { key } => {
                let at = self.registry.find(key);
                Answer::State { state: at.and_then(|at| self.registry.breaker(at)).map(|it| word(it.state())) }
            }
            Op::Remove { key } => Answer::Removed { removed: self.registry.remove(key) },
            Op::ForceOpen { key } => self.switch(now, key, State::ForcedOpen),
            Op::Reset { key } => self.switch(now, key, State::Closed),
            Op::SetConfig { pattern, cooldown_ns, consecutive_failures } => {
                self.registry.set_config(pattern, &|config| {
                    config.cooldown = cooldown_ns.map_or(config.cooldown, |it| it.0);
                    config.consecutive_failures = consecutive_failures.or(config.consecutive_failures);
                });
                Answer::Nothing {}
            }
            Op::Items {} => Answer::Keys { keys: self.registry.keys() },
            Op::Stats {} => {
                let (breakers, evicted, overflowed) = self.registry.stats();
                Answer::Stats { breakers, evicted, overflowed }
            }
        }
    }
}

fn outcome(failed: bool) -> Outcome {
    if failed { Outcome::Failure } else { Outcome::Success }
}

impl ModelRegistry {
    /// Where a call by what was kept goes: to the shared breaker if it is that, else to where its key stands.
    fn stands(&mut self, now: u64, held: &str) -> At {
        match &self.held[held] {
            (_, At::Overflow) => At::Overflow,
            (key, _) => self.registry.get(now, key),
        }
    }

    fn call(&mut self, now: u64, at: At, failed: bool) -> Answer {
        match self.registry.acquire(now, at) {
            Ok(permit) => {
                let breaker = self.registry.breaker(at).expect("found just now");
                breaker.report(now, permit, outcome(failed), None);
                Answer::Permit { permit: true }
            }
            Err(wait) => Answer::Rejected { permit: false, retry_after_ns: Ns(wait) },
        }
    }

    fn switch(&mut self, now: u64, key: &str, state: State) -> Answer {
        let at = self.registry.get(now, key);
        self.registry.breaker(at).expect("found just now").switch(state);
        Answer::Nothing {}
    }

    /// Whether the breaker of a permit still stands, and will hear of it: what a key's handle was given by the shared
    /// breaker is reported where the key stands by then.
    pub fn is_alive(&mut self, permit: &str) -> bool {
        self.permits.get(permit).is_some_and(|&(at, _, is_lent)| !is_lent && self.registry.breaker(at).is_some())
    }
}
