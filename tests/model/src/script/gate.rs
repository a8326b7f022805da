//! The gate.

use super::breaker as circuit;
use super::key::Key;
use super::set::{Keys, LimitConfig};
use super::shed::PriorityName;
use super::{mode, set, shed};
use crate::breaker::Permit;
use crate::concurrency::Limiter;
use crate::format::{Ns, Subject};
use crate::gate::{Access, Call, Counts, Gate, Held, Outcome, Part, Permits};
use crate::partitions;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Its parts; null for one that it does not have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    pub access: Option<AccessConfig>,
    /// Called `"main"`.
    pub shedder: Option<shed::Config>,
    /// The capacity of one called `"jobs"`, without watermarks.
    pub queue: Option<usize>,
    /// The limit of one called `"database"`.
    pub concurrency: Option<u32>,
    /// Its partitions with their shares, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<(String, f64)>,
    pub limits: Option<set::Config>,
    pub dependencies: Vec<Dependency>,
    pub refund_on: Vec<OutcomeName>,
    pub enabled: bool,
    pub dry_run: bool,
}

/// Entries that allow and that deny: whole addresses, and keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the line above says it")]
pub struct AccessConfig {
    pub allow: Vec<String>,
    pub deny: Vec<String>,
}

/// A breaker and its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the line above says it")]
pub struct Dependency {
    pub name: String,
    pub breaker: circuit::Config,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the format's README documents the values")]
pub enum OutcomeName {
    Success,
    Failure,
    Dropped,
    Cancelled,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    Admit {
        #[serde(rename = "as")]
        name: String,
        keys: Keys,
        address: Option<String>,
        priority: PriorityName,
        cost: u32,
        deadline_ns: Option<Ns>,
        dependencies: Vec<String>,
        /// Of the concurrency limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partition: Option<String>,
    },
    Finish {
        admission: String,
        outcome: OutcomeName,
    },
    /// The call's own permit of a dependency.
    Enter {
        admission: String,
        dependency: String,
        #[serde(rename = "as")]
        name: String,
    },
    Report {
        permit: String,
        dependency: String,
        failed: bool,
    },
    ForceOpen {
        dependency: String,
    },
    Push {},
    Pop {},
    Tell {
        signal: String,
        value: f64,
    },
    SetLimit {
        limit: u32,
    },
    /// How every part stands; of a keyed limit what this key has left.
    Look {
        keys: Keys,
    },
    Stats {},
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Admission {
        allowed: bool,
        denied_by: Option<String>,
        kind: Option<&'static str>,
        status: Option<u16>,
        retry_after_ns: Ns,
        limit: u32,
        remaining: u32,
        pressure: f64,
    },
    Finished {
        finished: bool,
    },
    Permit {
        permit: bool,
    },
    Parts {
        left: BTreeMap<String, u32>,
        in_use: Option<u32>,
        depth: Option<usize>,
        circuits: BTreeMap<String, &'static str>,
    },
    Stats {
        admitted: u64,
        denied: u64,
        would_deny: u64,
    },
    Nothing {},
}

/// The model, and what it gave out.
#[derive(Debug)]
pub struct ModelGate {
    gate: Gate,
    members: Vec<String>,
    dependencies: Vec<String>,
    partitions: Vec<String>,
    held: HashMap<String, Held>,
    permits: HashMap<String, Permit>,
    signals: Vec<String>,
}

/// The kind of a part, and its status.
pub fn kind_of(part: Part) -> (&'static str, u16) {
    match part {
        Part::Access => ("access", 403),
        Part::Deadline => ("deadline", 504),
        Part::Shedder => ("shedder", 503),
        Part::Queue => ("queue", 503),
        Part::Breaker(_) => ("breaker", 503),
        Part::Concurrency => ("concurrency", 503),
        Part::Limit(_) => ("limit", 429),
    }
}

impl ModelGate {
    /// The parts that refused the latest call, by name, with their waits.
    fn name_of(&self, part: Part) -> String {
        match part {
            Part::Access | Part::Deadline => kind_of(part).0.to_owned(),
            Part::Shedder => "main".to_owned(),
            Part::Queue => "jobs".to_owned(),
            Part::Concurrency => "database".to_owned(),
            Part::Breaker(place) => self.dependencies[place].clone(),
            Part::Limit(place) => self.members[place].clone(),
        }
    }

