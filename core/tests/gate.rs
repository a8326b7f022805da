//! Gates under races: what many threads take at once adds up, and what forked and killed processes held comes back.
//! Random histories of one thread are in `oracle_gate.rs`.
//!
//! The long run: `TIDEGATE_GATE_ADMISSIONS=1000000` calls of each of eight threads, `TIDEGATE_KILLS=1000` killed
//! processes, and `PROPTEST_CASES=2000` histories of `oracle_gate.rs`: a minute in all.

#[cfg(target_os = "linux")]
mod children;
#[cfg(target_os = "linux")]
#[path = "arena/support.rs"]
#[allow(dead_code, reason = "shared with the arena's tests")]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate::breaker::State;
use tidegate::concurrency::ConcurrencyConfig;
use tidegate::gate::{Kind, Outcome, Outcomes, Request};
use tidegate::limit::{Algorithm, LimitSet, LimiterConfig, Member, Mode, RateLimiter, TokenBucket};
use tidegate::shed::{Signal, SignalKind};
use tidegate::{
    BoundedQueue, BreakerConfig, CircuitBreaker, Clock, ConcurrencyLimiter, Gate, GateConfig, LoadShedder, ManualClock,
    QueueConfig, ShedderConfig,
};

const THREADS: u64 = 8;
/// So many that a million calls of each thread are within what one key may hold.
const CLIENTS: u8 = 8;

fn each() -> u64 {
    std::env::var("TIDEGATE_GATE_ADMISSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

/// On a clock that stands: what is taken does not come back by itself.
#[test]
fn what_eight_threads_take_adds_up() {
    let (clock, calls) = (ManualClock::new(0), THREADS * each());
    let per_client = calls / u64::from(CLIENTS) * 4 / 5;
    let time = || Clock::from(&clock);
    let quota = |burst: u64| "1/s".parse::<tidegate::Quota>().unwrap().with_burst(burst).unwrap();
    // Three in four calls find a token; each client has four fifths of what the calls for it ask for.
    let everyone = Arc::new(TokenBucket::with_clock(quota(calls * 3 / 4), time()));
    let config = LimiterConfig::new(Algorithm::TokenBucket, quota(per_client));
    let client = Arc::new(RateLimiter::with_config(LimiterConfig { max_keys: 100, ..config }, time()).unwrap());
    let members = [("client", Member::from(client.clone())), ("everyone", Member::from(everyone.clone()))];
    let config = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(5) };
    let database = Arc::new(ConcurrencyLimiter::with_config(config, time()).unwrap());
    let payment = Arc::new(CircuitBreaker::with_clock("payment", BreakerConfig::default(), time()).unwrap());
    let signal = Signal::new(SignalKind::Gauge).named("load").range(0.0, 1.0);
    let shedder = Arc::new(LoadShedder::with_clock(ShedderConfig::new(vec![signal]), time()).unwrap());
    let queue = Arc::new(BoundedQueue::<()>::with_clock(QueueConfig::new(10), time()).unwrap());
    let gate = Gate::new(GateConfig {
        shedder: Some(("main".into(), shedder)),
        queue: Some(("jobs".into(), queue)),
        concurrency: Some(("database".into(), database.clone())),
        limits: Some(Arc::new(LimitSet::new(members).unwrap())),
        dependencies: vec![("payment".into(), payment.clone())],
        refund_on: Outcomes::NONE.with(Outcome::Dropped),
        mode: Mode::Enforce,
        ..GateConfig::new("orders")
    });
    let gate = gate.unwrap();
    let needs = gate.dependencies(["payment"]).unwrap();
    let [admitted, kept, by_permits, by_limits] = [const { AtomicU64::new(0) }; 4];
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (gate, counts) = (&gate, [&admitted, &kept, &by_permits, &by_limits]);
            scope.spawn(move || {
                let mut own = [0_u64; 4];
                for call in 0..each() {
                    let name = [(call % u64::from(CLIENTS)) as u8];
                    let keys: [&[u8]; 1] = [&name];
                    let request = Request { dependencies: needs, ..Request::new(&keys) };
                    let admission = gate.admit(&request).unwrap();
                    match (admission.is_allowed(), admission.kind()) {
                        (true, _) => {
                            own[0] += 1;
                            let refunded = (call + thread).is_multiple_of(3);
                            own[1] += u64::from(!refunded);
                            let end = if refunded { Outcome::Dropped } else { Outcome::Success };
                            assert!(admission.finish(end));
                        }
                        (false, Some(Kind::Concurrency)) => own[2] += 1,
                        (false, kind) => {
                            assert_eq!(kind, Some(Kind::Limit));
                            own[3] += 1;
                        }
                    }
                }
                // Relaxed: read after all have ended.
                counts.iter().zip(own).for_each(|(count, own)| _ = count.fetch_add(own, Ordering::Relaxed));
            });
        }
    });
    let [admitted, kept, by_permits, by_limits] =
        [&admitted, &kept, &by_permits, &by_limits].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(admitted + by_permits + by_limits, calls);
    let stats = gate.stats();
    assert_eq!((stats.admitted, stats.denied), (admitted, by_permits + by_limits));
    assert_eq!(stats.denied_by[Kind::Concurrency as usize], by_permits);
    assert_eq!(stats.denied_by[Kind::Limit as usize], by_limits);
    // Each that was let in and kept its tokens has paid one to everybody's limit and one to its client's, no other did.
    assert_eq!(u64::from(everyone.peek().remaining), calls * 3 / 4 - kept);
    let left: u64 = (0..CLIENTS).map(|key| u64::from(client.peek(&[key], None).remaining)).sum();
    assert_eq!(left, u64::from(CLIENTS) * per_client - kept);
    assert_eq!((everyone.stats().admitted, client.stats().admitted), (admitted, admitted));
    assert_eq!(database.in_use(), 0);
    assert_eq!((database.stats().admitted, payment.state()), (admitted, State::Closed));
    assert!(database.stats().denied >= by_permits, "each refusal counts where it was, whoever had the longer wait");
}

