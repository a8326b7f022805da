//! The gate against its model, under random operations: a refused call leaves every part as it was, an admitted one
//! charges each once. What races is in `gate.rs`.

#[path = "adapters/breaker.rs"]
#[allow(dead_code, reason = "for their settings")]
mod breaker;
#[path = "adapters/gate.rs"]
mod gate;
#[path = "adapters/set.rs"]
#[allow(dead_code, reason = "for the set itself")]
mod set;
#[path = "adapters/settings.rs"]
#[allow(dead_code, reason = "for some of them")]
mod settings;
#[path = "adapters/shed.rs"]
#[allow(dead_code, reason = "for their settings")]
mod shed;

use gate::CoreGate;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::breaker::Config as BreakerConfig;
use tidegate_model::script::gate::{AccessConfig, Answer, Config, Dependency, ModelGate, Op, OutcomeName, is_keyed};
use tidegate_model::script::limiter::AlgorithmName::{
    self, FixedWindow, LeakyBucket, SlidingLog, SlidingWindow, TokenBucket,
};
use tidegate_model::script::limiter::{Config as LimiterConfig, ModeName, QuotaConfig};
use tidegate_model::script::set::{Config as SetConfig, Keys, LimitConfig, MemberConfig};
use tidegate_model::script::shed::{Config as ShedConfig, PriorityName, Signal};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const START: u64 = 5_000 * S;
const CLIENTS: [&str; 4] = ["ann", "ben", "mallory", "monitoring"];
const NAMES: [&str; 3] = ["client", "route", "everyone"];
const PARTITIONS: [&str; 2] = ["live", "batch"];
const CIRCUITS: [&str; 2] = ["payment", "mail"];

fn limit(keyed: bool) -> impl Strategy<Value = LimitConfig> {
    let algorithm = prop::sample::select(vec![TokenBucket, FixedWindow, SlidingWindow, SlidingLog, LeakyBucket]);
    let rate = prop::sample::select(vec![(5, S), (3, 2 * S), (8, 3 * S), (100, 60 * S)]);
    (algorithm, rate, 1..12_u32).prop_map(move |(algorithm, (count, period), burst): (AlgorithmName, _, _)| {
        let quota = QuotaConfig { count, period_ns: Ns(period), burst };
        if !keyed {
            return LimitConfig::Bucket(quota);
        }
        LimitConfig::Limiter(LimiterConfig {
            algorithm,
            count: quota.count,
            period_ns: quota.period_ns,
            burst: quota.burst,
            max_keys: 500,
            fastest: None,
            block: None,
            warm_up: None,
            mode: ModeName::Enforce,
        })
    })
}

fn limits() -> impl Strategy<Value = Option<SetConfig>> {
    let second = prop_oneof![3 => limit(true), 1 => Just(LimitConfig::SameAs(NAMES[0].into()))];
    let members = (limit(true), second, limit(false)).prop_map(|(first, second, last)| {
        let members = NAMES.iter().zip([first, second, last]);
        let members = members.map(|(name, limit)| MemberConfig { name: (*name).to_owned(), limit });
        SetConfig { members: members.collect() }
    });
    prop::option::weighted(0.9, members)
}

fn shedder() -> impl Strategy<Value = Option<ShedConfig>> {
    let config = |min_admit: f64, dry_run| ShedConfig {
        signals: vec![Signal { name: "load".to_owned(), start: 0.5, full: 1.0 }],
        rise: 1.0,
        fall: 1.0,
        min_admit,
        critical_at: 1.0,
        critical_after_ns: Ns(S),
        cool_off_ns: Ns(0),
        interval_ns: Ns(250 * MS),
        enabled: true,
        dry_run,
    };
    let config = (prop::sample::select(vec![0.0, 0.3, 0.7]), prop::bool::weighted(0.1))
        .prop_map(move |(min_admit, dry_run)| config(min_admit, dry_run));
    prop::option::weighted(0.8, config)
}

fn breaker() -> impl Strategy<Value = BreakerConfig> {
    (1..3_u32, 1..4_u32, prop::option::of(1..3_u32)).prop_map(|(run, probes, at_once)| BreakerConfig {
        consecutive_failures: Some(run),
        cooldown_ns: Ns(2 * S),
        probes,
        probes_at_once: at_once.map(|n| n.min(probes)),
        probe_timeout_ns: Ns(3 * S),
        ..BreakerConfig::default()
    })
}

