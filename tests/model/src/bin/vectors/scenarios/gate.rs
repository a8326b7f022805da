//! The gate.

use super::rate_limiter::config as limiter;
use crate::script::{self, MIN, MS, S, Script};
use std::collections::BTreeMap;
use tidegate_model::format::{Case, File, Ns};
use tidegate_model::script::breaker;
use tidegate_model::script::gate::{AccessConfig, Config, Dependency, ModelGate, Op, OutcomeName};
use tidegate_model::script::limiter::AlgorithmName::{FixedWindow, TokenBucket};
use tidegate_model::script::limiter::QuotaConfig;
use tidegate_model::script::set::{self, Keys, LimitConfig, MemberConfig};
use tidegate_model::script::shed::{self, PriorityName, Signal};

type Cases = Vec<Case<Config, Op>>;

pub(crate) fn file() -> File<Config, Op> {
    let groups = [refusals(), partitions(), ends(), circuits(), switches()];
    script::file("gate", groups.into_iter().flatten().collect())
}

fn nothing() -> Config {
    Config {
        access: None,
        shedder: None,
        queue: None,
        concurrency: None,
        partitions: Vec::new(),
        limits: None,
        dependencies: Vec::new(),
        refund_on: Vec::new(),
        enabled: true,
        dry_run: false,
    }
}

fn limits() -> set::Config {
    let client = LimitConfig::Limiter(limiter(TokenBucket, 3, MIN, 3));
    let route = LimitConfig::Limiter(limiter(FixedWindow, 5, MIN, 5));
    let everyone = LimitConfig::Bucket(QuotaConfig { count: 8, period_ns: Ns(MIN), burst: 8 });
    let members = [("client", client), ("route", route), ("everyone", everyone)];
    let members = members.map(|(name, limit)| MemberConfig { name: name.to_owned(), limit });
    set::Config { members: members.into() }
}

/// Sheds all but critical calls from the first step at full pressure on, and none once there is no pressure.
fn shedder() -> shed::Config {
    shed::Config {
        signals: vec![Signal { name: "load".to_owned(), start: 0.5, full: 1.0 }],
        rise: 1.0,
        fall: 1.0,
        min_admit: 0.0,
        critical_at: 1.0,
        critical_after_ns: Ns(60 * S),
        cool_off_ns: Ns(0),
        interval_ns: Ns(250 * MS),
        enabled: true,
        dry_run: false,
    }
}

fn dependency(name: &str) -> Dependency {
    let breaker =
        breaker::Config { consecutive_failures: Some(2), cooldown_ns: Ns(10 * S), ..breaker::Config::default() };
    Dependency { name: name.to_owned(), breaker }
}

fn everything() -> Config {
    Config {
        access: Some(AccessConfig {
            allow: vec!["192.0.2.1".to_owned(), "key:monitoring".to_owned()],
            deny: vec!["192.0.2.66".to_owned(), "key:mallory".to_owned()],
        }),
        shedder: Some(shedder()),
        queue: Some(2),
        concurrency: Some(2),
        limits: Some(limits()),
        dependencies: vec![dependency("payment"), dependency("mail")],
        ..nothing()
    }
}

fn gate(name: &str, why: &str, config: Config) -> Script<ModelGate> {
    Script::new(name, why, config)
}

fn keys(client: &str) -> Keys {
    BTreeMap::from([("client".to_owned(), client.into()), ("route".to_owned(), "/orders".into())])
}

/// A call of a client, with what is said of it.
struct Ask {
    name: &'static str,
    keys: Keys,
    address: Option<&'static str>,
    priority: PriorityName,
    cost: u32,
    deadline: Option<u64>,
    needs: &'static [&'static str],
    partition: Option<&'static str>,
}

fn ask(name: &'static str, keys: Keys) -> Ask {
    Ask {
        name,
        keys,
        address: None,
        priority: PriorityName::Normal,
        cost: 1,
        deadline: None,
        needs: &[],
        partition: None,
    }
}

fn by(name: &'static str, client: &str) -> Ask {
    ask(name, keys(client))
}