#[cfg(target_os = "linux")]
mod processes {
    use super::*;
    use crate::children::{GENEROUS, child, ends_well, kill, until};
    use crate::support::Place;
    use std::time::Duration;
    use tidegate::limit::BucketConfig;
    use tidegate::{Arena, OnConflict};

    struct Shared {
        gate: Gate,
        database: Arc<ConcurrencyLimiter>,
        payment: Arc<CircuitBreaker>,
        everyone: Arc<TokenBucket>,
    }

    fn host(place: &Place) -> Shared {
        let arena = Arena::open(&place.options("pool")).expect("an arena");
        let config = ConcurrencyConfig { mode: Mode::Enforce, ..ConcurrencyConfig::new(3) };
        let database = ConcurrencyLimiter::in_arena(&arena, "database", config, OnConflict::Error).expect("a limiter");
        let database = Arc::new(database);
        let config = BreakerConfig {
            consecutive_failures: Some(1),
            cooldown: Duration::from_millis(1),
            probe_timeout: Duration::from_millis(300),
            ..BreakerConfig::default()
        };
        let payment = CircuitBreaker::in_arena(&arena, "payment", config, OnConflict::Error).expect("a breaker");
        let payment = Arc::new(payment);
        let quota = "1/min".parse::<tidegate::Quota>().unwrap().with_burst(500_000).unwrap();
        let everyone = TokenBucket::in_arena(&arena, "everyone", quota, BucketConfig::default(), OnConflict::Error);
        let everyone = Arc::new(everyone.expect("a bucket"));
        let limits = LimitSet::new([("everyone", Member::from(everyone.clone()))]).unwrap();
        let gate = Gate::new(GateConfig {
            concurrency: Some(("database".into(), database.clone())),
            limits: Some(Arc::new(limits)),
            dependencies: vec![("payment".into(), payment.clone())],
            refund_on: Outcomes::NONE.with(Outcome::Failure),
            mode: Mode::Enforce,
            ..GateConfig::new("orders")
        });
        Shared { gate: gate.unwrap(), database, payment, everyone }
    }

