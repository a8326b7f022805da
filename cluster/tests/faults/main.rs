//! Ten hosts and a real store to which things happen: together they keep the law, and they get on afterwards.
#![cfg(unix)]
#![allow(unsafe_code)] // Forks.

#[cfg(target_os = "linux")]
mod hosts;
mod link;
#[cfg(target_os = "linux")]
mod program;
#[path = "../server/mod.rs"]
mod server;
mod stores;

use link::Link;
use server::{Server, Signal};
use std::time::{Duration, Instant};
use tidegate::lease::{ClusterConfig, ClusterStats, OnUnreachable};
use tidegate::{Arena, Clock, ClusterLimit, OnConflict, Quota};
use tidegate_cluster::{Agent, AgentConfig};

const RATE: f64 = 2_000.0;
const BURST: f64 = 1_000.0;
const HOSTS: u32 = 10;
/// What the law's own clock may be off by: a decision lies between two readings.
const TOLERANCE: f64 = 1.0;

/// Attempts a second of each host: twice the limit together.
const UNEVEN: [f64; HOSTS as usize] = [1_600.0, 800.0, 400.0, 400.0, 200.0, 200.0, 200.0, 100.0, 50.0, 50.0];

fn config() -> ClusterConfig {
    ClusterConfig::new("2000/s".parse::<Quota>().and_then(|quota| quota.with_burst(1_000)).expect("a quota"))
}

/// A machine: its arena, here one of the process, and its agent.
struct Host {
    limit: ClusterLimit,
    _agent: Agent,
}

impl Host {
    fn new(url: &str, config: &ClusterConfig) -> Self {
        let arena = Arena::private("orders", 1 << 20, Clock::monotonic()).expect("an arena");
        let limit = ClusterLimit::in_arena(&arena, "door", *config, OnConflict::Error).expect("a limit");
        Self { limit, _agent: Agent::start(&arena, &AgentConfig::new(url)).expect("an agent") }
    }

    fn fault(&self) -> String {
        self.limit.stats().health.fault.unwrap_or_default()
    }
}

struct Run {
    hosts: Vec<Host>,
    owed: Vec<f64>,
    clock: Clock,
    started: u64,
    last: u64,
    /// Seconds since the start of each admission.
    admitted: Vec<f64>,
}

impl Run {
    fn new(server: &Server, config: &ClusterConfig) -> Self {
        tidegate_cluster::init(&server.url(), "orders", Duration::from_secs(1)).expect("a new store");
        Self::of_ways(&vec![server.url(); HOSTS as usize], config)
    }

    /// A host at each of these URLs.
    fn of_ways(urls: &[String], config: &ClusterConfig) -> Self {
        let hosts: Vec<Host> = urls.iter().map(|url| Host::new(url, config)).collect();
        let clock = Clock::boottime();
        let started = clock.now();
        Self { owed: vec![0.0; hosts.len()], hosts, started, last: started, clock, admitted: Vec::new() }
    }