fn config() -> impl Strategy<Value = Config> {
    let outcomes = [OutcomeName::Success, OutcomeName::Failure, OutcomeName::Dropped, OutcomeName::Cancelled];
    let refund_on = prop::sample::subsequence(outcomes.to_vec(), 0..3);
    let parts =
        (any::<bool>(), shedder(), prop::option::of(1..4_usize), prop::option::weighted(0.8, 1..5_u32), limits());
    let parted = any::<bool>();
    (parts, parted, (breaker(), breaker()), refund_on, prop::bool::weighted(0.15)).prop_map(
        |((access, shedder, queue, concurrency, limits), parted, (one, two), refund_on, dry_run)| {
            let shares = PARTITIONS.iter().zip([0.5, 0.25]).map(|(name, share)| ((*name).to_owned(), share));
            let list = || AccessConfig {
                allow: vec!["192.0.2.1".to_owned(), "key:monitoring".to_owned()],
                deny: vec!["192.0.2.66".to_owned(), "key:mallory".to_owned()],
            };
            let breakers = CIRCUITS.iter().zip([one, two]);
            Config {
                access: access.then(list),
                shedder,
                queue,
                concurrency,
                partitions: shares.filter(|_| parted && concurrency.is_some()).collect(),
                limits,
                dependencies: breakers
                    .map(|(name, breaker)| Dependency { name: (*name).to_owned(), breaker })
                    .collect(),
                refund_on,
                enabled: true,
                dry_run,
            }
        },
    )
}

#[derive(Clone, Debug)]
enum Plan {
    Admit {
        client: usize,
        address: Option<bool>,
        priority: usize,
        cost: u32,
        deadline: Option<u64>,
        needs: usize,
        of: usize,
    },
    Finish(usize, usize),
    Enter(usize, usize),
    Report(usize, bool),
    Push,
    Pop,
    Tell(f64),
    SetLimit(u32),
}

fn plan() -> impl Strategy<Value = Plan> {
    let client = prop_oneof![8 => 0..2_usize, 1 => 2..4_usize];
    let address = prop_oneof![12 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let deadline = prop_oneof![12 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(S))];
    let admit = (client, address, 0..4_usize, 0..4_u32, deadline, 0..4_usize, 0..4_usize).prop_map(
        |(client, address, priority, cost, deadline, needs, of)| Plan::Admit {
            client,
            address,
            priority,
            cost,
            deadline,
            needs,
            of,
        },
    );
    prop_oneof![
        12 => admit,
        6 => (any::<usize>(), 0..4_usize).prop_map(|(which, outcome)| Plan::Finish(which, outcome)),
        4 => (any::<usize>(), 0..2_usize).prop_map(|(which, circuit)| Plan::Enter(which, circuit)),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(which, failed)| Plan::Report(which, failed)),
        1 => Just(Plan::Push),
        2 => Just(Plan::Pop),
        1 => prop::sample::select(vec![0.0, 0.7, 2.0]).prop_map(Plan::Tell),
        1 => (1..6_u32).prop_map(Plan::SetLimit),
    ]
}

/// Both sides.
struct Both {
    model: ModelGate,
    core: CoreGate,
    config: Config,
    story: Vec<String>,
}

