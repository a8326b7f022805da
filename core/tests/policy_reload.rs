//! Reload of policies: what is changed in place keeps its state, what needs a new object is refused with all else.
#![cfg(feature = "policy")]

use proptest::prelude::*;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tidegate::breaker::State;
use tidegate::gate::Request;
use tidegate::policy::{Change, Policy, PolicyConfig};
use tidegate::{Clock, ManualClock};

const FIRST: &str = r#"
version = 1
[limits]
everyone = { rate = "10/s", burst = 10 }
client = { rate = "6/min", key = "user", tiers = { pro = "60/min" }, fastest = "600/min" }
[concurrency]
database = { limit = 4, max_limit = 8 }
service = { adaptive = "gradient" }
[queues]
orders = { capacity = 100 }
[breakers]
payment = { cooldown = "30s", probes = 3 }
[gates.orders]
use = { limits = ["client", "everyone"], concurrency = "database", dependencies = ["payment"] }
"#;

fn config(text: &str) -> PolicyConfig {
    PolicyConfig::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn policy(clock: &ManualClock) -> Policy {
    Policy::new(config(FIRST), clock.into()).expect("made")
}

fn told(changes: &[Change]) -> Vec<String> {
    changes.iter().map(Change::to_string).collect()
}

#[test]
fn what_changes_in_place_keeps_its_state() {
    let clock = ManualClock::new(0);
    let policy = policy(&clock);
    let (everyone, client) = (policy.bucket("everyone").unwrap(), policy.limiter("client").unwrap());
    let (database, payment) = (policy.concurrency("database").unwrap(), policy.breaker("payment").unwrap());
    let gate = policy.gate("orders").unwrap();
    assert!(everyone.try_acquire(8) && client.try_acquire(b"ann", 3));
    payment.force_open();
    let held = database.try_enter().unwrap();
    let text = FIRST
        .replace("rate = \"10/s\", burst = 10", "rate = \"20/s\", burst = 40")
        .replace("rate = \"6/min\"", "rate = \"12/min\"")
        .replace("pro = \"60/min\"", "pro = \"120/min\"")
        .replace("limit = 4, max_limit = 8", "limit = 6, max_limit = 8")
        .replace("cooldown = \"30s\"", "cooldown = \"10s\", consecutive_failures = 5");
    let done = policy.reload_with(config(&text)).unwrap();
    assert_eq!(
        told(&done.changes),
        [
            "limits.client.rate: \"6/min\" becomes \"12/min\"",
            "limits.client.tiers: { pro = \"60/min\" } becomes { pro = \"120/min\" }",
            "limits.everyone.burst: 10 becomes 40",
            "limits.everyone.rate: \"10/s\" becomes \"20/s\"",
            "concurrency.database.limit: 4 becomes 6",
            "breakers.payment.consecutive_failures: becomes 5",
            "breakers.payment.cooldown: \"30s\" becomes \"10s\"",
        ]
    );
    assert_eq!((done.generation, policy.generation()), (1, 1));
    assert_eq!((everyone.quota().burst(), everyone.peek().remaining), (40, 2), "the level stays");
    assert_eq!(client.peek(b"ann", None).remaining, 6, "of half of it half is left");
    assert_eq!((database.limit(), database.in_use(), payment.state()), (6, 1, State::ForcedOpen));
    assert_eq!((payment.config().cooldown, payment.config().consecutive_failures), (Duration::from_secs(10), Some(5)));
    assert!(Arc::ptr_eq(&gate, &policy.gate("orders").unwrap()));
    assert_eq!(policy.tier("client", "pro").unwrap().quota().count(), 120);
    drop(held);
    assert!(gate.admit(&Request::new(&[b"ann"])).unwrap().is_allowed());
    // Nothing to do is done as well; and back.
    assert!(policy.reload_with(config(&text)).unwrap().changes.is_empty());
    assert_eq!(policy.reload_with(config(FIRST)).unwrap().changes.len(), 7);
    assert_eq!((policy.generation(), database.limit(), payment.config().cooldown.as_secs()), (3, 4, 30));
}

#[test]
fn what_needs_a_new_object_is_refused_with_all_else() {
    let clock = ManualClock::new(0);
    let policy = policy(&clock);
    let everyone = policy.bucket("everyone").unwrap();
    for (from, to, path) in [
        ("capacity = 100", "capacity = 200", "queues.orders.capacity"),
        ("max_limit = 8", "max_limit = 16", "concurrency.database.max_limit"),
        ("limit = 4, max_limit = 8", "adaptive = \"gradient\"", "concurrency.database.adaptive"),
        ("adaptive = \"gradient\"", "adaptive = \"gradient\", min_limit = 5", "concurrency.service.min_limit"),
        ("key = \"user\"", "key = \"user\", max_keys = 5", "limits.client.max_keys"),
        ("key = \"user\"", "key = \"user\", algorithm = \"sliding_log\"", "limits.client.algorithm"),
        ("burst = 10 }", "burst = 10, key = \"user\" }", "limits.everyone.key"),
        ("probes = 3", "window_duration = \"1m\"", "breakers.payment.window_duration"),
        ("[\"client\", \"everyone\"]", "[\"everyone\"]", "gates.orders.use"),
        ("version = 1", "version = 1\nscope = \"process:other\"", "scope"),
    ] {
        let text = FIRST.replace(from, to).replace("\"10/s\"", "\"99/s\"");
        let error = policy.reload_with(config(&text)).expect_err(path);
        let problems = error.problems();
        let found = problems.iter().find(|problem| problem.path == path).unwrap_or_else(|| panic!("{path}: {error}"));
        assert!(found.message.contains("needs a new object") && (found.line > 0 || path == "scope"), "{error}");
        assert!(problems.iter().all(|problem| problem.path != "limits.everyone.rate" || path.contains("everyone")));
        assert_eq!((everyone.quota().count(), policy.generation()), (10, 0), "{path}");
    }
}

#[test]
fn what_fails_half_way_is_undone() {
    let clock = ManualClock::new(0);
    let policy = policy(&clock);
    let (everyone, database) = (policy.bucket("everyone").unwrap(), policy.concurrency("database").unwrap());
    // It has no room for so many; its turn comes last.
    let text = FIRST
        .replace("\"10/s\"", "\"99/s\"")
        .replace("limit = 4", "limit = 7")
        .replace("probes = 3", "window_calls = 60000");
    let error = policy.reload_with(config(&text)).unwrap_err();
    let [problem] = error.problems() else { panic!("{error}") };
    assert_eq!((problem.path.as_str(), problem.line), ("breakers.payment", 12), "{error}");
    assert_eq!((everyone.quota().count(), everyone.quota().burst(), database.limit()), (10, 10, 4));
    // What a limit per key was made for, `fastest`, is no hindrance.
    let error = policy.reload_with(config(&FIRST.replace("\"6/min\"", "\"500/min\"")));
    assert!(error.is_ok(), "within the fastest");
    assert_eq!(policy.limiter("client").unwrap().quota().count(), 500);
}

#[test]
fn a_limit_goes_down_and_up_again() {
    let clock = ManualClock::new(0);
    let text = |limit| format!("version = 1\nconcurrency.c.limit = {limit}\n");
    let policy = Policy::new(config(&text(10)), (&clock).into()).expect("made");
    let limiter = policy.concurrency("c").unwrap();
    for limit in [3, 10, 7] {
        policy.reload_with(config(&text(limit))).unwrap();
        assert_eq!(limiter.limit(), limit);
    }
    let error = policy.reload_with(config(&text(11))).unwrap_err();
    assert_eq!((error.problems()[0].path.as_str(), limiter.limit()), ("concurrency.c.limit", 7));
}

#[test]
fn what_is_added_is_made_and_what_is_gone_is_kept_by_who_has_it() {
    let clock = ManualClock::new(0);
    let policy = policy(&clock);
    let everyone = policy.bucket("everyone").unwrap();
    let more = "\n[breakers.mail]\n[limits.more]\nrate = \"1/s\"\n[queues.mails]\ncapacity = 3\n\
                [gates.mails]\nuse = { limits = [\"more\"], queue = \"mails\", dependencies = [\"mail\"] }\n";
    let text = FIRST.replace("[gates.orders]", "[gates.first]").replace("\n[gates", &format!("{more}\n[gates"));
    let done = policy.reload_with(config(&text)).unwrap();
    assert!(told(&done.changes).contains(&"gates.mails: is added".to_owned()), "{:?}", told(&done.changes));
    assert!(told(&done.changes).contains(&"gates.orders: is no longer there".to_owned()));
    let mails = policy.queue::<u8>("mails").unwrap();
    let gate = policy.gate("mails").unwrap();
    assert!(gate.admit(&Request::default()).unwrap().is_allowed());
    assert!(policy.gate("orders").is_err() && policy.gate("first").is_ok());
    policy.reload_with(config("version = 1")).unwrap();
    assert!(policy.bucket("everyone").is_err() && policy.queue::<u8>("mails").is_err());
    assert!(everyone.try_acquire(1) && mails.try_push(1).is_ok());
    assert!(!gate.admit(&Request::default()).unwrap().is_allowed(), "what it had, it has");
}

/// Many hold an object, as a gate its limits: a second one of its name would hear of the file, and the first never.
#[test]
fn a_name_that_comes_back_is_the_same_object() {
    for scope in ["process".to_owned(), format!("process:comes-back-{}", std::process::id())] {
        let clock = ManualClock::new(0);
        let base = format!("version = 1\nscope = \"{scope}\"\n");
        let first = FIRST.replace("version = 1\n", &base)
            + "[shedders.s]\nsignals = { queue_fill = { queue = \"orders\", range = [0.5, 1] } }\n\
               [gates.served]\nuse = { limits = [\"everyone\"], queue = \"orders\", shedder = \"s\" }\n";
        let policy = Policy::new(config(&first), (&clock).into()).expect("made");
        let (queue, everyone) = (policy.queue::<u8>("orders").unwrap(), policy.bucket("everyone").unwrap());
        let (shedder, gate) = (policy.shedder("s").unwrap(), policy.gate("served").unwrap());
        let (database, payment) = (policy.concurrency("database").unwrap(), policy.breaker("payment").unwrap());
        let client = policy.limiter("client").unwrap();
        let held = database.try_enter().unwrap();
        payment.force_open();
        policy.reload_with(config(&base)).unwrap();
        assert!(policy.bucket("everyone").is_err() && policy.gate("served").is_err() && policy.shedder("s").is_err());
        assert!(policy.concurrency("database").is_err() && policy.breaker("payment").is_err());
        assert!(policy.queue::<u8>("orders").is_err() && policy.limiter("client").is_err());
        assert_eq!(everyone.quota().count(), 10, "as it was for who holds it");
        // Changed by hand meanwhile: the file that comes back wins, whether it says another thing than before or not.
        everyone.set_quota(tidegate::Quota::new(99, Duration::from_secs(1)).unwrap()).unwrap();
        for rate in [10_u32, 1] {
            let text = first.replace("\"10/s\", burst = 10", &format!("\"{rate}/s\", burst = {rate}"));
            let done = policy.reload_with(config(&text)).unwrap();
            assert!(told(&done.changes).contains(&"limits.everyone: is added".to_owned()), "{:?}", told(&done.changes));
            assert_eq!((everyone.quota().count(), everyone.quota().burst()), (u64::from(rate), rate));
            assert!(Arc::ptr_eq(&everyone, &policy.bucket("everyone").unwrap()));
            assert!(Arc::ptr_eq(&client, &policy.limiter("client").unwrap()));
            assert!(Arc::ptr_eq(&queue, &policy.queue("orders").unwrap()));
            assert!(Arc::ptr_eq(&shedder, &policy.shedder("s").unwrap()));
            assert!(Arc::ptr_eq(&gate, &policy.gate("served").unwrap()));
            assert!(Arc::ptr_eq(&database, &policy.concurrency("database").unwrap()) && database.in_use() == 1);
            assert!(Arc::ptr_eq(&payment, &policy.breaker("payment").unwrap()) && payment.state() == State::ForcedOpen);
            policy.reload_with(config(&base)).unwrap();
        }
        drop(held);
        let served = (0..50).filter(|_| gate.admit(&Request::default()).unwrap().is_allowed()).count();
        assert_eq!(served, 1, "the gate that serves counts by the limit in force");
        let error = policy.reload_with(config(&first.replace("capacity = 100", "capacity = 200"))).unwrap_err();
        assert_eq!(error.problems()[0].path, "queues.orders.capacity", "{error}");
        assert!(error.to_string().contains("needs a new object"), "{error}");
        assert_eq!((policy.config().limits.len(), everyone.quota().count()), (0, 1));
    }
}

#[test]
fn a_file_is_read_again() {
    let path = std::env::temp_dir().join(format!("tidegate-reload-{}.toml", std::process::id()));
    fs::write(&path, FIRST).expect("written");
    let policy = Policy::load(&path).expect("valid");
    fs::write(&path, FIRST.replace("\"10/s\"", "\"11/s\"")).expect("written");
    assert_eq!(told(&policy.reload().unwrap().changes), ["limits.everyone.rate: \"10/s\" becomes \"11/s\""]);
    for (bad, says) in [
        (
            &FIRST.replace("rate = \"10/s\"", "rat = \"10/s\"").into_bytes()[..],
            ":4:14: limits.everyone.rat: there is no",
        ),
        (b"version = 1\n\xff", ":2:1: is not UTF-8"),
        (b"", ":1:1: version: must be given"),
        (
            FIRST.replace("capacity = 100", "capacity = 1").as_bytes(),
            ":10:1: queues.orders.capacity: 100 cannot become 1",
        ),
    ] {
        fs::write(&path, bad).expect("written");
        let told = policy.reload().unwrap_err().to_string();
        assert!(told.contains(&format!("{}{says}", path.display())), "{told}");
    }
    fs::remove_file(&path).expect("removed");
    assert!(policy.reload().unwrap_err().to_string().contains("cannot be read"));
    assert_eq!((policy.bucket("everyone").unwrap().quota().count(), policy.generation()), (11, 1));
    let error = Policy::new(config(FIRST), Clock::monotonic()).unwrap().reload().unwrap_err();
    assert!(error.to_string().contains("made of no file"), "{error}");
}

#[test]
fn reloads_under_load_refuse_nobody_and_admit_no_more_than_any_policy_would() {
    const FAST: u64 = 2_000;
    let text = |rate: u64| {
        format!(
            "version = 1\nlimits.all = {{ rate = \"{rate}/s\", burst = 100 }}\nconcurrency.c = {{ limit = {} }}\n\
             breakers.b = {{ cooldown = \"{rate}ms\" }}\n\
             gates.g.use = {{ limits = [\"all\"], concurrency = \"c\", dependencies = [\"b\"] }}\n",
            if rate == FAST { 64 } else { 48 }
        )
    };
    let policy = Policy::new(config(&text(FAST)), Clock::monotonic()).expect("made");
    let gate = policy.gate("g").unwrap();
    let needs = gate.dependencies(["b"]).unwrap();
    let (stop, admitted) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let call = gate.admit(&Request { dependencies: needs, ..Request::default() }).expect("no mistake");
                    match call.denied_by() {
                        None => _ = admitted.fetch_add(1, Ordering::Relaxed),
                        // The others would be a reload's doing.
                        Some(name) => assert_eq!(name, "all"),
                    }
                }
            });
        }
        for round in 0..2_000 {
            let rate = if round % 2 == 0 { FAST / 2 } else { FAST };
            assert!(policy.reload_with(config(&text(rate))).expect("in place").changes.len() >= 3);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let most = 100.0 + FAST as f64 * start.elapsed().as_secs_f64();
    let admitted = admitted.load(Ordering::Relaxed);
    assert!(admitted > 0 && admitted as f64 <= most, "{admitted} of at most {most}");
    assert_eq!((policy.generation(), policy.concurrency("c").unwrap().in_use()), (2_000, 0));
}