    /// Attempts go on for `secs`.
    fn attempts(&mut self, secs: f64) {
        let end = Instant::now() + Duration::from_secs_f64(secs);
        while Instant::now() < end {
            let now = self.clock.now();
            let passed = (now - self.last) as f64 / 1e9;
            self.last = now;
            for (host, Host { limit, .. }) in self.hosts.iter().enumerate() {
                self.owed[host] += UNEVEN[host] * passed;
                while self.owed[host] >= 1.0 {
                    self.owed[host] -= 1.0;
                    let at = (self.clock.now() - self.started) as f64 / 1e9;
                    if limit.try_acquire(1) {
                        self.admitted.push(at);
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn secs(&self) -> f64 {
        (self.clock.now() - self.started) as f64 / 1e9
    }

    /// Admissions a second since `from`, as a part of the rate.
    fn used_since(&self, from: f64) -> f64 {
        let count = self.admitted.iter().filter(|&&at| at >= from).count();
        count as f64 / (self.secs() - from) / RATE
    }

    /// The leaky meter: every window holds at most burst + rate × window if and only if it never stands above burst.
    fn worst(&self) -> f64 {
        let (mut level, mut last, mut worst) = (0.0_f64, 0.0, 0.0_f64);
        for &at in &self.admitted {
            level = (level - RATE * (at - last)).max(0.0) + 1.0;
            (last, worst) = (at, worst.max(level));
        }
        worst
    }

    fn keeps_the_law(&self, what: &str) {
        let worst = self.worst();
        let all = self.hosts.iter().map(|host| host.limit.stats());
        let add = |sum: (u64, u64), stats: ClusterStats| (sum.0 + stats.health.syncs, sum.1 + stats.health.errors);
        let (syncs, errors) = all.fold((0, 0), add);
        let a_second = syncs as f64 / self.secs() / f64::from(HOSTS);
        let count = self.admitted.len();
        println!("{what}: worst {worst:.1} of {BURST}, {count} admitted");
        println!("{what}: {a_second:.1} questions a second and host, {errors} without an answer");
        assert!(worst <= BURST + TOLERANCE, "{what}: {worst} above the burst of {BURST}");
        assert!(a_second <= 13.0, "{what}: {a_second} questions a second and host");
    }
}

/// Attempts, a fault, attempts; then all must be as before within a second.
fn through(what: &str, config: &ClusterConfig, fault: impl FnOnce(&mut Server, &mut Run)) {
    through_on(what, Server::start(), config, fault);
}

fn through_on(what: &str, server: Option<Server>, config: &ClusterConfig, fault: impl FnOnce(&mut Server, &mut Run)) {
    let Some(mut server) = server else { return };
    let mut run = Run::new(&server, config);
    run.attempts(1.0);
    assert!(run.used_since(0.5) > 0.5, "{what}: {} of the rate before anything happened", run.used_since(0.5));
    fault(&mut server, &mut run);
    run.attempts(1.5);
    let from = run.secs();
    run.attempts(1.5);
    run.keeps_the_law(what);
    assert!(run.used_since(from) > 0.5, "{what}: {} of the rate afterwards", run.used_since(from));
}

#[test]
fn uneven_demand_uses_the_whole_rate() {
    let Some(server) = Server::start() else { return };
    let mut run = Run::new(&server, &config());
    run.attempts(1.0);
    let from = run.secs();
    run.attempts(3.0);
    run.keeps_the_law("uneven");
    println!("uneven: {:.3} of the rate used", run.used_since(from));
    assert!(run.used_since(from) > 0.9, "{}", run.used_since(from));
}

#[test]
fn a_store_that_is_killed_has_forgotten_everything() {
    through("killed", &config(), |server, run| {
        server.kill();
        run.attempts(0.1);
        server.again();
    });
}

#[test]
fn a_store_that_is_killed_and_reads_its_log_is_a_new_one() {
    through_on("killed, with AOF", Server::start_logged("aof"), &config(), |server, run| {
        server.kill();
        run.attempts(0.1);
        server.again();
        let kept = server.ask(&["HGETALL", "tg:{orders}:e"]);
        assert!(kept.contains(&"run".to_owned()), "it has read its log: {kept:?}");
    });
}

/// The three busiest hosts are cut off from the store, with what is on its way, and come back.
fn partition(what: &str, config: &ClusterConfig) {
    let Some(server) = Server::start() else { return };
    tidegate_cluster::init(&server.url(), "orders", Duration::from_secs(1)).expect("a new store");
    let link = Link::to(server.port());
    let mut urls = vec![link.url(); 3];
    urls.resize(HOSTS as usize, server.url());
    let mut run = Run::of_ways(&urls, config);
    run.attempts(1.0);
    link.cut(true);
    run.attempts(2.5);
    let meanwhile = run.used_since(run.secs() - 1.0);
    link.cut(false);
    run.attempts(1.5);
    let from = run.secs();
    run.attempts(1.5);
    run.keeps_the_law(what);
    let after = run.used_since(from);
    println!("{what}: {meanwhile:.2} of the rate meanwhile, {after:.2} afterwards");
    assert!(meanwhile > 0.3 && after > 0.5, "{what}: {meanwhile}, {after}");
}

#[test]
fn hosts_that_are_cut_off_deny() {
    partition("3 of 10 cut off for 2.5 s", &config());
}

#[test]
fn hosts_that_are_cut_off_go_on_with_their_share() {
    let mut config = config();
    config.on_unreachable = OnUnreachable::Local { hosts: HOSTS, fallback_for: Duration::from_secs(8) };
    partition("3 of 10 cut off for 2.5 s, local", &config);
}

#[test]
fn a_store_that_stands_still_and_goes_on() {
    through("stopped for 2 s", &config(), |server, run| {
        server.signal(Signal::Stop);
        run.attempts(2.0);
        assert!(run.used_since(run.secs() - 1.0) == 0.0, "nothing is leased any more");
        server.signal(Signal::Continue);
    });
}

#[test]
fn hosts_go_on_with_their_share_while_the_store_is_away() {
    let mut config = config();
    config.on_unreachable = OnUnreachable::Local { hosts: HOSTS, fallback_for: Duration::from_secs(8) };
    through("away for 3 s, local", &config, |server, run| {
        server.signal(Signal::Stop);
        run.attempts(3.0);
        let share = run.used_since(run.secs() - 1.0);
        // Four hosts ask for more than their tenth, and six for it or less.
        assert!((0.4..1.01).contains(&share), "{share}");
        server.signal(Signal::Continue);
        // Absent hosts' shares are left to them until each is back.
        run.attempts(1.0);
    });
}

#[test]
fn a_store_that_was_emptied_is_a_new_one() {
    through("FLUSHALL", &config(), |server, _| server.say(&["FLUSHALL"]));
}

#[test]
fn a_store_that_forgot_the_script_is_told_again() {
    through("SCRIPT FLUSH", &config(), |server, _| server.say(&["SCRIPT", "FLUSH"]));
}

#[test]
fn a_store_that_may_not_write_grants_nothing() {
    through("READONLY", &config(), |server, run| {
        server.say(&["REPLICAOF", "127.0.0.1", "1"]);
        run.attempts(1.5);
        assert!(run.used_since(run.secs() - 0.5) == 0.0);
        let fault = run.hosts[0].fault();
        assert!(fault.contains("READONLY") || fault.contains("MASTERDOWN"), "{fault}");
        server.say(&["REPLICAOF", "NO", "ONE"]);
    });
}

#[test]
fn a_store_without_memory_grants_next_to_nothing() {
    through("OOM", &config(), |server, run| {
        server.say(&["CONFIG", "SET", "maxmemory", "1"]);
        run.attempts(1.5);
        // A script that has removed a member whose lease ended may write: all of it runs, or nothing.
        let used = run.used_since(run.secs() - 0.5);
        assert!(used < 0.5, "{used}");
        let faults: Vec<String> = run.hosts.iter().map(Host::fault).collect();
        assert!(faults.iter().any(|fault| fault.contains("OOM")), "{faults:?}");
        server.say(&["CONFIG", "SET", "maxmemory", "0"]);
    });
}

#[test]
fn who_leaves_gives_back_what_it_held() {
    let Some(server) = Server::start() else { return };
    tidegate_cluster::init(&server.url(), "orders", Duration::from_secs(1)).expect("a new store");
    let host = Host::new(&server.url(), &config());
    let deadline = Instant::now() + Duration::from_secs(10);
    while !host.limit.try_acquire(1) {
        assert!(Instant::now() < deadline, "{:?}", host.limit.stats());
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(host);
    let held = server.ask(&["HGETALL", "tg:{orders}:l:door"]);
    assert!(held.contains(&"O".to_owned()) && !held.iter().any(|field| field.starts_with("m:")), "{held:?}");
    let outstanding = held.iter().position(|field| field == "O").and_then(|at| held.get(at + 1));
    assert_eq!(outstanding.map(String::as_str), Some("0"), "{held:?}");
}

#[test]
fn no_error_names_the_secret_of_the_url() {
    for url in ["redis://user:s3cret@127.0.0.1:1/", "redis://user:s3cret@[::bad/", "http://user:s3cret@host/"] {
        let arena = Arena::private("orders", 1 << 20, Clock::monotonic()).expect("an arena");
        let limit = ClusterLimit::in_arena(&arena, "door", config(), OnConflict::Error).expect("a limit");
        let store = AgentConfig::new(url);
        let said = match Agent::start(&arena, &store) {
            Ok(agent) => {
                let deadline = Instant::now() + Duration::from_secs(10);
                while limit.stats().health.errors == 0 {
                    assert!(Instant::now() < deadline, "no error");
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(Duration::from_millis(20));
                format!("{:?} {limit:?} {agent:?} {store:?}", limit.stats())
            }
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!said.contains("s3cret"), "{said}");
    }
}
