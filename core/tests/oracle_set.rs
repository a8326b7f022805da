//! Limits combined against their model, under random operations of one thread.

#[path = "adapters/late.rs"]
mod late;
#[path = "adapters/pair.rs"]
mod pair;
#[path = "adapters/set.rs"]
mod set;
#[path = "adapters/settings.rs"]
mod settings;

use late::{Readings, late};
use pair::Pair;
use proptest::prelude::*;
use set::{CoreSet, Side};
use std::collections::BTreeMap;
use tidegate::ManualClock;
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::key::Key;
use tidegate_model::script::limiter::AlgorithmName::{
    self, FixedWindow, LeakyBucket, SlidingLog, SlidingWindow, TokenBucket,
};
use tidegate_model::script::limiter::{BlockConfig, Config as LimiterConfig, ModeName, QuotaConfig};
use tidegate_model::script::set::{Answer, Config, Keys, LimitConfig, MemberConfig, ModelSet, Op};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const START: u64 = 5_000 * S;
const KEYS: [&str; 3] = ["", "ann", "ben"];
const NAMES: [&str; 4] = ["user", "address", "endpoint", "everyone"];

/// Rates that a bucket counts exactly: at most 8 tokens in lowest terms.
fn quota() -> impl Strategy<Value = QuotaConfig> {
    let rate = prop::sample::select(vec![(5, S), (3, 2 * S), (8, 3 * S), (100, 60 * S), (1, S), (1_000, S)]);
    (rate, 1..30_u32).prop_map(|((count, period), burst)| QuotaConfig { count, period_ns: Ns(period), burst })
}

fn keyed() -> impl Strategy<Value = LimitConfig> {
    let algorithm = prop::sample::select(vec![TokenBucket, FixedWindow, SlidingWindow, SlidingLog, LeakyBucket]);
    let block = (1..4_u32, 1..4_000_u64, 1..4_000_u64).prop_map(|(after, within, duration)| BlockConfig {
        after,
        within_ns: Ns(within * MS),
        duration_ns: Ns(duration * MS),
        growth: 2.0,
        max_ns: Ns(4 * duration * MS),
    });
    (algorithm, quota(), prop::option::weighted(0.2, block)).prop_map(
        |(algorithm, quota, block): (AlgorithmName, _, _)| {
            LimitConfig::Limiter(LimiterConfig {
                algorithm,
                count: quota.count,
                period_ns: quota.period_ns,
                burst: quota.burst,
                max_keys: 500,
                fastest: None,
                block,
                warm_up: None,
                mode: ModeName::Enforce,
            })
        },
    )
}

fn members() -> impl Strategy<Value = Config> {
    let limit = prop_oneof![
        6 => keyed(),
        3 => quota().prop_map(LimitConfig::Bucket),
        1 => Just(LimitConfig::SameAs(NAMES[0].into())),
    ];
    let first = prop_oneof![3 => keyed(), 1 => quota().prop_map(LimitConfig::Bucket)];
    (first, prop::collection::vec(limit, 0..NAMES.len())).prop_map(|(first, others)| {
        let limits = std::iter::once(first).chain(others);
        let member = |(name, limit): (&&str, LimitConfig)| MemberConfig { name: (*name).into(), limit };
        Config { members: NAMES.iter().zip(limits).map(member).collect() }
    })
}

#[derive(Clone, Copy, Debug)]
enum Plan {
    Check(u32),
    Peek(u32),
    Refund(u32),
    PeekMember(usize),
    Penalize(usize, u64),
}

fn plan() -> impl Strategy<Value = Plan> {
    let n = || prop_oneof![5 => 0..4_u32, 1 => 0..32_u32];
    prop_oneof![
        12 => n().prop_map(Plan::Check),
        3 => n().prop_map(Plan::Peek),
        2 => n().prop_map(Plan::Refund),
        4 => any::<usize>().prop_map(Plan::PeekMember),
        1 => (any::<usize>(), 1..3_000_u64).prop_map(|(member, ms)| Plan::Penalize(member, ms)),
    ]
}