impl From<Ask> for Op {
    fn from(ask: Ask) -> Self {
        Self::Admit {
            name: ask.name.to_owned(),
            keys: ask.keys,
            address: ask.address.map(str::to_owned),
            priority: ask.priority,
            cost: ask.cost,
            deadline_ns: ask.deadline.map(Ns),
            dependencies: ask.needs.iter().map(|name| (*name).to_owned()).collect(),
            partition: ask.partition.map(str::to_owned),
        }
    }
}

fn finish(admission: &str, outcome: OutcomeName) -> Op {
    Op::Finish { admission: admission.to_owned(), outcome }
}

fn look(client: &str) -> Op {
    Op::Look { keys: keys(client) }
}

fn enter(admission: &str, dependency: &str, name: &str) -> Op {
    Op::Enter { admission: admission.to_owned(), dependency: dependency.to_owned(), name: name.to_owned() }
}

fn report(permit: &str, dependency: &str, failed: bool) -> Op {
    Op::Report { permit: permit.to_owned(), dependency: dependency.to_owned(), failed }
}

fn tell(value: f64) -> Op {
    Op::Tell { signal: "load".to_owned(), value }
}

const STATS: Op = Op::Stats {};
use OutcomeName::{Cancelled, Dropped, Failure, Success};

fn refusals() -> Cases {
    let shut = |script: Script<ModelGate>| {
        let open = Op::ForceOpen { dependency: "mail".to_owned() };
        script.then(Op::Push {}).then(Op::Push {}).then(open)
    };
    vec![
        gate("all_pass", "a call is charged once in each part", everything())
            .then(Ask { needs: &["payment", "mail"], cost: 2, ..by("a", "ann") }.into())
            .then(look("ann"))
            .then(finish("a", Success))
            .then(look("ann"))
            .then(STATS)
            .end(),
        gate("nothing_taken", "a call that one part refuses leaves the others as they were", everything())
            .times(3, &Ask { cost: 1, ..by("a", "ann") }.into())
            .then(finish("a", Success))
            .then(look("ann"))
            .then(by("b", "ben").into())
            .then(finish("b", Success))
            .then(Ask { cost: 2, ..by("c", "ann") }.into())
            .then(Ask { cost: 4, ..by("c", "cay") }.into())
            .then(look("ann"))
            .then(look("cay"))
            .then(STATS)
            .end(),
        gate(
            "access",
            "who is on a list is let in uncounted, or refused for good; a key before an address",
            everything(),
        )
        .then(Ask { address: Some("192.0.2.66"), ..by("a", "ann") }.into())
        .then(Ask { address: Some("192.0.2.1"), cost: 99, ..by("b", "ann") }.into())
        .then(Ask { address: Some("192.0.2.1"), ..by("c", "mallory") }.into())
        .then(Ask { address: Some("192.0.2.66"), ..by("d", "monitoring") }.into())
        .then(Ask { address: Some("192.0.2.7"), ..by("e", "ann") }.into())
        .then(look("ann"))
        .then(finish("b", Success))
        .then(finish("b", Success))
        .then(STATS)
        .end(),
        gate("deadline", "a call whose time is over is refused before anything else is asked", everything())
            .then(Ask { deadline: Some(0), ..by("a", "ann") }.into())
            .then(Ask { deadline: Some(MS), ..by("b", "ann") }.into())
            .then(look("ann"))
            .end(),
        shut(gate("never_wins", "the longest wait is told, and never is longer than any", everything()))
            .then(Ask { needs: &["payment"], ..by("a", "ann") }.into())
            .then(Ask { needs: &["payment", "mail"], ..by("b", "ann") }.into())
            .then(Ask { cost: 4, ..by("c", "ann") }.into())
            .then(Op::Pop {})
            .then(Ask { needs: &["payment"], ..by("d", "ann") }.into())
            .then(look("ann"))
            .then(STATS)
            .end(),
        gate("full", "no permit is free", everything())
            .then(by("a", "ann").into())
            .then(by("b", "ben").into())
            .then(by("c", "cay").into())
            .then(look("cay"))
            .then(finish("a", Failure))
            .then(by("c", "cay").into())
            .then(Op::SetLimit { limit: 1 })
            .then(finish("b", Success))
            .then(by("d", "ann").into())
            .then(finish("c", Success))
            .then(by("d", "ann").into())
            .then(look("ann"))
            .end(),
        gate("shed", "what matters less is refused while the pressure is full", everything())
            .then(tell(2.0))
            .then(by("a", "ann").into())
            .then(finish("a", Success))
            .then(by("b", "ann").into())
            .then(Ask { priority: PriorityName::Critical, ..by("c", "ann") }.into())
            .then(look("ann"))
            .after(10 * S)
            .then(by("d", "ben").into())
            .end(),
        gate("twice_the_same", "one limit as two of the set finds that out when it is charged", {
            let mut limits = limits();
            limits.members[1].limit = LimitConfig::SameAs("client".to_owned());
            Config { limits: Some(limits), concurrency: Some(1), ..nothing() }
        })
        .then(Ask { cost: 2, ..ask("a", same("ann")) }.into())
        .then(Op::Look { keys: same("ann") })
        .then(Ask { cost: 1, ..ask("a", same("ann")) }.into())
        .then(Op::Look { keys: same("ann") })
        .end(),
    ]
}

