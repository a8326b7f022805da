//! What the vectors do not say. Random histories against the model are in `tests/oracle_gate.rs`.

use super::*;
use crate::breaker::{self, BreakerConfig, CallError, CircuitBreaker};
use crate::concurrency::{ConcurrencyConfig, ConcurrencyLimiter};
use crate::limit::{Algorithm, LimitSet, LimiterConfig, Member, Mode, RateLimiter};
use crate::{Clock, ManualClock};
use std::sync::Arc;
use std::time::Duration;

const S: u64 = 1_000_000_000;

fn concurrency(clock: &ManualClock, limit: u32, mode: Mode) -> Arc<ConcurrencyLimiter> {
    let config = ConcurrencyConfig { mode, ..ConcurrencyConfig::new(limit) };
    Arc::new(ConcurrencyLimiter::with_config(config, clock.into()).unwrap())
}

fn client(clock: &ManualClock, rate: &str) -> Arc<RateLimiter> {
    let quota = rate.parse().unwrap();
    let config = LimiterConfig { mode: Mode::Enforce, ..LimiterConfig::new(Algorithm::TokenBucket, quota) };
    Arc::new(RateLimiter::with_config(LimiterConfig { max_keys: 100, ..config }, clock.into()).unwrap())
}

fn set(limiter: &Arc<RateLimiter>) -> Option<Arc<LimitSet>> {
    Some(Arc::new(LimitSet::new([("client", Member::from(limiter.clone()))]).unwrap()))
}

fn config() -> GateConfig {
    GateConfig { mode: Mode::Enforce, ..GateConfig::new("orders") }
}

#[test]
fn an_admission_that_is_dropped_gives_back_what_it_holds() {
    let clock = ManualClock::new(0);
    let (calls, limiter) = (concurrency(&clock, 1, Mode::Enforce), client(&clock, "5/min"));
    let gate = |refund_on| {
        let concurrency = Some(("database".to_owned(), calls.clone()));
        Gate::new(GateConfig { concurrency, limits: set(&limiter), refund_on, ..config() }).unwrap()
    };
    let left = || limiter.peek(b"ann", None).remaining;
    let ann: [&[u8]; 1] = [b"ann"];
    let plain = gate(Outcomes::NONE);
    drop(plain.admit(&Request::new(&ann)).unwrap());
    assert_eq!((calls.in_use(), left()), (0, 4), "given up, and paid for");
    let refunding = gate(Outcomes::NONE.with(Outcome::Cancelled));
    drop(refunding.admit(&Request::new(&ann)).unwrap());
    assert_eq!((calls.in_use(), left()), (0, 4));
    // A panic is a failure, and that is not refunded.
    let panics = std::panic::catch_unwind(|| {
        let _held = refunding.admit(&Request::new(&ann)).unwrap();
        panic!("as asked")
    });
    assert!(panics.is_err());
    assert_eq!((calls.in_use(), left()), (0, 3));
    let held = refunding.admit(&Request::new(&ann)).unwrap();
    assert_eq!(refunding.admit(&Request::new(&ann)).unwrap().denied_by(), Some("database"));
    assert!(held.finish(Outcome::Success));
    assert_eq!((calls.in_use(), left()), (0, 2));
}

#[test]
fn a_copied_ticket_gives_its_permit_back_once() {
    let clock = ManualClock::new(0);
    let (calls, limiter) = (concurrency(&clock, 2, Mode::Enforce), client(&clock, "5/min"));
    let gate = Gate::new(GateConfig {
        concurrency: Some(("database".to_owned(), calls.clone())),
        limits: set(&limiter),
        refund_on: Outcomes::NONE.with(Outcome::Failure),
        ..config()
    });
    let gate = gate.unwrap();
    let ann: [&[u8]; 1] = [b"ann"];
    let (_, mut ticket) = gate.decide(&Request::new(&ann)).unwrap();
    let mut copy = Ticket::of_words(&ticket.to_words());
    assert!(gate.finish(&mut ticket, Outcome::Failure));
    assert!(!gate.finish(&mut copy, Outcome::Failure) && !gate.finish(&mut ticket, Outcome::Failure));
    assert_eq!((calls.in_use(), limiter.peek(b"ann", None).remaining), (0, 5), "refunded once");
    let mut refused = Ticket::default();
    assert!(!gate.finish(&mut refused, Outcome::Success));
}

