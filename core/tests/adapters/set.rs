//! `LimitSet` behind the vectors' vocabulary. Goes with `settings.rs`.

use crate::settings::{answer, arena, limiter, limiter_in, quota};
use std::sync::Arc;
use std::time::Duration;
use tidegate::limit::{BucketConfig, LimitSet, Member, SetDecision};
use tidegate::{Arena, Clock, ManualClock, OnConflict, TokenBucket};
use tidegate_model::format::Subject;
use tidegate_model::script::key::Key;
use tidegate_model::script::set::{Answer, Config, Keys, LimitConfig, MemberConfig, Op};

/// A set of limits of the process, and two sets of one arena's that are used in turns: they must never differ.
#[derive(Debug)]
pub(crate) struct CoreSet {
    own: Side,
    shared: [Side; 2],
    clock: ManualClock,
}

/// One set.
#[derive(Debug)]
pub(crate) struct Side(LimitSet);

impl Side {
    /// The members of `config` on the clock, or in the arena.
    pub(crate) fn new(config: &Config, clock: &ManualClock, arena: Option<&Arc<Arena>>) -> Self {
        let mut members: Vec<(String, Member)> = Vec::new();
        for MemberConfig { name, limit } in &config.members {
            let limit = match limit {
                LimitConfig::Bucket(config) => {
                    let quota = quota(*config).expect("a sound quota");
                    let bucket = match arena {
                        None => TokenBucket::with_clock(quota, Clock::from(clock)),
                        Some(arena) => {
                            let options = BucketConfig::default();
                            TokenBucket::in_arena(arena, name, quota, options, OnConflict::Error).expect("room")
                        }
                    };
                    Member::Bucket(Arc::new(bucket))
                }
                LimitConfig::Limiter(config) => Member::Keyed(Arc::new(match arena {
                    None => limiter(config, clock).expect("sound settings"),
                    Some(arena) => limiter_in(arena, name, config),
                })),
                LimitConfig::SameAs(other) => {
                    members.iter().find(|(name, _)| name == other).expect("an earlier member").1.clone()
                }
            };
            members.push((name.clone(), limit));
        }
        Self(LimitSet::new(members).expect("a sound set"))
    }

    /// The set itself.
    #[allow(dead_code, reason = "for the gate")]
    pub(crate) fn into_set(self) -> LimitSet {
        self.0
    }

    fn member(&self, name: &str) -> &Member {
        self.0.members().find(|(known, _)| *known == name).expect("a member").1
    }

    /// The keys of the keyed members, in order.
    fn keys(&self, keys: &Keys) -> Vec<Vec<u8>> {
        let keyed = self.0.members().filter(|(_, member)| matches!(member, Member::Keyed(_)));
        keyed.map(|(name, _)| keys[name].bytes()).collect()
    }

    fn answer(&self, SetDecision { decision, denied_by }: SetDecision) -> Answer {
        let denied_by = denied_by.map(|place| self.0.names().nth(place).expect("a member").to_owned());
        Answer::Verdict { decision: answer(decision), denied_by }
    }

    pub(crate) fn apply(&self, op: &Op) -> Answer {
        match op {
            Op::Check { keys, n } => {
                let keys = self.keys(keys);
                self.answer(self.0.check(&slices(&keys), *n).expect("a key each"))
            }
            Op::Peek { keys, n } => {
                let keys = self.keys(keys);
                self.answer(self.0.peek(&slices(&keys), *n).expect("a key each"))
            }
            Op::Refund { keys, n } => {
                let keys = self.keys(keys);
                self.0.refund(&slices(&keys), *n).expect("a key each");
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

impl Subject for CoreSet {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let arena = arena(&clock);
        let shared = [(); 2].map(|()| Side::new(config, &clock, Some(&arena)));
        Self { own: Side::new(config, &clock, None), shared, clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        self.shared.rotate_left(1);
        let (own, shared) = (self.own.apply(op), self.shared[0].apply(op));
        assert_eq!(own, shared, "{op:?} at {now}: in the process, and in an arena");
        own
    }
}

fn slices(keys: &[Vec<u8>]) -> Vec<&[u8]> {
    keys.iter().map(Vec::as_slice).collect()
}

fn bytes(key: &Option<Key>) -> Vec<u8> {
    key.as_ref().map(Key::bytes).unwrap_or_default()
}
