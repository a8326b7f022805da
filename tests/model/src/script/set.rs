//! Limits combined.

use super::key::Key;
use super::limiter::{Config as LimiterConfig, DecisionAnswer, QuotaConfig};
use crate::bucket::Bucket;
use crate::format::{Ns, Subject};
use crate::keyed::Limiter;
use crate::set::{Limit, Set, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The members in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the line above says it")]
pub struct Config {
    pub members: Vec<MemberConfig>,
}

/// One member: its name, and what it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the line above says it")]
pub struct MemberConfig {
    pub name: String,
    #[serde(flatten)]
    pub limit: LimitConfig,
}

/// A limit for everybody, one per key, or the very same as that of an earlier member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the line above says it")]
pub enum LimitConfig {
    Bucket(QuotaConfig),
    Limiter(LimiterConfig),
    SameAs(String),
}

/// Keys of the keyed members by name.
pub type Keys = BTreeMap<String, Key>;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    Check {
        keys: Keys,
        n: u32,
    },
    Peek {
        keys: Keys,
        n: u32,
    },
    Refund {
        keys: Keys,
        n: u32,
    },
    /// What one member has left.
    PeekMember {
        member: String,
        key: Option<Key>,
    },
    PenalizeMember {
        member: String,
        key: Option<Key>,
        wait_ns: Ns,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Verdict {
        #[serde(flatten)]
        decision: DecisionAnswer,
        denied_by: Option<String>,
    },
    Decision(DecisionAnswer),
    Nothing {},
}

/// The model and its members' names.
#[derive(Debug)]
pub struct ModelSet {
    set: Set,
    names: Vec<String>,
}

impl ModelSet {
    /// The model alone.
    pub(super) fn into_model(self) -> Set {
        self.set
    }

    fn place(&self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).expect("a member")
    }

    fn keys(&self, keys: &Keys) -> Vec<Vec<u8>> {
        self.names.iter().map(|name| keys.get(name).map(Key::bytes).unwrap_or_default()).collect()
    }

    fn answer(&self, Verdict { decision, denied_by }: Verdict) -> Answer {
        Answer::Verdict { decision: decision.into(), denied_by: denied_by.map(|member| self.names[member].clone()) }
    }
}

impl Subject for ModelSet {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let names: Vec<_> = config.members.iter().map(|member| member.name.clone()).collect();
        let (mut limits, mut members) = (Vec::new(), Vec::new());
        for member in &config.members {
            let limit = match &member.limit {
                LimitConfig::Bucket(quota) => {
                    Limit::Bucket(Bucket::new(quota.count, quota.period_ns.0, quota.burst, start))
                }
                LimitConfig::Limiter(config) => {
                    Limit::Keyed(Limiter::new(config.into(), start).expect("quotas that fit"))
                }
                LimitConfig::SameAs(other) => {
                    let place = names.iter().position(|name| name == other).expect("an earlier member");
                    members.push(members[place]);
                    continue;
                }
            };
            members.push(limits.len());
            limits.push(limit);
        }
        Self { set: Set::new(limits, members), names }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        match op {
            Op::Check { keys, n } => {
                let verdict = self.set.check(now, &self.keys(keys), *n);
                self.answer(verdict)
            }
            Op::Peek { keys, n } => {
                let verdict = self.set.peek(now, &self.keys(keys), *n);
                self.answer(verdict)
            }
            Op::Refund { keys, n } => {
                self.set.refund(now, &self.keys(keys), *n);
                Answer::Nothing {}
            }
            Op::PeekMember { member, key } => {
                let (place, key) = (self.place(member), bytes(key));
                Answer::Decision(self.set.limit(place).peek(now, &key).into())
            }
            Op::PenalizeMember { member, key, wait_ns } => {
                let (place, key) = (self.place(member), bytes(key));
                self.set.limit(place).penalize(now, &key, wait_ns.0);
                Answer::Nothing {}
            }
        }
    }
}

fn bytes(key: &Option<Key>) -> Vec<u8> {
    key.as_ref().map(Key::bytes).unwrap_or_default()
}