#[test]
fn a_dry_run_of_the_permits_alone_still_asks_the_limits() {
    let clock = ManualClock::new(0);
    let (calls, limiter) = (concurrency(&clock, 1, Mode::DryRun), client(&clock, "2/min"));
    let gate = Gate::new(GateConfig {
        concurrency: Some(("database".to_owned(), calls.clone())),
        limits: set(&limiter),
        ..config()
    });
    let gate = gate.unwrap();
    let ann: [&[u8]; 1] = [b"ann"];
    let held = [(); 2].map(|()| gate.admit(&Request::new(&ann)).unwrap());
    assert!(held.iter().all(Admission::is_allowed));
    assert_eq!((calls.stats().admitted, calls.stats().would_deny), (1, 1));
    assert_eq!(gate.admit(&Request::new(&ann)).unwrap().denied_by(), Some("client"));
}

/// A queue in which everybody waits for 50 ms.
struct Slow;

impl QueueView for Slow {
    fn is_accepting(&self) -> bool {
        true
    }

    fn delay(&self) -> Option<Duration> {
        Some(Duration::from_millis(50))
    }

    fn depth(&self) -> usize {
        7
    }

    fn capacity(&self) -> usize {
        10
    }

    fn left(&self) -> u64 {
        0
    }

    fn clock(&self) -> Clock {
        ManualClock::new(0).into()
    }
}

#[test]
fn a_call_for_which_the_queue_is_too_slow_is_refused() {
    let (delay, queue) = (Duration::from_millis(50), Arc::new(Slow));
    let gate = Gate::new(GateConfig { queue: Some(("jobs".to_owned(), queue)), ..config() }).unwrap();
    let ask = |deadline| gate.admit(&Request { deadline: Some(deadline), ..Request::default() }).unwrap();
    let late = ask(delay);
    assert_eq!((late.status(), late.kind()), (Some(504), Some(Kind::Deadline)));
    assert_eq!(late.retry_after(), Some(delay), "by then it may be otherwise");
    let text = late.refused().expect("refused").to_string();
    assert_eq!(text, "gate \"orders\" refused a call whose time is shorter than the wait, 0.05 s");
    assert!(ask(delay + Duration::from_nanos(1)).is_allowed());
}

#[test]
fn the_calls_own_permits_of_its_dependencies() {
    let clock = ManualClock::new(0);
    let settings = BreakerConfig { consecutive_failures: Some(1), ..BreakerConfig::default() };
    let payment = Arc::new(CircuitBreaker::with_clock("payment", settings, (&clock).into()).unwrap());
    let gate =
        Gate::new(GateConfig { dependencies: vec![("payment".to_owned(), payment.clone())], ..config() }).unwrap();
    let needs = gate.dependencies(["payment"]).unwrap();
    let ask = || gate.admit(&Request { dependencies: needs, ..Request::default() }).unwrap();
    let call = ask();
    call.breaker("payment").unwrap().failure();
    assert!(matches!(call.breaker("payment"), Err(CallError::Rejected(_))));
    assert!(matches!(call.breaker("mail"), Err(CallError::Failed(error)) if error.field() == "dependencies"));
    let refused = ask();
    assert_eq!((refused.denied_by(), refused.retry_after_ns), (Some("payment"), 30 * S));
    let text = refused.refused().expect("refused").to_string();
    assert_eq!(text, "circuit \"payment\" is open (1 of 1 calls failed): try again in 30 s");
    assert_eq!(payment.stats().rejected, 2, "by its own refusal and by the look");
    // One that does not need it is let in.
    assert!(gate.admit(&Request::default()).unwrap().is_allowed());
    // After the cooldown a look leases nothing; a permit that is dropped comes back.
    clock.advance(Duration::from_secs(30));
    let calls = [ask(), ask()];
    assert!(calls.iter().all(Admission::is_allowed));
    drop(calls[0].breaker("payment").unwrap());
    calls[1].breaker("payment").unwrap().success();
    assert_eq!(payment.state(), breaker::State::Closed);
}

