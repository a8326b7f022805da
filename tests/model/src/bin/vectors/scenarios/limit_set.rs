//! Limits combined.

use super::rate_limiter::config;
use crate::random::Random;
use crate::script::{self, MIN, MS, S, Script};
use std::collections::BTreeMap;
use tidegate_model::format::{Case, File, Ns};
use tidegate_model::script::limiter::AlgorithmName::{
    self, FixedWindow, LeakyBucket, SlidingLog, SlidingWindow, TokenBucket,
};
use tidegate_model::script::limiter::QuotaConfig;
use tidegate_model::script::set::{Config, Keys, LimitConfig, MemberConfig, ModelSet, Op};

type Cases = Vec<Case<Config, Op>>;

pub(crate) fn file() -> File<Config, Op> {
    let groups = [levels(), answers(), twice(), random()];
    script::file("limit_set", groups.into_iter().flatten().collect())
}

fn set(name: &str, why: &str, members: &[(&str, LimitConfig)]) -> Script<ModelSet> {
    let member = |(name, limit): &(&str, LimitConfig)| MemberConfig { name: (*name).into(), limit: limit.clone() };
    Script::new(name, why, Config { members: members.iter().map(member).collect() })
}

fn keyed(algorithm: AlgorithmName, count: u64, period: u64, burst: u32) -> LimitConfig {
    LimitConfig::Limiter(config(algorithm, count, period, burst))
}

fn bucket(count: u64, period: u64, burst: u32) -> LimitConfig {
    LimitConfig::Bucket(QuotaConfig { count, period_ns: Ns(period), burst })
}

fn keys(pairs: &[(&str, &str)]) -> Keys {
    pairs.iter().map(|&(name, key)| (name.to_owned(), key.into())).collect::<BTreeMap<_, _>>()
}

fn check(pairs: &[(&str, &str)], n: u32) -> Op {
    Op::Check { keys: keys(pairs), n }
}

fn peek(pairs: &[(&str, &str)], n: u32) -> Op {
    Op::Peek { keys: keys(pairs), n }
}

fn left(member: &str, key: impl Into<Option<&'static str>>) -> Op {
    Op::PeekMember { member: member.into(), key: key.into().map(Into::into) }
}

fn levels() -> Cases {
    let levels = [
        ("user", keyed(TokenBucket, 3, MIN, 3)),
        ("ip", keyed(FixedWindow, 5, MIN, 5)),
        ("endpoint", keyed(SlidingWindow, 8, MIN, 8)),
        ("everyone", bucket(10, MIN, 10)),
    ];
    let all = |user, ip, endpoint| [("user", user), ("ip", ip), ("endpoint", endpoint)];
    let (ann, ben, cay) = (all("ann", "home", "/pay"), all("ben", "home", "/pay"), all("cay", "far", "/pay"));
    let dan = all("dan", "far", "/list");
    vec![
        set("all_or_nothing", "a request that one limit denies takes nothing from the others", &levels)
            .times(3, &check(&ann, 1))
            .then(check(&ann, 1))
            .then(left("ip", "home"))
            .then(left("endpoint", "/pay"))
            .then(left("everyone", None))
            .then(check(&ben, 2))
            .then(check(&ben, 1))
            .then(left("user", "ben"))
            .then(check(&cay, 3))
            .then(check(&cay, 1))
            .then(check(&dan, 2))
            .then(check(&dan, 1))
            .then(left("user", "dan"))
            .then(left("everyone", None))
            .end(),
        set("costs", "the cost is taken from each", &levels)
            .then(peek(&ann, 3))
            .then(check(&ann, 3))
            .then(left("everyone", None))
            .then(peek(&ann, 0))
            .then(check(&ben, 4))
            .then(check(&ben, 2))
            .then(left("everyone", None))
            .end(),
        set("given_back", "a refund reaches every member", &levels)
            .then(check(&ann, 3))
            .then(Op::Refund { keys: keys(&ann), n: 2 })
            .then(left("user", "ann"))
            .then(left("ip", "home"))
            .then(left("endpoint", "/pay"))
            .then(left("everyone", None))
            .end(),
    ]
}