/// One of a few policies, some of which change what cannot be.
fn some_policy() -> impl Strategy<Value = String> {
    (1..4_u32, 1..4_u32, 1..4_u32, any::<bool>(), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(rate, limit, cooldown, more, per_key, large)| {
            let key = if per_key { ", key = \"user\"" } else { "" };
            let capacity = if large { 9 } else { 5 };
            let calls = if large { 50_000 } else { 20 };
            let mut text = format!(
                "version = 1\nlimits.a = {{ rate = \"{rate}/s\", burst = {} }}\n\
                 limits.k = {{ rate = \"{rate}/s\"{key} }}\n\
                 concurrency.c.limit = {limit}\nbreakers.b = {{ cooldown = \"{cooldown}s\", window_calls = {calls} }}\n\
                 queues.q.capacity = {capacity}\n",
                rate * 2
            );
            if more {
                text += "breakers.more = {}\n";
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_of_a_file_or_nothing(first in some_policy(), then in prop::collection::vec(some_policy(), 1..12)) {
        let clock = ManualClock::new(0);
        let policy = Policy::new(config(&first), (&clock).into()).expect("made");
        let (a, c, b) = (policy.bucket("a").unwrap(), policy.concurrency("c").unwrap(), policy.breaker("b").unwrap());
        let mut in_force = config(&first);
        for text in then {
            let next = config(&text);
            let changes = in_force.changes(&next);
            let before = (a.quota(), c.limit(), b.config());
            match policy.reload_with(next.clone()) {
                Ok(done) => {
                    prop_assert!(changes.iter().all(|change| change.in_place || change.path == "concurrency.c.limit"));
                    prop_assert!(done.changes.len() == changes.len());
                    in_force = next;
                }
                Err(error) => {
                    prop_assert!(!error.problems().is_empty());
                    prop_assert_eq!((a.quota(), c.limit(), b.config()), before);
                }
            }
            let said = (&in_force.limits["a"], in_force.concurrency["c"].limit, &in_force.breakers["b"]);
            let tidegate::policy::LimitPolicy::Together { quota, .. } = said.0 else { panic!("of everybody") };
            prop_assert_eq!((a.quota(), c.limit(), &b.config()), (*quota, said.1, said.2));
            prop_assert_eq!(policy.breaker("more").is_ok(), in_force.breakers.contains_key("more"));
        }
    }
}

/// `tests/policies/reloads.json`: what a reload changes, or why it does not, in every language. `TIDEGATE_BLESS=1`
/// writes what is expected: read the difference before you commit it.
#[test]
fn reloads_say_in_every_language_the_same() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/policies/reloads.json");
    let mut table: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).expect("a file")).expect("JSON");
    let expected = table.clone();
    let before = table["before"].as_str().expect("a text").to_owned();
    for case in table["cases"].as_array_mut().expect("cases") {
        let text = case["replace"].as_array().expect("pairs").iter().fold(before.clone(), |text, pair| {
            let [from, to] = [0, 1].map(|at| pair[at].as_str().expect("a text"));
            assert!(text.contains(from), "{case}");
            text.replace(from, to)
        });
        let text = format!("{text}{}", case["add"].as_str().unwrap_or_default());
        let of = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        let policy = Policy::new(config(&before), ManualClock::new(0).into()).expect("made");
        let told = |policy: &Policy| {
            let (everyone, client) = (policy.bucket("everyone").unwrap(), policy.limiter("client").unwrap());
            let (database, payment) = (policy.concurrency("database").unwrap(), policy.breaker("payment").unwrap());
            format!("{:?} {:?} {} {:?}", everyone.quota(), client.quota(), database.limit(), payment.config())
        };
        let first = told(&policy);
        let everyone = policy.bucket("everyone").unwrap();
        let gone = case["first"].as_str();
        gone.iter().for_each(|text| _ = policy.reload_with(config(text)).expect("in place"));
        let reloads = policy.generation();
        let done = PolicyConfig::parse(&text).and_then(|after| policy.reload_with(after));
        let (changes, problems) = match &done {
            Ok(done) => (Some(of(&Change::list_to_json(&done.changes))), None),
            Err(error) => (None, Some(of(&error.to_json()))),
        };
        assert_eq!(policy.generation(), reloads + u64::from(done.is_ok()), "{case}");
        if done.is_err() {
            // What is gone is as it was too.
            gone.iter().for_each(|_| assert!(policy.bucket("everyone").is_err() && everyone.quota().count() == 10));
            gone.iter().for_each(|_| _ = policy.reload_with(config(&before)).expect("in place"));
            assert_eq!(told(&policy), first, "{case}");
        } else if let Ok(now) = policy.bucket("everyone") {
            assert!(Arc::ptr_eq(&now, &everyone), "{case}");
        }
        let case = case.as_object_mut().expect("a case");
        for (name, told) in [("changes", changes), ("problems", problems)] {
            case.remove(name);
            case.extend(told.map(|told| (name.to_owned(), told)));
        }
    }
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        fs::write(path, format!("{table:#}\n")).expect("written");
    }
    assert_eq!(table, expected);
}

