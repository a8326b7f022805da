//! The program `tidegate-agent`.

use crate::hosts::Place;
use crate::server::Server;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tidegate::{Arena, ClusterLimit};

const PATIENCE: Duration = Duration::from_secs(30);

/// An agent of `arenas`, and what it says.
struct Program {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Program {
    fn start(store: &str, place: &Place, arenas: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-agent"));
        command.env("TIDEGATE_STORE", store).arg("--path").arg(&place.0);
        for arena in arenas {
            command.args(["--arena", arena]);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program");
        let (told, lines) = channel();
        let errors = BufReader::new(child.stderr.take().expect("piped"));
        std::thread::spawn(move || errors.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        Self { child, lines, said: Vec::new() }
    }

    fn says(&mut self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said.iter().any(|line| line.contains(what)) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push(line),
                Err(_) => panic!("no {what:?} in {:#?}", self.said),
            }
        }
    }

    fn signal(&mut self, signal: &str) -> Option<i32> {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill");
        assert!(done.success());
        self.child.wait().expect("its end").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the program answers to these words.
fn told(store: &str, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-agent"));
    let output = command.env("TIDEGATE_STORE", store).args(words).output().expect("the program");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn spends(limit: &ClusterLimit) {
    let deadline = Instant::now() + PATIENCE;
    while !limit.try_acquire(1) {
        assert!(Instant::now() < deadline, "{:?}", limit.stats());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn it_waits_for_the_arena_leases_follows_another_and_ends() {
    let Some(server) = Server::start() else { return };
    let place = Place::new("program");
    let mut first = Program::start(&server.url(), &place, &["orders", "users"]);
    first.says("arena orders: is not there yet");
    let (arena, limit) = place.open("orders");
    let (_users, other) = place.open("users");
    first.says("arena orders: leases for it");
    spends(&limit);
    spends(&other);
    first.says("limit door (member ");
    let orders = told(&server.url(), &["ls", "orders"]);
    assert!(orders.contains("door") && orders.contains("2000/1 s"), "{orders}");
    let shown = told(&server.url(), &["show", "orders", "door"]);
    assert!(shown.contains(&limit.member_id()), "{shown}");
    let json = told(&server.url(), &["show", "orders", "door", "--json"]);
    assert!(json.contains(&format!("\"id\":\"{}\"", limit.member_id())) && json.contains("\"current\":true"), "{json}");
    let keys = server.ask(&["KEYS", "tg:*:l:door"]);
    assert_eq!(keys.len(), 2, "each arena is a namespace: {keys:?}");

    let mut second = Program::start(&server.url(), &place, &["orders"]);
    second.says("another agent leases for it");
    assert_eq!(first.signal("-KILL"), None);
    second.says("arena orders: leases for it");
    std::thread::sleep(Duration::from_millis(600));
    spends(&limit);

    // Removed and made anew: another member of the same limit.
    let before = limit.member_id();
    assert!(Arena::unlink(&place.options("orders")).expect("removed").is_some());
    drop((limit, arena));
    let (_arena, limit) = place.open("orders");
    assert_ne!(limit.member_id(), before);
    spends(&limit);
    assert_eq!(second.signal("-TERM"), Some(0));
    assert!(!limit.stats().refilled && limit.stats().tokens > 0, "{:?}", limit.stats());
}

#[test]
fn a_store_is_told_that_its_limits_begin_full() {
    let Some(server) = Server::start() else { return };
    assert!(told(&server.url(), &["init", "orders"]).contains("begin full"));
    let place = Place::new("init");
    let (_arena, limit) = place.open("orders");
    let _agent = Program::start(&server.url(), &place, &["orders"]);
    // At its rate alone it would be there after a quarter of a second, and one lease is.
    let deadline = Instant::now() + PATIENCE;
    while limit.stats().health.granted == 0 {
        assert!(Instant::now() < deadline, "{:?}", limit.stats());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(limit.stats().health.level > 900, "{:?}", limit.stats());
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-agent"));
    command.args(["--store", "redis://user:s3cret@127.0.0.1:1/", "ls", "orders"]);
    let output = command.output().expect("the program");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("the store: ") && !said.contains("s3cret"), "{said}");
}

#[test]
fn it_says_what_is_wrong_and_never_the_secret() {
    let place = Place::new("secret");
    let (_arena, limit) = place.open("orders");
    let mut program = Program::start("redis://user:s3cret@127.0.0.1:1/", &place, &["orders"]);
    program.says("limit door (member ");
    let deadline = Instant::now() + PATIENCE;
    while limit.stats().health.errors < 3 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = format!("{:?} {:?}", program.said, limit.stats());
    assert!(said.contains("the store: ") && !said.contains("s3cret"), "{said}");
    let mut wrong = Program::start("http://user:s3cret@127.0.0.1:1/", &place, &["orders"]);
    wrong.says("tidegate-agent: the store: its URL");
    assert!(!wrong.said.iter().any(|line| line.contains("s3cret")), "{:?}", wrong.said);
    assert_eq!(wrong.child.wait().expect("its end").code(), Some(1));
}
