//! Stores that come back with an old state, that another takes the place of, whose clock leaps, or that must not be
//! used.

use crate::link::Link;
use crate::server::Server;
use crate::{BURST, HOSTS, Host, RATE, Run, TOLERANCE, config, through_on};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what} never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_store_that_is_killed_and_reads_an_old_state_is_a_new_one() {
    through_on("killed, with an old RDB", Server::start_saving("rdb"), &config(), |server, run| {
        server.say(&["SAVE"]);
        run.attempts(1.5);
        server.kill();
        server.again();
        let kept = server.ask(&["HGETALL", "tg:{orders}:l:door"]);
        assert!(kept.contains(&"lv".to_owned()), "it has read what was saved: {kept:?}");
    });
}

#[test]
fn a_replica_that_is_a_second_behind_takes_the_place() {
    let (Some(mut master), Some(replica)) = (Server::start_saving("master"), Server::start_saving("replica")) else {
        return;
    };
    tidegate_cluster::init(&master.url(), "orders", Duration::from_secs(1)).expect("a new store");
    replica.say(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    let link = Link::to(master.port());
    let mut run = Run::of_ways(&vec![link.url(); HOSTS as usize], &config());
    run.attempts(1.0);
    until("the copy", || replica.ask(&["HGETALL", "tg:{orders}:l:door"]).contains(&"lv".to_owned()));
    // From here on it hears nothing more.
    replica.say(&["REPLICAOF", "NO", "ONE"]);
    run.attempts(1.0);
    link.lead_to(replica.port());
    master.kill();
    run.attempts(2.0);
    let from = run.secs();
    run.attempts(1.5);
    run.keeps_the_law("failover to a replica 1 s behind");
    let used = run.used_since(from);
    println!("failover to a replica 1 s behind: {used:.2} of the rate afterwards");
    assert!(used > 0.5, "{used}");
}

/// What one host hears of a store that must not be used: it leases nothing.
fn refused(url: &str, says: &[&str]) {
    let host = Host::new(url, &config());
    let mut admitted = false;
    until(says[0], || {
        admitted |= host.limit.try_acquire(1);
        says.iter().any(|says| host.fault().contains(says))
    });
    assert!(!admitted && !host.fault().contains("s3cret"), "{:?}", host.limit.stats());
}

#[test]
fn a_store_that_hides_its_run_id_is_refused() {
    let Some(server) = Server::start() else { return };
    server.say(&["ACL", "SETUSER", "app", "on", ">s3cret", "~*", "+@all", "-info"]);
    refused(&format!("redis://app:s3cret@127.0.0.1:{}/", server.port()), &["can't run this command", "no permissions"]);
    let error = tidegate_cluster::init(&server.url(), "orders", Duration::from_secs(1));
    assert_eq!(error, Ok(()));
}

#[test]
fn a_user_with_a_wrong_password_is_told_so() {
    let Some(server) = Server::start() else { return };
    refused(&format!("redis://app:s3cret@127.0.0.1:{}/", server.port()), &["the store: "]);
}

#[test]
fn a_node_of_a_cluster_serves_its_own_slots_and_sends_others_away() {
    let (Some(one), Some(two)) = (Server::start_node("one"), Server::start_node("two")) else { return };
    one.say(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    two.say(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
    two.say(&["CLUSTER", "MEET", "127.0.0.1", &one.port().to_string()]);
    let is_whole = |server: &Server| {
        let info: String = redis::cmd("CLUSTER").arg("INFO").query(&mut server.connect()).expect("an answer");
        info.contains("cluster_state:ok")
    };
    until("a cluster", || is_whole(&one) && is_whole(&two));
    let slot: u16 = redis::cmd("CLUSTER").arg("KEYSLOT").arg("{orders}").query(&mut one.connect()).expect("a slot");
    let (own, other) = if slot < 8_192 { (&one, &two) } else { (&two, &one) };
    refused(&other.url(), &["MOVED"]);
    let host = Host::new(&own.url(), &config());
    until("a lease", || host.limit.try_acquire(1));
}

/// The library that leaps the wall clock of the program that loads it; `None`, which is said: there is no compiler.
fn skew() -> Option<PathBuf> {
    let library = std::env::temp_dir().join(format!("tidegate-cluster-skew-{}.so", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/skew.c");
    let built = Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED\ta store whose clock leaps: no C compiler here");
        return None;
    }
    leap(&library, 0);
    Some(library)
}

fn leap(library: &Path, seconds: i64) {
    let file = std::fs::File::options().create(true).truncate(false).write(true).open(library.with_extension("skew"));
    std::os::unix::fs::FileExt::write_all_at(&file.expect("a file"), &seconds.to_ne_bytes(), 0).expect("written");
}

#[test]
fn a_store_whose_clock_leaps_a_minute_costs_at_most_its_bound() {
    let Some(library) = skew() else { return };
    let Some(server) = Server::start_preloaded(library.clone()) else { return };
    for seconds in [60, -60] {
        let time = || -> (u64, u64) { redis::cmd("TIME").query(&mut server.connect()).expect("a time") };
        let mut run = Run::new(&server, &config());
        run.attempts(1.0);
        let before = time().0;
        leap(&library, seconds);
        assert!(time().0.abs_diff(before) >= 58, "the clock leaps");
        run.attempts(2.0);
        let from = run.secs();
        run.attempts(1.5);
        let (worst, used) = (run.worst(), run.used_since(from));
        // Two leases and two timeouts of the rate.
        let bound = BURST + RATE * 2.0 * 0.6 + TOLERANCE;
        println!("the store's clock {seconds:+} s: worst {worst:.1} of {bound}, {used:.2} of the rate afterwards");
        assert!(worst <= bound && used > 0.5, "{seconds}: {worst}, {used}");
        drop(run);
        leap(&library, 0);
        server.say(&["FLUSHALL"]);
    }
    for file in [library.with_extension("skew"), library] {
        let _ = std::fs::remove_file(file);
    }
}