#[test]
fn the_last_policy_of_an_arena_is_in_force_for_all() {
    let scope = format!("version = 1\nscope = \"process:in-force-{}\"\n", std::process::id());
    let text = |rate: u32| {
        config(&format!("{scope}limits.all.rate = \"{rate}/s\"\nshedders.s.signals.loop_lag = [\"1ms\", \"9ms\"]\n"))
    };
    let open = |rate: u32| Policy::new(text(rate), Clock::monotonic()).expect("made");
    let (one, other) = (open(10), open(10));
    let in_force = |policy: &Policy| policy.in_force().map(|it| (format!("{:016x}", it.hash), it.generation)).unwrap();
    assert_eq!(in_force(&one), (text(10).hash(), 1), "the same twice is one");
    one.reload_with(text(20)).unwrap();
    assert_eq!(in_force(&other), (text(20).hash(), 2));
    assert_eq!(other.bucket("all").unwrap().quota().count(), 20);
    assert_eq!((one.generation(), other.generation()), (1, 0));
    // Nothing that failed is in force.
    one.reload_with(config(&format!("{scope}limits.all = {{ rate = \"1/s\", key = \"user\" }}\n"))).unwrap_err();
    assert_eq!(in_force(&other), (text(20).hash(), 2));
    // What is made late by an older file leaves the newer settings.
    other.shedder("s").unwrap();
    other.reload_with(text(20)).unwrap();
    assert_eq!(in_force(&one), (text(20).hash(), 2));
    drop(open(30));
    assert_eq!((in_force(&one).1, one.bucket("all").unwrap().quota().count()), (3, 30));
    assert!(Policy::new(config("version = 1"), Clock::monotonic()).unwrap().in_force().is_none());
}