/// Of four permits three are those of `live`, one is `batch`'s.
fn partitions() -> Cases {
    let parted = || {
        let partitions = [("live", 0.75), ("batch", 0.25)].map(|(name, share)| (name.to_owned(), share)).into();
        Config { concurrency: Some(4), partitions, ..everything() }
    };
    let live = |name, client| Ask { partition: Some("live"), ..by(name, client) };
    let batch = |name, client| Ask { partition: Some("batch"), ..by(name, client) };
    vec![
        gate("partition", "what was lent is called back by a call that is refused for it, and by no other", parted())
            .then(batch("a", "ann").into())
            .then(batch("b", "ann").into())
            .then(batch("c", "ann").into())
            .then(by("d", "ben").into())
            .then(batch("e", "cay").into())
            .then(live("e", "cay").into())
            .then(finish("a", Success))
            .then(batch("f", "cay").into())
            .then(by("f", "cay").into())
            .then(live("g", "cay").into())
            .then(look("cay"))
            .then(STATS)
            .end(),
        gate("partition_not_asked", "what another part refuses calls nothing back", parted())
            .then(batch("a", "ann").into())
            .then(batch("b", "ann").into())
            .then(by("c", "ben").into())
            .then(by("d", "ben").into())
            .then(Ask { cost: 4, ..live("e", "cay") }.into())
            .then(finish("a", Success))
            .then(batch("f", "cay").into())
            .then(look("cay"))
            .then(STATS)
            .end(),
        gate(
            "partition_dry_run",
            "a dry run is counted, and takes what there is",
            Config { dry_run: true, ..parted() },
        )
        .then(batch("a", "ann").into())
        .then(batch("b", "ann").into())
        .then(batch("c", "ben").into())
        .then(batch("d", "ben").into())
        .then(live("e", "cay").into())
        .then(finish("a", Success))
        .then(batch("f", "cay").into())
        .then(finish("e", Success))
        .then(live("g", "cay").into())
        .then(look("cay"))
        .then(STATS)
        .end(),
    ]
}

fn same(client: &str) -> Keys {
    BTreeMap::from([("client".to_owned(), client.into()), ("route".to_owned(), client.into())])
}