/// Who looks at a half-open circuit never keeps out the call that would mend it: leases that are over, half written or
/// of the dead are for an acquisition to end, and a look lets it come.
#[test]
fn a_look_does_not_keep_out_who_would_take_a_lost_probe_back() {
    let clock = ManualClock::new(0);
    let probe_timeout = Duration::from_secs(5);
    let settings = BreakerConfig { consecutive_failures: Some(1), probe_timeout, ..BreakerConfig::default() };
    let payment = CircuitBreaker::with_clock("payment", settings, (&clock).into()).unwrap();
    payment.report(payment.acquire().unwrap(), breaker::Outcome::Failure, None);
    clock.advance(Duration::from_secs(30));
    let _lost = payment.acquire().unwrap();
    let now = clock.now();
    assert_eq!(payment.refusal_at(now).map(|it| it.retry_after_ns), Some(5 * S));
    assert_eq!(payment.refusal_at(now + 5 * S), None);
    // A cooldown that a reading far ahead set is mended by calls that come, so none is kept out.
    assert_eq!(payment.refusal_at(now + 5 * S - 1).map(|it| it.retry_after_ns), Some(1));
    payment.force_open();
    assert_eq!(payment.refusal_at(now).map(|it| it.retry_after_ns), Some(u64::MAX));
    payment.reset();
    assert_eq!(payment.refusal_at(now), None);
}

#[test]
fn a_cooldown_impossibly_far_ahead_keeps_nobody_out_of_the_circuit() {
    let clock = ManualClock::new(10_000 * S);
    let settings = BreakerConfig { consecutive_failures: Some(1), ..BreakerConfig::default() };
    let payment = CircuitBreaker::with_clock("payment", settings, (&ManualClock::new(0)).into()).unwrap();
    let permit = payment.acquire_at(clock.now(), 0.0).unwrap();
    payment.report_at(clock.now(), permit, breaker::Outcome::Failure, None);
    assert!(payment.refusal_at(clock.now()).is_some());
    // The clock is an hour back: only a call that comes can find out that it stays so.
    assert_eq!(payment.refusal_at(clock.now() - 3_600 * S), None);
    assert!(payment.acquire_at(clock.now() - 3_600 * S, 0.0).is_err());
}

#[test]
fn every_part_is_explained_and_nothing_is_taken() {
    let clock = ManualClock::new(0);
    let (calls, limiter) = (concurrency(&clock, 1, Mode::Enforce), client(&clock, "2/min"));
    let payment = CircuitBreaker::with_clock("payment", BreakerConfig::default(), (&clock).into()).unwrap();
    payment.force_open();
    let gate = Gate::new(GateConfig {
        concurrency: Some(("database".to_owned(), calls.clone())),
        limits: set(&limiter),
        dependencies: vec![("payment".to_owned(), Arc::new(payment))],
        ..config()
    });
    let gate = gate.unwrap();
    let ann: [&[u8]; 1] = [b"ann"];
    let request = Request { dependencies: gate.dependencies(["payment"]).unwrap(), cost: 3, ..Request::new(&ann) };
    let _held = gate.admit(&Request::new(&ann)).unwrap();
    let said: Vec<_> = gate.explain(&request).unwrap().iter().map(ToString::to_string).collect();
    let expected = [
        "breaker \"payment\" refuses: forced_open; do not try again",
        "concurrency \"database\" refuses: 1 of 1 permits held; try again in 1 s",
        "limit \"client\" refuses: 1 of 2 left; do not try again",
    ];
    assert_eq!(said, expected);
    assert_eq!((calls.stats().denied, limiter.stats().denied, gate.stats().denied), (0, 0, 0));
    let fine = gate.explain(&Request { cost: 1, ..Request::new(&ann) }).unwrap();
    assert_eq!(fine.iter().map(|it| it.allowed).collect::<Vec<_>>(), [false, true]);
    assert_eq!(limiter.peek(b"ann", None).remaining, 1);
}