#[test]
fn a_shedder_and_partitions_take_what_a_file_says() {
    let text = |full: u32, live: f64| {
        format!(
            "version = 1\nshedders.s = {{ rise = {live}, signals = {{ gauge = {{ backlog = [10, {full}] }} }} }}\n\
             concurrency.c = {{ limit = 8, partitions = {{ live = {live}, batch = {} }} }}\n",
            1.0 - live
        )
    };
    let clock = ManualClock::new(0);
    let policy = Policy::new(config(&text(100, 0.5)), (&clock).into()).expect("made");
    let (shedder, limiter) = (policy.shedder("s").unwrap(), policy.concurrency("c").unwrap());
    let [live, batch] = ["live", "batch"].map(|name| limiter.partition(name).unwrap());
    let held: Vec<_> = (0..8).filter_map(|_| limiter.try_enter_in(batch)).collect();
    assert_eq!(held.len(), 8, "what nobody asks for is lent");
    assert!(limiter.try_enter_in(live).is_none());
    let done = policy.reload_with(config(&text(1000, 0.75))).unwrap();
    assert_eq!(
        done.changes.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(),
        ["concurrency.c.partitions", "shedders.s.rise", "shedders.s.signals"]
    );
    assert_eq!(limiter.shares(), [("live".to_owned(), 0.75), ("batch".to_owned(), 0.25)]);
    assert_eq!(limiter.in_use(), 8, "calls under way keep their places");
    let [signal] = &shedder.signals()[..] else { panic!("one") };
    assert_eq!((signal.full, shedder.config_in_force().rise, shedder.config().rise), (1000.0, 0.75, 0.5));
    drop(held);
    let guaranteed: Vec<_> = limiter.partition_stats().iter().map(|it| it.guaranteed).collect();
    assert_eq!(guaranteed, [6, 2]);
    // Nothing of it where another thing fails.
    let wrong = text(50, 0.25).replace("limit = 8", "limit = 9");
    policy.reload_with(config(&wrong)).unwrap_err();
    assert_eq!((limiter.shares()[0].1, shedder.config_in_force().rise), (0.75, 0.75));
}

