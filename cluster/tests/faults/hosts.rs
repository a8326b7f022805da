//! Machines of several processes: those that spend, and those that lease for all of them, which are killed.

use crate::server::Server;
use crate::{BURST, Host, RATE, Run, TOLERANCE, config};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::arena::HostConfig;
use tidegate::{Arena, Clock, ClusterLimit, OnConflict};
use tidegate_cluster::{Agent, AgentConfig};

/// A directory of arenas that goes with the test.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new(name: &str) -> Self {
        let path = PathBuf::from(format!("/dev/shm/tidegate-cluster-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn options(&self, arena: &str) -> HostConfig {
        let mut options = HostConfig::new(arena);
        (options.path, options.capacity) = (Some(self.0.clone()), Some(1 << 20));
        options
    }

    pub(crate) fn open(&self, arena: &str) -> (Arc<Arena>, ClusterLimit) {
        let arena = Arena::open(&self.options(arena)).expect("an arena");
        let limit = ClusterLimit::in_arena(&arena, "door", config(), OnConflict::Error).expect("a limit");
        (arena, limit)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// This program again, as one of the two parts below; killed with its owner.
struct Process(Child);

impl Process {
    fn start(part: &str, server: &Server, place: &Place, arena: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", part, "--ignored", "--nocapture"]).env("TIDEGATE_TEST_STORE", server.url());
        command.env("TIDEGATE_TEST_DIR", &place.0).env("TIDEGATE_TEST_ARENA", arena);
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("a process"))
    }

    /// What it has said; it is over.
    fn kill(&mut self) -> String {
        self.0.kill().expect("it lives");
        let mut said = String::new();
        self.0.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        self.0.wait().expect("it has ended");
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn said(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Leases for an arena of the machine until it is killed.
#[test]
#[ignore = "a part of another test"]
fn an_agent_of_its_own() {
    let (Some(store), Some(place), Some(name)) =
        (said("TIDEGATE_TEST_STORE"), said("TIDEGATE_TEST_DIR"), said("TIDEGATE_TEST_ARENA"))
    else {
        return;
    };
    let mut options = HostConfig::new(name);
    options.path = Some(place.into());
    let arena = Arena::inspect(&options).expect("an arena");
    let mut agent = AgentConfig::new(store);
    agent.namespace = Some("orders".to_owned());
    let _agent = Agent::start(&arena, &agent).expect("an agent");
    wait_for_the_end_of_input();
}

/// A machine of one process, which tells when it admits.
#[test]
#[ignore = "a part of another test"]
fn a_host_of_its_own() {
    let Some(url) = said("TIDEGATE_TEST_STORE") else { return };
    let host = Host::new(&url, &config());
    let clock = Clock::boottime();
    std::thread::spawn(|| {
        wait_for_the_end_of_input();
        std::process::exit(0);
    });
    loop {
        for _ in 0..2 {
            let at = clock.now();
            if host.limit.try_acquire(1) {
                let _ = writeln!(std::io::stderr(), "AT {at}");
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// So that nothing is left when the test is killed.
fn wait_for_the_end_of_input() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Attempts on two limits for a while, twice what both may admit; the moments of admissions.
fn attempts(limits: [&ClusterLimit; 2], clock: &Clock, millis: u64, admitted: &mut Vec<u64>) {
    let (begin, mut made) = (clock.now(), 0.0);
    let end = begin + millis * 1_000_000;
    while clock.now() < end {
        let due = (clock.now() - begin) as f64 / 1e9 * RATE;
        while made < due {
            made += 1.0;
            for limit in limits {
                let at = clock.now();
                if limit.try_acquire(1) {
                    admitted.push(at);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn worst(admitted: &[u64]) -> f64 {
    let (mut level, mut last, mut worst) = (0.0_f64, 0, 0.0_f64);
    for &at in admitted {
        level = (level - RATE * (at - last) as f64 / 1e9).max(0.0) + 1.0;
        (last, worst) = (at, worst.max(level));
    }
    worst
}

/// Members that the store knows of the limit.
fn members(server: &Server) -> usize {
    server.ask(&["HKEYS", "tg:{orders}:l:door"]).iter().filter(|field| field.starts_with("m:")).count()
}

#[test]
fn agents_are_killed_and_others_go_on_as_the_same_member() {
    let Some(server) = Server::start() else { return };
    tidegate_cluster::init(&server.url(), "orders", Duration::from_secs(1)).expect("a new store");
    let place = Place::new("killed");
    let (_one, first) = place.open("one");
    let (_two, second) = place.open("two");
    let start = |arena: &str| Process::start("hosts::an_agent_of_its_own", &server, &place, arena);
    let mut agents = [[start("one"), start("one")], [start("two"), start("two")]];
    let (clock, mut admitted) = (Clock::boottime(), Vec::new());
    let deadline = Instant::now() + Duration::from_secs(20);
    while !(first.try_acquire(1) && second.try_acquire(1)) {
        let said = (first.stats().health, second.stats().health);
        assert!(Instant::now() < deadline, "no lease: {said:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut random = fastrand::Rng::new();
    let limits = [&first, &second];
    let (begin, kills) = (clock.now(), 24);
    for kill in 0..kills {
        attempts(limits, &clock, random.u64(60..260), &mut admitted);
        let host = kill % 2;
        let which = random.usize(..2);
        agents[host][which] = start(["one", "two"][host]);
    }
    let used = admitted.len() as f64 / ((clock.now() - begin) as f64 / 1e9) / RATE;
    attempts(limits, &clock, 1_500, &mut admitted);
    let (worst, from) = (worst(&admitted), clock.now() - 1_000_000_000);
    let after = admitted.iter().filter(|&&at| at >= from).count() as f64 / RATE;
    println!("{kills} agents killed: worst {worst:.1} of {BURST}, {used:.2} of the rate meanwhile, {after:.2} after");
    assert!(worst <= BURST + TOLERANCE, "{worst} above the burst of {BURST}");
    assert!(used > 0.4 && after > 0.6, "{used}, {after}: {:?} {:?}", first.stats(), second.stats());
    assert_eq!(members(&server), 2, "each host is one member, whoever leases for it");
    assert!(first.stats().refilled && first.stats().health.fault.is_none(), "{:?}", first.stats());
    for pair in &mut agents {
        pair.iter_mut().for_each(|agent| drop(agent.kill()));
    }
    let stats = first.stats();
    assert!(!stats.refilled && stats.health.fault.is_some_and(|fault| fault.contains("tidegate agent")));
}

#[test]
fn an_agent_that_ends_leaves_what_others_can_spend() {
    let Some(server) = Server::start() else { return };
    tidegate_cluster::init(&server.url(), "orders", Duration::from_secs(1)).expect("a new store");
    let place = Place::new("ends");
    let (arena, limit) = place.open("orders");
    let mut agent = Process::start("hosts::an_agent_of_its_own", &server, &place, "orders");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !limit.try_acquire(1) {
        assert!(Instant::now() < deadline, "{:?}", limit.stats());
        std::thread::sleep(Duration::from_millis(5));
    }
    // Ends as a service that is stopped.
    drop(agent.0.stdin.take());
    agent.0.wait().expect("it has ended");
    assert!(limit.stats().tokens > 0 && !limit.stats().refilled, "{:?}", limit.stats());
    let own = Agent::start(&arena, &AgentConfig::new(server.url())).expect("an agent");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !limit.stats().refilled {
        assert!(Instant::now() < deadline, "nobody goes on");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(members(&server), 1);
    // The last one takes its leave.
    drop(own);
    assert_eq!((limit.stats().tokens, members(&server)), (0, 0));
}

#[test]
fn a_host_that_is_killed_takes_what_it_held_with_it() {
    let Some(server) = Server::start() else { return };
    let mut run = Run::new(&server, &config());
    let place = Place::new("none");
    let mut host = Process::start("hosts::a_host_of_its_own", &server, &place, "none");
    run.attempts(2.0);
    let said = host.kill();
    let theirs = said.lines().filter_map(|line| line.strip_prefix("AT ")?.parse::<u64>().ok());
    let theirs: Vec<f64> = theirs.map(|at| at.saturating_sub(run.started) as f64 / 1e9).collect();
    assert!(theirs.len() > 50, "it admitted {}", theirs.len());
    run.attempts(1.0);
    let from = run.secs();
    run.attempts(1.5);
    run.admitted.extend(theirs);
    run.admitted.sort_by(f64::total_cmp);
    run.keeps_the_law("a host killed");
    assert!(run.used_since(from) > 0.5, "{}", run.used_since(from));
}

/// What a child of fork says with its exit code, within 20 s.
fn in_child(run: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child runs what it is given and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = if run() { 7 } else { 1 };
        // SAFETY: ends the child without the harness.
        unsafe { libc::_exit(code) };
    }
    let (mut status, deadline) = (0, Instant::now() + Duration::from_secs(20));
    // SAFETY: `status` may be written to.
    while unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == 0 {
        if Instant::now() > deadline {
            // SAFETY: a child of this process that has not been waited for.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 }
}

#[test]
fn a_child_of_fork_spends_nothing_of_its_parents_and_waits_for_no_thread() {
    let Some(server) = Server::start() else { return };
    let mut run = Run::new(&server, &config());
    run.attempts(0.5);
    assert!(!run.admitted.is_empty());
    let host = run.hosts.remove(0);
    let code = in_child(|| {
        let denied = (0..1_000).all(|_| !host.limit.try_acquire(1));
        let unfilled = !host.limit.stats().refilled;
        drop(host);
        denied && unfilled
    });
    assert_eq!(code, 7);
}

#[test]
fn a_child_of_fork_spends_what_its_machine_has_leased() {
    let Some(server) = Server::start() else { return };
    tidegate_cluster::init(&server.url(), "orders", Duration::from_secs(1)).expect("a new store");
    let place = Place::new("fork");
    let (arena, limit) = place.open("orders");
    let agent = Agent::start(&arena, &AgentConfig::new(server.url())).expect("an agent");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !limit.try_acquire(1) {
        assert!(Instant::now() < deadline, "{:?}", limit.stats());
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(300));
    let code = in_child(|| {
        let spent = limit.try_acquire(1);
        // The parent's thread leases, and the child knows.
        let refilled = limit.stats().refilled;
        drop(agent);
        spent && refilled && limit.stats().refilled
    });
    assert_eq!(code, 7);
}
