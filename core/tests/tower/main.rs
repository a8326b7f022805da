//! The tower layer: over real HTTP, and over services that watch how they are asked.
#![cfg(not(loom))]

mod gate;
mod http;
mod probe;

use probe::{Behaviour, Probe};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tidegate::breaker::{CallError, State};
use tidegate::outcome::{Classified, Outcome};
use tidegate::retry::{Next, RetryBudget, RetryBudgetConfig, RetryConfig, RetryPolicy, draw};
use tidegate::throttle::ClientThrottleConfig;
use tidegate::tower::{BreakerLayer, ForRequest, PolicyLayer, ThrottleLayer, Throttled};
use tidegate::{BreakerConfig, CircuitBreaker, ClientThrottle, Clock, ManualClock};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

type End = Result<u16, &'static str>;

fn classify(end: &End) -> Outcome {
    match end {
        Ok(200) => Outcome::Success,
        Ok(404) => Outcome::Ignore,
        Ok(_) | Err(_) => Outcome::Failure,
    }
}

fn breaker(clock: &ManualClock) -> Arc<CircuitBreaker> {
    let config = BreakerConfig {
        consecutive_failures: Some(2),
        cooldown: Duration::from_secs(10),
        probes: 1,
        ..BreakerConfig::default()
    };
    Arc::new(CircuitBreaker::with_clock("shop", config, Clock::from(clock)).expect("a breaker"))
}

/// A half-open circuit: the next call is its only probe.
fn half_open(clock: &ManualClock) -> Arc<CircuitBreaker> {
    let breaker = breaker(clock);
    for _ in 0..2 {
        breaker.enter().expect("closed").failure();
    }
    clock.advance(Duration::from_secs(11));
    breaker
}

/// What a future gives without waiting.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[test]
fn an_open_circuit_never_asks_the_service_below() {
    let (clock, probe) = (ManualClock::new(0), Probe::new(Behaviour::NeverReady));
    let breaker = breaker(&clock);
    let mut service = BreakerLayer::new(breaker.clone(), classify).layer(probe.clone());
    breaker.force_open();
    assert!(matches!(now(poll_fn(|context| service.poll_ready(context))), Some(Ok(()))));
    let refused = now(service.call(200)).expect("at once").expect_err("refused");
    assert!(matches!(refused, CallError::Rejected(rejected) if rejected.trip.is_none()));
    assert_eq!(probe.asked(), [0, 0]);
    breaker.reset();
    assert!(now(service.call(200)).is_none(), "waits for the service below");
    assert_eq!(probe.asked(), [1, 0]);
}