#[test]
fn mistakes_are_told_by_their_name() {
    let clock = ManualClock::new(0);
    let limiter = client(&clock, "2/min");
    let gate = Gate::new(GateConfig { limits: set(&limiter), ..config() }).unwrap();
    assert_eq!(gate.admit(&Request::default()).unwrap_err().field(), "keys");
    let two: [&[u8]; 2] = [b"ann", b"ben"];
    assert_eq!(gate.admit(&Request::new(&two)).unwrap_err().field(), "keys");
    let error = gate.dependencies(["payment"]).unwrap_err();
    assert_eq!(error.to_string(), "dependencies: \"payment\" is none; the gate was made without dependencies");
    assert_eq!(Gate::new(GateConfig::new("")).unwrap_err().field(), "name");
    let breaker = || Arc::new(CircuitBreaker::new("a", BreakerConfig::default()).unwrap());
    let twice = vec![("a".to_owned(), breaker()), ("a".to_owned(), breaker())];
    assert_eq!(Gate::new(GateConfig { dependencies: twice, ..config() }).unwrap_err().field(), "dependencies");
    let many = (0..65).map(|n| (n.to_string(), breaker())).collect();
    assert_eq!(Gate::new(GateConfig { dependencies: many, ..config() }).unwrap_err().field(), "dependencies");
    // A mistake is one whoever would refuse.
    let denied = crate::http::AccessList::new([], ["key:ann"]).unwrap();
    let gate = Gate::new(GateConfig { access: Some(denied), limits: set(&limiter), ..config() }).unwrap();
    assert!(gate.admit(&Request::new(&two)).is_err());
    assert_eq!(gate.admit(&Request::new(&two[..1])).unwrap().status(), Some(403));
}

#[test]
fn parts_on_other_clocks_go_by_their_own() {
    let (clock, other) = (ManualClock::new(0), ManualClock::new(70 * S));
    let payment = BreakerConfig { consecutive_failures: Some(1), ..BreakerConfig::default() };
    let payment = Arc::new(CircuitBreaker::with_clock("payment", payment, (&other).into()).unwrap());
    payment.report(payment.acquire().unwrap(), breaker::Outcome::Failure, None);
    let limiter = client(&clock, "1/min");
    let gate = Gate::new(GateConfig {
        limits: set(&limiter),
        dependencies: vec![("payment".to_owned(), payment)],
        ..config()
    });
    let gate = gate.unwrap();
    let ann: [&[u8]; 1] = [b"ann"];
    let needs = gate.dependencies(["payment"]).unwrap();
    let ask = || gate.admit(&Request { dependencies: needs, ..Request::new(&ann) }).unwrap();
    other.advance(Duration::from_secs(10));
    assert_eq!((ask().denied_by(), ask().retry_after_ns), (Some("payment"), 20 * S));
    other.advance(Duration::from_secs(20));
    assert!(ask().is_allowed());
    assert_eq!(ask().retry_after_ns, 60 * S, "by the gate's");
}

#[test]
fn calls_and_their_fallbacks() {
    let clock = ManualClock::new(0);
    let limiter = client(&clock, "2/min");
    let gate = Gate::new(GateConfig { limits: set(&limiter), ..config() }).unwrap();
    let ann: [&[u8]; 1] = [b"ann"];
    let request = Request::new(&ann);
    assert_eq!(gate.call(&request, |_| Ok::<_, ()>(5)).unwrap(), Ok(5));
    assert_eq!(gate.call(&request, |_| Err::<(), _>("no")).unwrap(), Err(CallError::Failed("no")));
    let refused = gate.call(&request, |_| Ok::<_, ()>(5)).unwrap();
    assert!(matches!(&refused, Err(CallError::Rejected(refused)) if refused.status() == 429), "{refused:?}");
    assert_eq!(refused.unwrap_or(0), 0);
    let error = gate.enter(&request).unwrap_err().to_string();
    assert_eq!(error, "limiter \"client\" (2/min) refused 1 token: try again in 30 s");
    assert_eq!((gate.stats().admitted, gate.stats().denied), (2, 2));
    assert_eq!(gate.stats().denied_by[Kind::Limit as usize], 2);
}