impl Both {
    fn step(&mut self, now: u64, op: &Op) -> Result<Answer, TestCaseError> {
        self.story.push(format!("{now}: {}", serde_json::to_string(op).expect("plain data")));
        let (expected, refusing) = self.model.refusing(now, op);
        let told = self.core.apply(now, op);
        let fail = |why: &str| {
            let config = serde_json::to_string(&self.config).expect("plain data");
            let text = format!("{why}\ntold {told:?}\nexpected {expected:?}, refusing {refusing:?}\n{config}\n");
            Err(TestCaseError::fail(text + &self.story.join("\n")))
        };
        let (
            Answer::Admission { allowed, denied_by, kind, status, retry_after_ns, limit, remaining, pressure },
            Answer::Admission { allowed: a, denied_by: d, limit: l, remaining: r, pressure: p, .. },
        ) = (&told, &expected)
        else {
            return if told == expected { Ok(expected) } else { fail("another answer") };
        };
        if (allowed, limit, remaining, pressure) != (a, l, r, p) {
            return fail("another decision");
        }
        let Some(name) = denied_by else {
            return if d.is_none() { Ok(expected) } else { fail("nobody named") };
        };
        // Of a queue and a concurrency limit the wait goes by what has left them: at least the second that the model
        // says. So another may be named than the model's, with a wait that is no shorter than that of any other.
        let is_loose = matches!(kind, Some("queue" | "concurrency"));
        let Some((_, wait)) = refusing.iter().find(|(who, _)| who == name) else { return fail("one that allows") };
        let longest = refusing.iter().map(|(_, wait)| *wait).max().unwrap_or(0);
        let is_dry = status.is_none();
        let told_wait = if is_dry { (*wait).max(if is_loose { longest } else { 0 }) } else { retry_after_ns.0 };
        let fits = if is_loose { told_wait >= *wait && told_wait <= 72 * S } else { told_wait == *wait };
        if !fits || told_wait < longest.min(72 * S) && told_wait < longest {
            return fail("another wait");
        }
        let is_the_models = d.as_ref() == Some(name);
        let may_differ = refusing.iter().any(|(who, _)| who == "jobs" || who == "database");
        if is_the_models || may_differ { Ok(expected) } else { fail("another part") }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_as_the_model(
        config in config(),
        steps in prop::collection::vec((0..700_u64, plan()), 1..120),
    ) {
        let mut both = Both {
            model: ModelGate::make(&config, START),
            core: CoreGate::make(&config, START),
            config: config.clone(),
            story: Vec::new(),
        };
        let keys = |client: usize| -> Keys {
            let keyed = NAMES.iter().filter(|name| is_keyed(&config, name));
            keyed.map(|name| ((*name).to_owned(), if *name == "route" { "/orders" } else { CLIENTS[client] }.into()))
                .collect::<BTreeMap<_, _>>()
        };
        let (mut now, mut held, mut permits) = (START, Vec::new(), Vec::<(String, String)>::new());
        for (number, (pause, plan)) in steps.into_iter().enumerate() {
            now += pause * MS;
            let name = format!("a{number}");
            match plan {
                Plan::Admit { client, address, priority, cost, deadline, needs, of } => {
                    let looked = Op::Look { keys: keys(client) };
                    let before = both.step(now, &looked)?;
                    let op = Op::Admit {
                        name: name.clone(),
                        keys: keys(client),
                        address: address.map(|ok| if ok { "192.0.2.1" } else { "192.0.2.66" }.to_owned()),
                        priority: [PriorityName::Critical, PriorityName::High, PriorityName::Normal,
                                   PriorityName::Sheddable][priority],
                        cost,
                        deadline_ns: deadline.map(Ns),
                        dependencies: CIRCUITS[..needs.min(2)].iter().map(|name| (*name).to_owned()).collect(),
                        partition: config.partitions.get(of).map(|(name, _)| name.clone()),
                    };
                    let told = both.step(now, &op)?;
                    let after = both.step(now, &looked)?;
                    if let Answer::Admission { allowed, .. } = told {
                        prop_assert!(allowed || before == after, "a refused call left {before:?} as {after:?}");
                        held.extend(allowed.then_some(name));
                    }
                }
                Plan::Finish(which, outcome) if !held.is_empty() => {
                    let admission = held[which % held.len()].clone();
                    let outcome = [OutcomeName::Success, OutcomeName::Failure, OutcomeName::Dropped,
                                   OutcomeName::Cancelled][outcome];
                    both.step(now, &Op::Finish { admission, outcome })?;
                }
                Plan::Enter(which, circuit) if !held.is_empty() => {
                    let (admission, dependency) = (held[which % held.len()].clone(), CIRCUITS[circuit].to_owned());
                    let op = Op::Enter { admission, dependency: dependency.clone(), name: name.clone() };
                    if let Answer::Permit { permit: true } = both.step(now, &op)? {
                        permits.push((name, dependency));
                    }
                }
                Plan::Report(which, failed) if !permits.is_empty() => {
                    let (permit, dependency) = permits.swap_remove(which % permits.len());
                    both.step(now, &Op::Report { permit, dependency, failed })?;
                }
                Plan::Push if config.queue.is_some() => _ = both.step(now, &Op::Push {})?,
                Plan::Pop if config.queue.is_some() => _ = both.step(now, &Op::Pop {})?,
                Plan::Tell(value) if config.shedder.is_some() => {
                    _ = both.step(now, &Op::Tell { signal: "load".to_owned(), value })?;
                }
                // Up to what it was made with.
                Plan::SetLimit(limit) => {
                    if let Some(most) = config.concurrency {
                        _ = both.step(now, &Op::SetLimit { limit: limit.min(most) })?;
                    }
                }
                _ => {}
            }
        }
        both.step(now, &Op::Look { keys: keys(0) })?;
        both.step(now, &Op::Stats {})?;
    }
}