/// A policy in an arena of its own, and what its objects are as.
fn shared(name: &str) -> impl Fn(u32, u32) -> PolicyConfig {
    let scope = format!("version = 1\nscope = \"process:{name}-{}\"\n", std::process::id());
    move |rate, calls| {
        config(&format!(
            "{scope}limits.login.rate = \"{rate}/min\"\nlimits.client = {{ rate = \"{rate}/min\", key = \"user\" }}\n\
             concurrency.c = {{ limit = {rate}, max_limit = 8, partitions = {{ a = 0.{rate}, b = 0.{} }} }}\n\
             breakers.b = {{ cooldown = \"{rate}s\", window_calls = {calls} }}\n",
            10 - rate
        ))
    }
}

fn seen(policy: &Policy) -> [u32; 5] {
    let (bucket, limiter) = (policy.bucket("login").unwrap(), policy.limiter("client").unwrap());
    let (limit, breaker) = (policy.concurrency("c").unwrap(), policy.breaker("b").unwrap());
    let share = (limit.shares()[0].1 * 10.0).round() as u32;
    let counts = [bucket.quota().count(), limiter.quota().count()].map(|count| u32::try_from(count).unwrap());
    [counts[0], counts[1], limit.limit(), share, breaker.config().cooldown.as_secs() as u32]
}