fn answers() -> Cases {
    let pair = [("user", "ann"), ("ip", "home")];
    let fast_and_slow =
        [("user", keyed(TokenBucket, 10, S, 1)), ("ip", keyed(TokenBucket, 1, S, 1)), ("everyone", bucket(4, S, 1))];
    vec![
        set("the_longest_wait_is_named", "waiting for the shortest would only be denied by the next", &fast_and_slow)
            .then(check(&pair, 1))
            .then(check(&pair, 1))
            .at(150 * MS)
            .then(check(&pair, 1))
            .at(2 * S)
            .then(check(&pair, 1))
            .end(),
        set(
            "never_wins",
            "a cost above one limit's burst can never pass, whatever the others say",
            &[("user", keyed(TokenBucket, 1, MIN, 10)), ("everyone", bucket(100, S, 5))],
        )
        .then(check(&[("user", "ann")], 5))
        .then(check(&[("user", "ann")], 6))
        .end(),
        set(
            "ties_go_to_the_first",
            "of equal waits, and of equal remainders, the first declared is named",
            &[("a", keyed(TokenBucket, 1, S, 2)), ("b", keyed(TokenBucket, 1, S, 2))],
        )
        .then(check(&[("a", "x"), ("b", "x")], 1))
        .then(check(&[("a", "x"), ("b", "x")], 1))
        .then(check(&[("a", "x"), ("b", "x")], 1))
        .end(),
        set(
            "the_longest_delay_counts",
            "two paced limits: act when both say so",
            &[("user", keyed(LeakyBucket, 10, S, 4)), ("ip", keyed(LeakyBucket, 4, S, 3))],
        )
        .times(4, &check(&pair, 1))
        .end(),
        set(
            "a_penalty_in_one",
            "the penalty is the longest wait",
            &[
                ("user", keyed(TokenBucket, 10, S, 1)),
                ("ip", keyed(FixedWindow, 5, S, 5)),
                ("everyone", bucket(4, S, 4)),
            ],
        )
        .then(Op::PenalizeMember { member: "ip".into(), key: Some("home".into()), wait_ns: Ns(10 * S) })
        .then(check(&pair, 1))
        .then(check(&[("user", "ann"), ("ip", "far")], 1))
        .then(Op::PenalizeMember { member: "everyone".into(), key: None, wait_ns: Ns(20 * S) })
        .at(5 * S)
        .then(check(&pair, 1))
        .then(left("user", "ann"))
        .end(),
        set("one_member", "a set of one is that one", &[("everyone", bucket(2, S, 2))])
            .times(3, &check(&[], 1))
            .then(peek(&[], 1))
            .end(),
    ]
}

fn twice() -> Cases {
    let from_to = |from: &'static str, to: &'static str| [("from", from), ("to", to)];
    vec![
        set(
            "the_same_limit_twice",
            "a transfer counts for both ends; one that goes to itself costs twice or nothing",
            &[("from", keyed(TokenBucket, 1, S, 3)), ("to", LimitConfig::SameAs("from".into()))],
        )
        .then(check(&from_to("ann", "ben"), 1))
        .then(left("from", "ann"))
        .then(left("to", "ben"))
        .then(check(&from_to("cay", "cay"), 1))
        .then(left("from", "cay"))
        .then(check(&from_to("dan", "dan"), 2))
        .then(left("from", "dan"))
        .end(),
        set(
            "the_same_log_twice",
            "what the first half took is given back when the second finds no room",
            &[("from", keyed(SlidingLog, 3, S, 3)), ("to", LimitConfig::SameAs("from".into()))],
        )
        .then(check(&from_to("ann", "ann"), 1))
        .then(check(&from_to("ann", "ann"), 1))
        .then(left("from", "ann"))
        .then(check(&from_to("ann", "ben"), 1))
        .end(),
        set(
            "the_same_window_twice",
            "a window that only a denied call began has never been: the next one starts later",
            &[("from", keyed(FixedWindow, 3, S, 3)), ("to", LimitConfig::SameAs("from".into()))],
        )
        .then(check(&from_to("ann", "ann"), 2))
        .after(400 * MS)
        .then(check(&from_to("ann", "ben"), 1))
        .then(left("from", "ann"))
        .after(600 * MS)
        .then(check(&from_to("ann", "ben"), 2))
        .after(400 * MS)
        .then(left("from", "ann"))
        .end(),
    ]
}

fn random() -> Cases {
    let members = [
        ("user", keyed(TokenBucket, 3, S, 4)),
        ("ip", keyed(SlidingWindow, 12, 2 * S, 12)),
        ("login", keyed(SlidingLog, 9, 3 * S, 9)),
        ("endpoint", keyed(FixedWindow, 20, 4 * S, 20)),
        ("everyone", bucket(20, S, 25)),
    ];
    let case = |seed: u64| {
        let mut random = Random::new(seed);
        let script = set(&format!("random_{seed}"), "five levels, few keys, all operations mixed", &members);
        (0..100)
            .fold(script, |script, _| {
                let pause = if random.chance(40) { 0 } else { random.below(400 * MS) };
                let pairs = [
                    ("user", random.pick(&["ann", "ben", "cay"])),
                    ("ip", random.pick(&["home", "far"])),
                    ("login", random.pick(&["ann", "ben", "cay"])),
                    ("endpoint", random.pick(&["/pay", "/list"])),
                ];
                let n = u32::try_from(random.below(4)).expect("small");
                script.after(pause).then(match random.below(10) {
                    0..=6 => check(&pairs, n),
                    7 => peek(&pairs, n),
                    8 => Op::Refund { keys: keys(&pairs), n },
                    _ => left("everyone", None),
                })
            })
            .end()
    };
    (1..4).map(case).collect()
}