    fn place(&self, dependency: &str) -> usize {
        self.dependencies.iter().position(|name| name == dependency).expect("a dependency")
    }

    fn keys(&self, keys: &Keys) -> Vec<Vec<u8>> {
        self.members.iter().map(|name| keys.get(name).map(Key::bytes).unwrap_or_default()).collect()
    }

    /// Who would refuse this call, as of the latest one: all of them.
    pub fn refusing(&mut self, now: u64, op: &Op) -> (Answer, Vec<(String, u64)>) {
        let Op::Admit { name, keys, address, priority, cost, deadline_ns, dependencies, partition } = op else {
            return (self.apply(now, op), Vec::new());
        };
        let call = Call {
            keys: self.keys(keys),
            address: address.clone(),
            priority: *priority as u64,
            cost: *cost,
            deadline: deadline_ns.map(|ns| ns.0),
            breakers: dependencies.iter().map(|name| self.place(name)).collect(),
            partition: partition.as_ref().and_then(|name| self.partitions.iter().position(|it| it == name)),
        };
        let answer = self.gate.admit(now, &call);
        let told = answer.denied_by();
        let all = answer.refusing.iter().map(|(part, wait)| (self.name_of(*part), *wait)).collect();
        let (kind, status) = told.map(|(part, _)| kind_of(part)).unzip();
        let said = Answer::Admission {
            allowed: answer.allowed,
            denied_by: told.map(|(part, _)| self.name_of(part)),
            kind,
            status: status.filter(|_| !answer.allowed),
            retry_after_ns: Ns(told.filter(|_| !answer.allowed).map_or(0, |(_, wait)| wait)),
            limit: answer.limit,
            remaining: answer.remaining,
            pressure: answer.pressure,
        };
        self.held.extend(answer.held.map(|held| (name.clone(), held)));
        (said, all)
    }
}

impl Subject for ModelGate {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let mode = mode(config.enabled, config.dry_run);
        let names = |config: &set::Config| config.members.iter().map(|member| member.name.clone()).collect();
        let outcome = |name: &OutcomeName| match name {
            OutcomeName::Success => Outcome::Success,
            OutcomeName::Failure => Outcome::Failure,
            OutcomeName::Dropped => Outcome::Dropped,
            OutcomeName::Cancelled => Outcome::Cancelled,
        };
        let access = |it: &AccessConfig| Access { allow: it.allow.clone(), deny: it.deny.clone() };
        let enforce = crate::concurrency::Mode::Enforce;
        let permits = |limit: u32| match config.partitions.as_slice() {
            [] => Permits::Plain(Limiter::new(limit as usize, enforce)),
            all => {
                let shares: Vec<_> = all.iter().map(|(_, share)| *share).collect();
                Permits::Parted(partitions::Limiter::new(limit.into(), &shares, &[]))
            }
        };
        let gate = Gate {
            access: config.access.as_ref().map(access),
            shedder: config.shedder.as_ref().map(|config| shed::ModelShedder::make(config, start).into_model()),
            queue: config.queue.map(|capacity| (capacity, 0)),
            breakers: config
                .dependencies
                .iter()
                .map(|it| crate::breaker::Breaker::new(circuit::settings(&it.breaker), start))
                .collect(),
            concurrency: config.concurrency.map(permits),
            limits: config.limits.as_ref().map(|config| set::ModelSet::make(config, start).into_model()),
            refund_on: config.refund_on.iter().map(outcome).collect(),
            mode,
            counts: Counts::default(),
        };
        let signals = config.shedder.iter().flat_map(|it| it.signals.iter().map(|it| it.name.clone())).collect();
        Self {
            gate,
            members: config.limits.as_ref().map(names).unwrap_or_default(),
            dependencies: config.dependencies.iter().map(|it| it.name.clone()).collect(),
            partitions: config.partitions.iter().map(|(name, _)| name.clone()).collect(),
            held: HashMap::new(),
            permits: HashMap::new(),
            signals,
        }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        match op {
            Op::Admit { .. } => return self.refusing(now, op).0,
            Op::Finish { admission, outcome } => {
                let outcome = match outcome {
                    OutcomeName::Success => Outcome::Success,
                    OutcomeName::Failure => Outcome::Failure,
                    OutcomeName::Dropped => Outcome::Dropped,
                    OutcomeName::Cancelled => Outcome::Cancelled,
                };
                let held = self.held.get_mut(admission).expect("an admission");
                return Answer::Finished { finished: self.gate.finish(now, held, outcome) };
            }
            Op::Enter { admission, dependency, name } => {
                assert!(self.held.contains_key(admission), "an admission");
                let place = self.place(dependency);
                let permit = self.gate.breakers[place].acquire(now, 0.0).ok();
                self.permits.extend(permit.map(|permit| (name.clone(), permit)));
                return Answer::Permit { permit: permit.is_some() };
            }
            Op::Report { permit, dependency, failed } => {
                use crate::breaker::Outcome::{Failure, Success};
                let (place, outcome) = (self.place(dependency), if *failed { Failure } else { Success });
                self.gate.breakers[place].report(now, self.permits[permit], outcome, None);
            }
            Op::ForceOpen { dependency } => {
                let place = self.place(dependency);
                self.gate.breakers[place].switch(crate::breaker::State::ForcedOpen);
            }
            Op::Push {} => {
                let (capacity, depth) = self.gate.queue.as_mut().expect("a queue");
                *depth = (*depth + 1).min(*capacity);
            }
            Op::Pop {} => {
                let (_, depth) = self.gate.queue.as_mut().expect("a queue");
                *depth = depth.saturating_sub(1);
            }
            Op::Tell { signal, value } => {
                let place = self.signals.iter().position(|name| name == signal).expect("a signal");
                self.gate.shedder.as_mut().expect("a shedder").tell(now, place, *value);
            }
            Op::SetLimit { limit } => {
                self.gate.concurrency.as_mut().expect("a concurrency limit").set_limit(*limit as usize);
            }
            Op::Look { keys } => {
                let keys = self.keys(keys);
                let left = self.members.iter().enumerate().zip(&keys);
                let left = left.map(|((place, name), key)| (name.clone(), self.gate.left(now, place, key))).collect();
                let states = self.dependencies.iter().zip(&self.gate.breakers);
                return Answer::Parts {
                    left,
                    in_use: self.gate.concurrency.as_ref().map(|it| it.in_use() as u32),
                    depth: self.gate.queue.map(|(_, depth)| depth),
                    circuits: states.map(|(name, it)| (name.clone(), circuit::word(it.state()))).collect(),
                };
            }
            Op::Stats {} => {
                let Counts { admitted, denied, would_deny } = self.gate.counts;
                return Answer::Stats { admitted, denied, would_deny };
            }
        }
        Answer::Nothing {}
    }
}

/// Whether a member of the limits takes a key.
pub fn is_keyed(config: &Config, member: &str) -> bool {
    let members = config.limits.as_ref().map_or(&[][..], |limits| &limits.members);
    let found = members.iter().find(|it| it.name == member).map(|it| &it.limit);
    match found {
        Some(LimitConfig::SameAs(other)) => is_keyed(config, other),
        Some(LimitConfig::Limiter(_)) => true,
        _ => false,
    }
}