#[test]
fn a_file_that_stayed_is_in_force_again_when_it_is_reloaded() {
    let text = shared("rolled-back");
    let old = Policy::new(text(2, 20), Clock::monotonic()).expect("made");
    let new = Policy::new(text(7, 20), Clock::monotonic()).expect("made");
    assert_eq!((seen(&old), seen(&new)), ([7; 5], [7; 5]), "the last is in force");
    drop(new);
    let done = old.reload_with(text(2, 20)).expect("its own file");
    assert!(done.changes.is_empty(), "the file says what it said");
    assert_eq!(seen(&old), [2; 5]);
    assert_eq!(format!("{:016x}", old.in_force().unwrap().hash), text(2, 20).hash());
}

#[test]
fn a_refused_reload_leaves_what_another_put_in_force() {
    let text = shared("undone");
    let one = Policy::new(text(5, 20), Clock::monotonic()).expect("made");
    let other = Policy::new(text(2, 20), Clock::monotonic()).expect("made");
    // Its breaker has no room for so many, and comes last.
    one.reload_with(text(8, 60_000)).expect_err("no room");
    assert_eq!((seen(&one), seen(&other)), ([2; 5], [2; 5]));
    assert_eq!(format!("{:016x}", one.in_force().unwrap().hash), text(2, 20).hash());
}

