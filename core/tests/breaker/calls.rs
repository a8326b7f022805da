use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidegate::breaker::{CallError, Classified};

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

#[test]
fn a_classifier_says_what_a_call_s_end_means() {
    let (breaker, clock) = breaker(BreakerConfig { min_calls: 2, ..last(2) });
    let half =
        |rows: &Result<usize, ()>| if rows.is_ok_and(|rows| rows < 10) { Outcome::Failure } else { Outcome::Ignore };
    assert_eq!(breaker.call_as(|| Ok(5), half), Ok(5));
    assert_eq!(breaker.call_as(|| Err::<usize, _>(()), half), Err(CallError::Failed(())));
    assert_eq!((breaker.stats().calls, breaker.stats().failed), (1, 1));
    let asked = |_: &Result<(), ()>| Classified { outcome: Outcome::Failure, retry_after: Some(ms(90_000)) };
    assert_eq!(breaker.call_as(|| Ok::<_, ()>(()), asked), Ok(()));
    assert_eq!(breaker.retry_after_ns(), 90 * SECOND);
    clock.advance(ms(90_000));
    let panics = || breaker.call_as(|| Ok::<_, ()>(()), |_| -> Outcome { panic!("a classifier") });
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert_eq!(breaker.state(), State::Open, "its probe failed");
}

/// Of calls within calls the outer one hears only what the dependency did.
#[test]
fn a_refusal_within_says_nothing_of_the_dependency() {
    let (outer, _) = breaker(BreakerConfig { consecutive_failures: Some(1), ..last(2) });
    let (inner, _) = breaker(BreakerConfig { consecutive_failures: Some(1), ..last(2) });
    let ask = |end: Result<(), ()>| {
        outer.call_as(
            || inner.call(|| end),
            |end| match end {
                Ok(()) => Outcome::Success.into(),
                Err(error) => error.classified(|()| Outcome::Ignore),
            },
        )
    };
    assert_eq!(ask(Ok(())), Ok(()));
    assert_eq!(ask(Err(())), Err(CallError::Failed(CallError::Failed(()))), "a failure is what is said of it");
    assert_eq!((inner.state(), outer.state()), (State::Open, State::Closed));
    let refused = ask(Ok(())).expect_err("by the inner one");
    assert!(matches!(&refused, CallError::Failed(CallError::Rejected(_))), "{refused:?}");
    assert_eq!((outer.state(), outer.stats().calls), (State::Closed, 1));
    assert_eq!(refused.classified(|_| Outcome::Failure), Classified::from(Outcome::Failure));
}

#[test]
fn unreached_is_a_failure_while_closed_and_nothing_of_a_probe() {
    let (breaker, clock) = breaker(BreakerConfig { min_calls: 2, ..last(2) });
    for _ in 0..2 {
        breaker.enter().expect("a permit").unreached();
    }
    assert_eq!(breaker.state(), State::Open);
    cool(&breaker, &clock);
    for _ in 0..20 {
        breaker.enter().expect("the slot is free again").unreached();
        assert_eq!(breaker.state(), State::HalfOpen);
    }
    run(&breaker, "s");
    assert_eq!(breaker.state(), State::Closed);
}

/// Every outcome with a duration and with a Retry-After: each counts, or the outcome says nothing at all.
#[test]
fn a_report_drops_nothing_that_it_is_told() {
    use Outcome::{Failure, Ignore, Slow, Success, Unreached};
    for outcome in [Success, Failure, Ignore, Unreached, Slow] {
        for duration in [None, Some(ms(4)), Some(ms(5))] {
            for retry_after in [None, Some(ms(90_000))] {
                let config = BreakerConfig { min_calls: 1, slow_call_duration: Some(ms(5)), ..last(3) };
                let (breaker, _) = breaker(config);
                let classified = Classified { outcome, retry_after };
                breaker.enter().expect("closed").report_classified(classified, duration);
                let slow = outcome == Slow || duration == Some(ms(5));
                let opens = outcome != Ignore && (outcome.failed() || slow);
                assert_eq!(breaker.state() == State::Open, opens, "{classified:?}, {duration:?}");
                if opens {
                    let trip = breaker.stats().last_trip.expect("it is open");
                    assert_eq!((trip.failed, trip.slow), (outcome.failed().into(), slow.into()));
                    assert_eq!(breaker.retry_after_ns(), if retry_after.is_some() { 90 } else { 30 } * SECOND);
                }
            }
        }
    }
}

#[test]
fn a_timed_permit_knows_how_long_ago_it_was_acquired() {
    let (breaker, clock) = breaker(last(3));
    let (plain, timed) = (breaker.acquire().expect("closed"), breaker.acquire_timed().expect("closed"));
    clock.advance(ms(7));
    assert_eq!((breaker.took(plain), breaker.took(timed)), (None, Some(ms(7))));
    breaker.report(timed, Outcome::Success, None);
    assert_eq!(breaker.stats().slow, 0, "by its own settings none is");
}
