use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidegate::breaker::CallError;

fn counts(breaker: &CircuitBreaker) -> (u32, u32) {
    let stats = breaker.stats();
    (stats.calls, stats.failed)
}

#[test]
fn call_reports_what_the_closure_returns() {
    let (breaker, _) = breaker(BreakerConfig { min_calls: 3, ..last(3) });
    assert_eq!(breaker.call(|| Ok::<_, &str>(41)), Ok(41));
    assert_eq!(breaker.call(|| Err::<(), _>("timed out")), Err(CallError::Failed("timed out")));
    assert_eq!(counts(&breaker), (2, 1));
    assert_eq!(breaker.call(|| Err::<(), _>("timed out")), Err(CallError::Failed("timed out")));
    let refused = breaker.call(|| -> Result<(), &str> { panic!("must not run") });
    let Err(CallError::Rejected(rejected)) = refused else { panic!("{refused:?}") };
    assert_eq!(rejected.retry_after(), Some(Duration::from_secs(30)));
    assert_eq!(refused.unwrap_err().to_string(), "circuit is open (2 of 3 calls failed): try again in 30 s");
}

#[test]
fn a_panic_is_a_failure_and_goes_on() {
    let (breaker, _) = breaker(last(20));
    let caught = catch_unwind(AssertUnwindSafe(|| breaker.call(|| -> Result<(), ()> { panic!("boom") })));
    assert_eq!(*caught.expect_err("goes on").downcast::<&str>().expect("the same panic"), "boom");
    assert_eq!(counts(&breaker), (1, 1));
}

#[test]
fn a_panicking_probe_opens_again() {
    let (breaker, clock) = breaker(BreakerConfig { min_calls: 2, ..last(2) });
    open_and_cool(&breaker, &clock);
    let _ = catch_unwind(AssertUnwindSafe(|| breaker.call(|| -> Result<(), ()> { panic!("boom") })));
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_guard_reports_once_and_is_released_when_dropped() {
    let (breaker, clock) = breaker(BreakerConfig { min_calls: 2, slow_call_duration: Some(ms(5)), ..last(3) });
    breaker.enter().expect("closed").success();
    breaker.enter().expect("closed").ignore();
    drop(breaker.enter().expect("closed"));
    assert_eq!(counts(&breaker), (1, 0));
    breaker.enter().expect("closed").report(Outcome::Success, Some(ms(5)));
    assert_eq!(breaker.stats().slow, 1);
    breaker.enter().expect("closed").failure();
    breaker.enter().expect("closed").retry_after(ms(90_000));
    assert_eq!(refused(&breaker), 90 * SECOND);
    cool(&breaker, &clock);
    drop(breaker.enter().expect("a probe"));
    assert_eq!(breaker.retry_after_ns(), 0, "the slot is free again");
    breaker.enter().expect("a probe").success();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn the_permit_is_two_words_by_value() {
    assert_eq!(size_of::<Permit>(), 16);
    fn copies<T: Copy + Send + Sync + 'static>() {}
    copies::<Permit>();
    fn shares<T: Send + Sync>() {}
    shares::<CircuitBreaker>();
}
