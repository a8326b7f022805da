//! `LimitSet` behind the vectors' vocabulary. Goes with `settings.rs`.

use crate::settings::{answer, limiter, quota};
use std::sync::Arc;
use std::time::Duration;
use tidegate::limit::{LimitSet, Member, SetDecision};
use tidegate::{Clock, ManualClock, TokenBucket};
use tidegate_model::format::Subject;
use tidegate_model::script::key::Key;
use tidegate_model::script::set::{Answer, Config, Keys, LimitConfig, Op};

/// A set and its clock.
#[derive(Debug)]
pub(crate) struct CoreSet {
    set: LimitSet,
    clock: ManualClock,
}

impl CoreSet {
    fn member(&self, name: &str) -> &Member {
        self.set.members().find(|(known, _)| *known == name).expect("a member").1
    }

    /// The keys of the keyed members, in order.
    fn keys(&self, keys: &Keys) -> Vec<Vec<u8>> {
        let keyed = self.set.members().filter(|(_, member)| matches!(member, Member::Keyed(_)));
        keyed.map(|(name, _)| keys[name].bytes()).collect()
    }

    fn answer(&self, SetDecision { decision, denied_by }: SetDecision) -> Answer {
        let denied_by = denied_by.map(|place| self.set.names().nth(place).expect("a member").to_owned());
        Answer::Verdict { decision: answer(decision), denied_by }
    }
}

impl Subject for CoreSet {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let mut members: Vec<(String, Member)> = Vec::new();
        for member in &config.members {
            let limit = match &member.limit {
                LimitConfig::Bucket(config) => {
                    let quota = quota(*config).expect("a sound quota");
                    Member::Bucket(Arc::new(TokenBucket::with_clock(quota, Clock::from(&clock))))
                }
                LimitConfig::Limiter(config) => {
                    Member::Keyed(Arc::new(limiter(config, &clock).expect("sound settings")))
                }
                LimitConfig::SameAs(other) => {
                    members.iter().find(|(name, _)| name == other).expect("an earlier member").1.clone()
                }
            };
            members.push((member.name.clone(), limit));
        }
        Self { set: LimitSet::new(members).expect("a sound set"), clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        match op {
            Op::Check { keys, n } => {
                let keys = self.keys(keys);
                self.answer(self.set.check(&slices(&keys), *n).expect("a key each"))
            }
            Op::Peek { keys, n } => {
                let keys = self.keys(keys);
                self.answer(self.set.peek(&slices(&keys), *n).expect("a key each"))
            }
            Op::Refund { keys, n } => {
                let keys = self.keys(keys);
                self.set.refund(&slices(&keys), *n).expect("a key each");
                Answer::Nothing {}
            }
            Op::PeekMember { member, key } => Answer::Decision(answer(match (self.member(member), bytes(key)) {
                (Member::Bucket(bucket), _) => bucket.peek(),
                (Member::Keyed(limiter), key) => limiter.peek(&key, None),
            })),
            Op::PenalizeMember { member, key, wait_ns } => {
                let wait = Duration::from_nanos(wait_ns.0);
                match (self.member(member), bytes(key)) {
                    (Member::Bucket(bucket), _) => bucket.penalize(wait),
                    (Member::Keyed(limiter), key) => assert!(limiter.penalize(&key, wait), "there is room"),
                }
                Answer::Nothing {}
            }
        }
    }
}

fn slices(keys: &[Vec<u8>]) -> Vec<&[u8]> {
    keys.iter().map(Vec::as_slice).collect()
}

fn bytes(key: &Option<Key>) -> Vec<u8> {
    key.as_ref().map(Key::bytes).unwrap_or_default()
}