#[test]
fn a_refused_policy_changes_nothing_that_others_use() {
    let text = shared("refused");
    let kept = Policy::new(text(2, 20), Clock::monotonic()).expect("made");
    let hash = || format!("{:016x}", kept.in_force().unwrap().hash);
    let with = |config: PolicyConfig, from: &str, to: &str| {
        let text = config.to_toml();
        assert!(text.contains(from), "{text}");
        self::config(&text.replace(from, to))
    };
    // At the start: its breaker, which comes last, is of the other kind.
    let other = with(text(7, 20), "window_calls = 20", "window_duration = \"10s\"");
    Policy::new(other, Clock::monotonic()).expect_err("another kind");
    assert_eq!((seen(&kept), hash()), ([2; 5], text(2, 20).hash()));
    // A reload that adds all of it, of which what was there before has no room.
    let scope = format!("version = 1\nscope = \"process:refused-{}\"\n", std::process::id());
    let own = |calls: u32| format!("breakers.b = {{ cooldown = \"2s\", window_calls = {calls} }}\n");
    let added = |n: u32| {
        let partitions = format!("{{ a = 0.{n}, b = 0.{} }}", 10 - n);
        let limit = format!("{{ limit = {n}, max_limit = 8, partitions = {partitions} }}");
        format!("limits.login.rate = \"{n}/min\"\nconcurrency.c = {limit}\n")
    };
    let one = Policy::new(config(&format!("{scope}{}", own(20))), Clock::monotonic()).expect("made");
    one.reload_with(config(&format!("{scope}{}{}", own(60_000), added(7)))).expect_err("no room");
    assert_eq!(seen(&kept), [2; 5]);
}
