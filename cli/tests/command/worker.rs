//! Another process with objects in an arena: this test binary again, told what to do by its standard input.

use crate::messages::{Messages, say};
use crate::support::Place;
use std::process::Command;
use std::sync::Arc;
use tidegate::breaker::Outcome;
use tidegate::limit::{BucketConfig, LimiterConfig};
use tidegate::{
    Algorithm, Arena, BreakerConfig, CircuitBreaker, ConcurrencyConfig, ConcurrencyLimiter, OnConflict, RateLimiter,
    TokenBucket,
};

const TOLD: &str = "TIDEGATE_TEST_WORKER";

pub(crate) struct Worker(Messages);

impl Worker {
    /// In the arena "orders", with one object of each kind.
    pub(crate) fn start(place: &Place) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.env(TOLD, place.path());
        Self(Messages::start(command, "worker::another_process"))
    }

    /// Has it do one thing, and waits until it is done.
    pub(crate) fn tell(&mut self, what: &str) {
        assert_eq!(self.0.ask(what), "done");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// kill -9.
    pub(crate) fn kill(self) {
        self.0.kill();
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
            everyone: TokenBucket::in_arena(arena, "everyone", quota, BucketConfig::default(), error).expect("made"),
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
    let mut options = tidegate::arena::HostConfig::new("orders");
    (options.path, options.capacity) = (Some(path.into()), Some(16 << 20));
    let Objects { everyone, users, payments, database } = Objects::open(&Arena::open(&options).expect("the arena"));
    say("ready");
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
        say("done");
    }
}