fn ends() -> Cases {
    let refunding = |on: &[OutcomeName]| Config { refund_on: on.to_vec(), ..everything() };
    vec![
        gate("finished_twice", "what a call holds comes back once", refunding(&[Failure]))
            .then(by("a", "ann").into())
            .then(finish("a", Failure))
            .then(look("ann"))
            .then(finish("a", Failure))
            .then(finish("a", Success))
            .then(look("ann"))
            .end(),
        gate("refunds", "the cost comes back after the outcomes that were named, and after no other", {
            refunding(&[Dropped, Cancelled])
        })
        .then(Ask { cost: 2, ..by("a", "ann") }.into())
        .then(finish("a", Success))
        .then(look("ann"))
        .then(Ask { cost: 2, ..by("b", "ben") }.into())
        .then(finish("b", Cancelled))
        .then(look("ben"))
        .then(by("c", "ben").into())
        .then(finish("c", Dropped))
        .then(look("ben"))
        .then(by("d", "ben").into())
        .then(finish("d", Failure))
        .then(look("ben"))
        .end(),
        gate("no_refund", "a call that is given up is paid for, unless it is said otherwise", everything())
            .then(by("a", "ann").into())
            .then(finish("a", Cancelled))
            .then(look("ann"))
            .end(),
    ]
}

fn circuits() -> Cases {
    let failing = |script: Script<ModelGate>| {
        script
            .then(Ask { needs: &["payment"], ..by("a", "ann") }.into())
            .then(enter("a", "payment", "p"))
            .then(report("p", "payment", true))
            .then(enter("a", "payment", "q"))
            .then(report("q", "payment", true))
            .then(finish("a", Failure))
    };
    vec![
        failing(gate(
            "open",
            "a call that needs what is open is refused for what is left of the cooldown",
            everything(),
        ))
        .after(4 * S)
        .then(Ask { needs: &["payment"], ..by("b", "ben") }.into())
        .then(Ask { needs: &["mail"], ..by("c", "ben") }.into())
        .then(look("ben"))
        .end(),
        failing(gate("a_look_leases_nothing", "the call that would close a circuit is let in to it", everything()))
            .after(10 * S)
            .then(Ask { needs: &["payment"], ..by("b", "ben") }.into())
            .then(look("ben"))
            .then(finish("b", Cancelled))
            .then(Ask { needs: &["payment"], ..by("c", "ben") }.into())
            .then(enter("c", "payment", "p"))
            .then(look("ben"))
            .then(Ask { needs: &["payment"], ..by("d", "cay") }.into())
            .then(report("p", "payment", false))
            .then(Ask { needs: &["payment"], ..by("d", "cay") }.into())
            .then(look("cay"))
            .end(),
        failing(gate("a_lost_probe", "once a probe's time is over its place is free to a look", everything()))
            .after(10 * S)
            .then(Ask { needs: &["payment"], ..by("b", "ben") }.into())
            .then(enter("b", "payment", "p"))
            .then(finish("b", Failure))
            .after(30 * S)
            .then(Ask { needs: &["payment"], ..by("c", "cay") }.into())
            .after(31 * S)
            .then(Ask { needs: &["payment"], ..by("d", "cay") }.into())
            .then(enter("d", "payment", "p"))
            .then(report("p", "payment", false))
            .then(look("cay"))
            .end(),
    ]
}

fn switches() -> Cases {
    vec![
        gate("off", "switched off, it touches nothing", Config { enabled: false, ..everything() })
            .times(3, &Ask { cost: 9, address: Some("192.0.2.66"), ..by("a", "ann") }.into())
            .then(look("ann"))
            .then(finish("a", Success))
            .then(STATS)
            .end(),
        gate("dry_run", "all count, none refuses", Config { dry_run: true, ..everything() })
            .times(2, &by("a", "ann").into())
            .then(look("ann"))
            .then(by("b", "ann").into())
            .then(by("b", "ann").into())
            .then(Ask { address: Some("192.0.2.66"), deadline: Some(0), ..by("c", "ben") }.into())
            .then(look("ann"))
            .then(look("ben"))
            .then(finish("a", Success))
            .then(finish("b", Success))
            .then(look("ben"))
            .then(STATS)
            .end(),
        gate("empty", "without parts, all pass", nothing())
            .then(ask("a", BTreeMap::new()).into())
            .then(Op::Look { keys: BTreeMap::new() })
            .then(finish("a", Success))
            .then(finish("a", Success))
            .end(),
    ]
}
