//! Another process with objects in an arena: this test binary again, told what to do by its standard input.

use crate::support::Place;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use tidegate::breaker::Outcome;
use tidegate::limit::{BucketOptions, LimiterConfig};
use tidegate::{
    Algorithm, Arena, BreakerConfig, CircuitBreaker, ConcurrencyConfig, ConcurrencyLimiter, OnConflict, RateLimiter,
    TokenBucket,
};

const TOLD: &str = "TIDEGATE_TEST_WORKER";
const SAYS: &str = "worker: ";

pub(crate) struct Worker {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
    input: ChildStdin,
}

impl Worker {
    /// In the arena "orders", with one object of each kind.
    pub(crate) fn start(place: &Place) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "worker::another_process", "--nocapture"])
            .env(TOLD, place.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let said = BufReader::new(child.stdout.take().expect("its output")).lines();
        let input = child.stdin.take().expect("its input");
        let mut worker = Self { child, said, input };
        worker.hear();
        worker
    }

    /// Has it do one thing, and waits until it is done.
    pub(crate) fn tell(&mut self, what: &str) {
        writeln!(self.input, "{what}").expect("it listens");
        self.hear();
    }

    fn hear(&mut self) {
        let ours = |line: std::io::Result<String>| line.expect("a line").contains(SAYS);
        assert!(self.said.any(ours), "it lives and speaks");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("its end");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The objects, as every process here declares them.
pub(crate) struct Objects {
    pub(crate) everyone: TokenBucket,
    pub(crate) users: RateLimiter,
    pub(crate) payments: CircuitBreaker,
    pub(crate) database: ConcurrencyLimiter,
}

impl Objects {
    pub(crate) fn open(arena: &Arc<Arena>) -> Self {
        let quota = "10/hour".parse().expect("a quota");
        let users = LimiterConfig { max_keys: 1_000, ..LimiterConfig::new(Algorithm::TokenBucket, quota) };
        let error = OnConflict::Error;
        Self {
            everyone: TokenBucket::in_arena(arena, "everyone", quota, BucketOptions::default(), error).expect("made"),
            users: RateLimiter::in_arena(arena, "users", users, error).expect("made"),
            payments: CircuitBreaker::in_arena(arena, "payments", BreakerConfig::default(), error).expect("made"),
            database: ConcurrencyLimiter::in_arena(arena, "database", ConcurrencyConfig::new(4), error).expect("made"),
        }
    }
}

/// What the processes run that tests start; nothing when it is run as a test.
#[test]
fn another_process() {
    let Some(path) = std::env::var_os(TOLD) else { return };
    let mut options = tidegate::arena::HostOptions::new("orders");
    options.path = Some(path.into());
    let Objects { everyone, users, payments, database } = Objects::open(&Arena::open(&options).expect("the arena"));
    // One write: the harness writes to the same place.
    let say = || std::io::stdout().write_all(format!("{SAYS}done\n").as_bytes()).expect("a listener");
    say();
    for line in std::io::stdin().lines() {
        match line.expect("a line").as_str() {
            "take 3" => assert!(everyone.try_acquire(3)),
            "ask too much" => assert!(!everyone.try_acquire(8)),
            "slow down" => everyone.set_quota("5/hour".parse().expect("a quota")).expect("changed"),
            "see users" => assert!([b"ada", b"bob", b"eve"].iter().all(|user| users.try_acquire(*user, 1))),
            "fail" => {
                (0..10).for_each(|_| payments.report(payments.acquire().expect("closed"), Outcome::Failure, None))
            }
            "be refused" => assert!(payments.acquire().is_err()),
            "hold 2" => assert!((0..2).all(|_| database.try_acquire().is_some())),
            other => panic!("{other}"),
        }
        say();
    }
}