    #[test]
    fn a_child_finishes_nothing_of_its_parents() {
        let place = Place::new();
        let Shared { gate, database, everyone, .. } = host(&place);
        let (_, mut ticket) = gate.decide(&Request::default()).unwrap();
        let left = everyone.peek().remaining;
        ends_well(child(|| {
            let mut copy = ticket;
            !gate.finish(&mut copy, Outcome::Failure) && everyone.peek().remaining == left && database.in_use() == 1
        }));
        // Without a permit that names its owner as well.
        let bare = Gate::new(GateConfig {
            limits: gate.limits().cloned(),
            refund_on: Outcomes::NONE.with(Outcome::Failure),
            mode: Mode::Enforce,
            ..GateConfig::new("bare")
        });
        let bare = bare.unwrap();
        let (_, held) = bare.decide(&Request::default()).unwrap();
        ends_well(child(|| {
            let mut copy = held;
            !bare.finish(&mut copy, Outcome::Failure) && everyone.peek().remaining == left - 1
        }));
        assert!(gate.finish(&mut ticket, Outcome::Failure));
        assert_eq!((everyone.peek().remaining, database.in_use()), (left, 0));
    }

    /// Killed at any instruction of its admissions: permits come back with the death, a probe within its timeout, and
    /// no more tokens are gone than the killed ones may have been at.
    #[test]
    fn what_killed_processes_held_comes_back() {
        let place = Place::new();
        let Shared { gate, database, payment, everyone } = host(&place);
        let needs = gate.dependencies(["payment"]).unwrap();
        let rounds = std::env::var("TIDEGATE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_u64);
        for _ in 0..rounds {
            let (before, tokens) = (gate.stats().admitted, everyone.peek().remaining);
            let worker = child(|| {
                let own = host(&place);
                let needs = own.gate.dependencies(["payment"]).unwrap();
                loop {
                    let request = Request { dependencies: needs, ..Request::default() };
                    let Ok(admission) = own.gate.admit(&request) else { return false };
                    if let Ok(call) = admission.breaker("payment") {
                        // Open half of the time, so that some die with a probe.
                        if fastrand::bool() { call.success() } else { call.failure() }
                    }
                    admission.finish(Outcome::Success);
                }
            });
            until("the child works", || everyone.peek().remaining + 10 < tokens);
            std::thread::sleep(Duration::from_micros(fastrand::u64(..3_000)));
            kill(worker);
            // All permits are to be had again, once whoever asks finds the death.
            let deadline = std::time::Instant::now() + GENEROUS;
            let mut held = Vec::new();
            while held.len() < 3 {
                let admission = gate.admit(&Request::default()).unwrap();
                if admission.is_allowed() {
                    held.push(admission);
                } else {
                    assert_eq!(admission.kind(), Some(Kind::Concurrency));
                    assert!(std::time::Instant::now() < deadline, "{} permits of 3 came back", held.len());
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            held.into_iter().for_each(|admission| assert!(admission.finish(Outcome::Failure)));
            // A look lets the call in that closes the circuit.
            loop {
                let request = Request { dependencies: needs, ..Request::default() };
                let admission = gate.admit(&request).unwrap();
                if admission.is_allowed() && admission.breaker("payment").map(|call| call.success()).is_ok() {
                    break;
                }
                assert!(std::time::Instant::now() < deadline, "{:?}", payment.stats());
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!((payment.state(), database.in_use()), (State::Closed, 0));
            assert!(gate.stats().admitted > before);
        }
    }
}