fn parted(clock: &ManualClock, limit: u32) -> Arc<ConcurrencyLimiter> {
    let partitions = crate::concurrency::Partitions::new([("live", 0.9), ("batch", 0.1)]).unwrap();
    let config = ConcurrencyConfig { partitions, mode: Mode::Enforce, ..ConcurrencyConfig::new(limit) };
    Arc::new(ConcurrencyLimiter::with_config(config, clock.into()).unwrap())
}

#[test]
fn a_call_may_belong_to_a_partition_of_the_limit() {
    let clock = ManualClock::new(0);
    let database = parted(&clock, 10);
    let concurrency = Some(("database".to_owned(), database.clone()));
    let gate = Gate::new(GateConfig { concurrency, ..config() }).unwrap();
    let [live, batch] = ["live", "batch"].map(|name| gate.partition(name).unwrap());
    let lent: Vec<_> = (0..10).map(|_| gate.admit(&Request { partition: batch, ..Request::default() })).collect();
    assert!(lent.iter().all(|it| it.as_ref().is_ok_and(Admission::is_allowed)));
    let of_live = Request { partition: live, ..Request::default() };
    let said = gate.explain(&of_live).unwrap();
    assert!(!said[0].allowed && database.partition_stats()[0].called_back == 0, "a look calls nothing back: {said:?}");
    assert_eq!(gate.admit(&of_live).unwrap().denied_by(), Some("database"));
    drop(lent);
    let [of_live, of_batch] = [0, 1].map(|at| database.partition_stats().swap_remove(at));
    assert_eq!((of_live.admitted, of_live.denied, of_live.called_back), (0, 1, 1));
    assert_eq!((of_batch.admitted, of_batch.denied, of_batch.in_use), (10, 0, 0));
}

#[test]
fn a_partition_that_is_none_of_the_limits_is_an_error() {
    let clock = ManualClock::new(0);
    let live = parted(&clock, 10).partition("live").unwrap();
    let asked = Request { partition: live, ..Request::default() };
    let gate = |concurrency: Option<Arc<ConcurrencyLimiter>>, mode| {
        let concurrency = concurrency.map(|it| ("database".to_owned(), it));
        Gate::new(GateConfig { concurrency, mode, ..config() }).unwrap()
    };
    let plain = gate(Some(concurrency(&clock, 1, Mode::Enforce)), Mode::Enforce);
    for (gate, says) in [
        (plain, "partition: 1 is the number of none; there are 0, counted from 1 (0: none)"),
        (
            gate(None, Mode::DryRun),
            "partition: the gate has no concurrency limit, whose partitions calls belong to; leave it out",
        ),
    ] {
        assert_eq!(gate.admit(&asked).unwrap_err().to_string(), says);
        assert_eq!(gate.explain(&asked).unwrap_err().to_string(), says);
        assert_eq!(gate.partition("live").unwrap_err().field(), "partition");
        assert!(gate.admit(&Request::default()).unwrap().is_allowed());
    }
}

#[test]
fn a_dry_run_counts_a_refusal_of_the_concurrency_limit_once() {
    let clock = ManualClock::new(0);
    let database = concurrency(&clock, 1, Mode::Enforce);
    let concurrency = Some(("database".to_owned(), database.clone()));
    let gate = Gate::new(GateConfig { concurrency, mode: Mode::DryRun, ..config() }).unwrap();
    let held = gate.admit(&Request::default()).unwrap();
    assert_eq!(gate.admit(&Request::default()).unwrap().denied_by(), Some("database"));
    assert_eq!((database.stats().admitted, database.stats().refused, gate.stats().would_deny), (1, 1, 1));
    held.finish(Outcome::Success);
}