#[test]
fn readiness_takes_no_probe_and_no_place_below() {
    let clock = ManualClock::new(0);
    let breaker = half_open(&clock);
    let below = ConcurrencyLimit::new(Probe::new(Behaviour::Answers), 1);
    let service = BreakerLayer::new(breaker.clone(), classify).layer(below);
    let mut idle: Vec<_> = (0..3).map(|_| service.clone()).collect();
    for one in &mut idle {
        assert!(matches!(now(poll_fn(|context| one.poll_ready(context))), Some(Ok(()))));
    }
    assert_eq!(now(service.clone().oneshot(200)), Some(Ok(200)), "three that are ready and call nothing");
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_refused_call_keeps_no_place_below() {
    let clock = ManualClock::new(0);
    let breaker = breaker(&clock);
    let below = ConcurrencyLimit::new(Probe::new(Behaviour::Answers), 1);
    let mut service = BreakerLayer::new(breaker.clone(), classify).layer(below.clone());
    breaker.force_open();
    for _ in 0..3 {
        assert!(matches!(now(service.ready()), Some(Ok(_))));
        assert!(matches!(now(service.call(200)), Some(Err(CallError::Rejected(_)))));
    }
    assert_eq!(now(below.oneshot(200)), Some(Ok(200)));
}

#[test]
fn a_cancelled_call_is_neutral_and_its_probe_returns() {
    for behaviour in [Behaviour::NeverReady, Behaviour::NeverEnds] {
        let clock = ManualClock::new(0);
        let breaker = half_open(&clock);
        let layer = BreakerLayer::new(breaker.clone(), classify);
        let mut stuck = layer.layer(Probe::new(behaviour));
        for polled in [false, true] {
            let mut call = Box::pin(stuck.call(200));
            if polled {
                assert!(now(call.as_mut()).is_none());
            }
            assert!(matches!(now(stuck.call(200)), Some(Err(CallError::Rejected(_)))), "one probe is under way");
            drop(call);
            assert_eq!(breaker.state(), State::HalfOpen);
        }
        assert_eq!(now(layer.layer(Probe::new(Behaviour::Answers)).oneshot(200)), Some(Ok(200)));
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[test]
fn failures_open_it_and_others_do_not() {
    let clock = ManualClock::new(0);
    let breaker = breaker(&clock);
    let service = BreakerLayer::new(breaker.clone(), classify).layer(Probe::new(Behaviour::Answers));
    let ask = |status| now(service.clone().oneshot(status)).expect("at once");
    assert_eq!([ask(500), ask(404), ask(200), ask(500)], [Ok(500), Ok(404), Ok(200), Ok(500)]);
    assert_eq!(breaker.state(), State::Closed, "the run was broken");
    assert_eq!(ask(500), Ok(500));
    let refused = ask(200).expect_err("open");
    assert!(refused.to_string().starts_with("circuit is open"), "{refused}");
    clock.advance(Duration::from_secs(11));
    assert_eq!(ask(200), Ok(200));
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn what_fails_to_become_ready_has_failed() {
    let clock = ManualClock::new(0);
    let breaker = breaker(&clock);
    let service = BreakerLayer::new(breaker.clone(), classify).layer(Probe::new(Behaviour::NotReady));
    for _ in 0..2 {
        assert_eq!(now(service.clone().oneshot(200)), Some(Err(CallError::Failed("not ready"))));
    }
    assert!(matches!(now(service.clone().oneshot(200)), Some(Err(CallError::Rejected(_)))));
}

#[test]
fn a_panic_is_a_failure_and_goes_on() {
    let clock = ManualClock::new(0);
    let breaker = breaker(&clock);
    let panics = |call: &dyn Fn() -> Option<Result<u16, _>>| catch_unwind(AssertUnwindSafe(call)).is_err();
    let below = BreakerLayer::new(breaker.clone(), classify).layer(Probe::new(Behaviour::Panics));
    assert!(panics(&|| now(below.clone().oneshot(200))));
    assert_eq!(breaker.stats().failed, 1);
    let judge = |_: &End| -> Outcome { panic!("a classifier") };
    let judged = BreakerLayer::new(breaker.clone(), judge).layer(Probe::new(Behaviour::Answers));
    assert!(panics(&|| now(judged.clone().oneshot(200))));
    assert_eq!(breaker.state(), State::Open);
}

/// How often it can still be cloned; once more is a panic.
struct Clones(u32);

impl Clone for Clones {
    fn clone(&self) -> Self {
        Self(self.0.checked_sub(1).expect("a clone"))
    }
}

#[test]
fn a_panic_before_the_call_loses_no_probe() {
    let clock = ManualClock::new(0);
    let in_service = half_open(&clock);
    let one = Clones(0);
    let below = service_fn(move |status: u16| {
        let _ = &one;
        async move { End::Ok(status) }
    });
    let mut service = BreakerLayer::new(in_service.clone(), classify).layer(below);
    assert!(catch_unwind(AssertUnwindSafe(|| now(service.call(200)))).is_err());
    let in_classifier = half_open(&clock);
    // The layer's own is made first.
    let one = Clones(1);
    let judge = move |end: &End| {
        let _ = &one;
        classify(end)
    };
    let mut service = PolicyLayer::new(in_classifier.clone(), judge).layer(Probe::new(Behaviour::Answers));
    assert!(catch_unwind(AssertUnwindSafe(|| now(service.call(200)))).is_err());
    for breaker in [in_service, in_classifier] {
        assert_eq!(breaker.state(), State::Open, "the probe has failed");
    }
}

#[test]
fn a_retry_after_is_the_cooldown() {
    let clock = ManualClock::new(0);
    let config = BreakerConfig {
        consecutive_failures: Some(1),
        max_cooldown: Some(Duration::from_secs(300)),
        ..BreakerConfig::default()
    };
    let breaker = Arc::new(CircuitBreaker::with_clock("shop", config, Clock::from(&clock)).expect("a breaker"));
    let told = |_: &End| Classified { outcome: Outcome::Failure, retry_after: Some(Duration::from_secs(77)) };
    let service = BreakerLayer::new(breaker, told).layer(Probe::new(Behaviour::Answers));
    assert_eq!(now(service.clone().oneshot(503)), Some(Ok(503)));
    let Some(Err(CallError::Rejected(rejected))) = now(service.oneshot(200)) else { panic!("it is open") };
    assert_eq!(rejected.retry_after(), Some(Duration::from_secs(77)));
}

#[test]
fn a_throttle_hears_of_calls_and_refuses_some() {
    let clock = ManualClock::new(0);
    let config = ClientThrottleConfig { max_rejection: 1.0, ..ClientThrottleConfig::default() };
    let throttle = Arc::new(ClientThrottle::with_clock(config, Clock::from(&clock)).expect("a throttle"));
    let service = ThrottleLayer::new(throttle.clone(), classify).layer(Probe::new(Behaviour::Answers));
    let ask = |status| now(service.clone().oneshot(status)).expect("at once");
    for status in [200, 404, 500] {
        assert_eq!(ask(status), Ok(status));
    }
    let stats = throttle.stats();
    assert_eq!((stats.accepted, stats.refused), (1, 1), "a 404 is nothing");
    let refused = (0..2_000).filter_map(|_| ask(500).err()).next_back().expect("some are refused");
    let CallError::Rejected(Throttled { retry_after_ns }) = refused else { panic!("{refused}") };
    assert!(retry_after_ns <= 1_000_000_000);
    assert!(refused.to_string().starts_with("throttled: try again"), "{refused}");
}

#[test]
fn a_function_of_the_request_chooses() {
    let clock = ManualClock::new(0);
    let (odd, even) = (breaker(&clock), breaker(&clock));
    let choose = {
        let (odd, even) = (odd.clone(), even.clone());
        move |status: &u16| (*status != 200).then(|| if status.is_multiple_of(2) { even.clone() } else { odd.clone() })
    };
    let service = PolicyLayer::new(ForRequest(choose), classify).layer(Probe::new(Behaviour::Answers));
    let ask = |status| now(service.clone().oneshot(status)).expect("at once");
    assert_eq!([ask(500), ask(500)], [Ok(500), Ok(500)]);
    assert_eq!([even.state(), odd.state()], [State::Open, State::Closed]);
    assert!(matches!(ask(502), Err(CallError::Rejected(_))));
    assert_eq!([ask(501), ask(200)], [Ok(501), Ok(200)]);
}

/// tower's own retry layer, by this crate's rules.
#[derive(Clone)]
struct Attempts {
    policy: RetryPolicy,
    budget: Arc<RetryBudget>,
    made: u64,
    previous: f64,
}

impl<E> tower::retry::Policy<u16, u16, CallError<E>> for Attempts {
    type Future = tokio::time::Sleep;

    fn retry(&mut self, _: &mut u16, end: &mut Result<u16, CallError<E>>) -> Option<Self::Future> {
        let failed = match end {
            Ok(status) => *status >= 500,
            Err(error) => matches!(error, CallError::Failed(_)),
        };
        if !failed {
            return None;
        }
        self.made += 1;
        match self.policy.next(self.made, draw(), &mut self.previous, None, Duration::ZERO) {
            Next::Wait(wait) if self.budget.try_withdraw() => Some(tokio::time::sleep(wait)),
            _ => None,
        }
    }

    fn clone_request(&mut self, request: &u16) -> Option<u16> {
        if self.made == 0 {
            self.budget.deposit();
        }
        Some(*request)
    }
}

#[tokio::test]
async fn towers_retry_asks_no_open_circuit_again() {
    let clock = ManualClock::new(0);
    let (breaker, probe) = (breaker(&clock), Probe::new(Behaviour::Answers));
    let retry = RetryConfig { attempts: 5, base: Duration::from_micros(10), ..RetryConfig::default() };
    let attempts = Attempts {
        policy: RetryPolicy::new(retry).expect("a policy"),
        budget: Arc::new(RetryBudget::new(RetryBudgetConfig::default()).expect("a budget")),
        made: 0,
        previous: 0.0,
    };
    let budget = attempts.budget.clone();
    let service = ServiceBuilder::new()
        .retry(attempts)
        .layer(BreakerLayer::new(breaker.clone(), classify))
        .service(probe.clone());
    let refused = service.oneshot(500).await.expect_err("the third attempt");
    assert!(matches!(refused, CallError::Rejected(_)));
    assert_eq!(probe.asked()[1], 2, "each attempt is one call of the breaker");
    assert_eq!(budget.stats().withdrawn, 2);
}

#[test]
fn it_goes_where_its_parts_go() {
    fn is_sendable<T: Send + Sync + 'static>(_: &T) {}
    let clock = ManualClock::new(0);
    let answer = service_fn(|status: u16| std::future::ready::<End>(Ok(status)));
    let mut service = BreakerLayer::new(breaker(&clock), classify).layer(answer);
    is_sendable(&service);
    is_sendable(&service.call(200));
}