/// Milliseconds to go on, or to where the last answer says that the wait is over.
fn pause() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        4 => Just(Some(0)),
        4 => (0..900_u64).prop_map(Some),
        1 => (0..60_000_u64).prop_map(Some),
        2 => Just(None),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every answer is the model's, and so is what is left in every member.
    #[test]
    fn answers_as_the_model(
        config in members(),
        steps in prop::collection::vec((pause(), plan(), prop::array::uniform4(0..KEYS.len())), 1..120),
    ) {
        let mut pair = Pair::<ModelSet, CoreSet>::new(&config, START);
        let kinds: Vec<_> = config.members.iter().map(|member| match &member.limit {
            LimitConfig::SameAs(_) => &config.members[0].limit,
            other => other,
        }).collect();
        let (mut now, mut wait) = (START, 0);
        for (pause, plan, picks) in steps {
            now += pause.map_or(wait, |ms| ms * MS);
            let key = |member: usize| match kinds[member] {
                LimitConfig::Bucket(_) => None,
                _ => Some(Key::from(KEYS[picks[member]])),
            };
            let keys = || -> Keys {
                let named = config.members.iter().enumerate();
                named.filter_map(|(place, member)| Some((member.name.clone(), key(place)?))).collect::<BTreeMap<_, _>>()
            };
            let name = |member: usize| config.members[member % kinds.len()].name.clone();
            let op = match plan {
                Plan::Check(n) => Op::Check { keys: keys(), n },
                Plan::Peek(n) => Op::Peek { keys: keys(), n },
                Plan::Refund(n) => Op::Refund { keys: keys(), n },
                Plan::PeekMember(member) => Op::PeekMember { member: name(member), key: key(member % kinds.len()) },
                Plan::Penalize(member, ms) => {
                    Op::PenalizeMember { member: name(member), key: key(member % kinds.len()), wait_ns: Ns(ms * MS) }
                }
            };
            if let Answer::Verdict { decision, .. } = pair.step(now, op)? {
                wait = if decision.retry_after_ns.0 == u64::MAX { 0 } else { decision.retry_after_ns.0 };
            }
        }
    }
}

/// What a set of limits per key answers to a check, or would.
fn allows(answer: &Answer) -> bool {
    matches!(answer, Answer::Verdict { decision, .. } if decision.allowed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the order of readings, nothing is admitted that a model with times in full width denies.
    #[test]
    fn late_threads_mint_nothing(
        limits in prop::collection::vec(keyed(), 1..NAMES.len()),
        steps in prop::collection::vec((late(), plan(), prop::array::uniform4(0..KEYS.len())), 1..120),
    ) {
        let plain = |limit| match limit {
            LimitConfig::Limiter(config) => LimitConfig::Limiter(LimiterConfig { block: None, ..config }),
            other => other,
        };
        // A log is a table of its own.
        let is_log =
            |limit: &LimitConfig| matches!(limit, LimitConfig::Limiter(it) if it.algorithm == SlidingLog);
        prop_assume!(!limits.iter().any(is_log));
        let members = NAMES.iter().zip(limits.into_iter().map(plain));
        let members = members.map(|(name, limit)| MemberConfig { name: (*name).into(), limit });
        let config = Config { members: members.collect() };
        let clock = ManualClock::new(START);
        let (core, mut model) = (Side::new(&config, &clock, None), ModelSet::make(&config, START));
        let mut readings = Readings::from(START);
        for (late, plan, picks) in steps {
            let now = readings.next(3 * S, late);
            clock.set(now);
            let members = config.members.iter().zip(picks);
            let named = members.map(|(member, pick)| (member.name.clone(), Key::from(KEYS[pick])));
            let keys: Keys = named.collect();
            match plan {
                Plan::Check(n) => {
                    let wanted = allows(&model.apply(now, &Op::Peek { keys: keys.clone(), n }));
                    if allows(&core.apply(&Op::Check { keys: keys.clone(), n })) {
                        // None at all, after a penalty that is over and forgotten, is nothing.
                        prop_assert!(wanted || n == 0, "{} of {:?} at {} in {:?}", n, keys, now, config);
                        let _ = model.apply(now, &Op::Check { keys, n });
                    }
                }
                Plan::Peek(n) => {
                    let op = Op::Peek { keys, n };
                    let seen = allows(&core.apply(&op));
                    let fine = !seen || allows(&model.apply(now, &op)) || n == 0;
                    prop_assert!(fine, "{:?} at {} in {:?}", op, now, config);
                }
                Plan::Penalize(member, ms) => {
                    let member = config.members[member % config.members.len()].name.clone();
                    let key = keys.get(&member).cloned();
                    let op = Op::PenalizeMember { member, key, wait_ns: Ns(ms * MS) };
                    core.apply(&op);
                    model.apply(now, &op);
                }
                // What a penalty of long ago leaves to give back, the tests of one limit say.
                Plan::Refund(_) | Plan::PeekMember(_) => {}
            }
        }
    }
}
