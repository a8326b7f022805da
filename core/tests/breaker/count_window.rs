use super::*;
use std::collections::VecDeque;

#[test]
fn trips_exactly_at_the_failure_rate_once_min_calls_are_there() {
    let (breaker, _) = breaker(last(20));
    run(&breaker, "fffffffff");
    assert_eq!(breaker.state(), State::Closed, "nine calls say nothing");
    run(&breaker, "s");
    assert_eq!(breaker.state(), State::Open, "the success that completes min_calls is judged");
}

#[test]
fn a_rate_just_below_the_threshold_does_not_trip() {
    let (breaker, _) = breaker(last(20));
    run(&breaker, "sssssssssssfffffffff");
    let stats = breaker.stats();
    assert_eq!((stats.calls, stats.failed, stats.state), (20, 9, State::Closed));
    assert_eq!(stats.failure_rate, 0.45);
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Open, "the eleventh success has left the window");
}

#[test]
fn the_default_min_calls_is_lowered_to_the_window() {
    let (breaker, _) = breaker(last(4));
    run(&breaker, "sff");
    assert_eq!(breaker.state(), State::Closed);
    run(&breaker, "s");
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn ignored_and_released_calls_are_no_outcomes() {
    let (breaker, _) = breaker(BreakerConfig { min_calls: 2, ..last(4) });
    run(&breaker, "firirir");
    let stats = breaker.stats();
    assert_eq!((stats.calls, stats.failed, stats.state), (1, 1, State::Closed));
}

#[test]
fn slow_calls_count_by_their_own_duration_or_the_time_since_acquire() {
    let config =
        BreakerConfig { slow_call_duration: Some(ms(100)), slow_call_rate_threshold: 0.5, min_calls: 4, ..last(10) };
    let (breaker, clock) = breaker(config);
    let told = permit(&breaker);
    breaker.report(told, Outcome::Success, Some(ms(100)));
    breaker.report(permit(&breaker), Outcome::Success, Some(Duration::from_nanos(100 * MS - 1)));
    let measured = permit(&breaker);
    clock.advance(ms(99));
    breaker.report(measured, Outcome::Success, None);
    let stats = breaker.stats();
    assert_eq!((stats.calls, stats.slow, stats.slow_call_rate), (3, 1, 1.0 / 3.0));
    let measured = permit(&breaker);
    clock.advance(ms(100));
    breaker.report(measured, Outcome::Success, None);
    assert_eq!(breaker.state(), State::Open, "two of four were slow");
}

#[test]
fn a_failure_can_be_slow_as_well() {
    let (breaker, _) = breaker(BreakerConfig { slow_call_duration: Some(ms(1)), ..last(20) });
    breaker.report(permit(&breaker), Outcome::Failure, Some(ms(2)));
    let stats = breaker.stats();
    assert_eq!((stats.calls, stats.failed, stats.slow), (1, 1, 1));
}

#[test]
fn a_run_of_failures_trips_whatever_min_calls_says() {
    let config = BreakerConfig { consecutive_failures: Some(5), min_calls: 20, ..last(100) };
    let (breaker, _) = breaker(config);
    run(&breaker, "ffffsffff");
    assert_eq!(breaker.state(), State::Closed, "a success ends the run");
    run(&breaker, "irf");
    assert_eq!(breaker.state(), State::Open, "ignored calls do not");
}

#[test]
fn a_run_may_be_longer_than_the_window() {
    let config = BreakerConfig { consecutive_failures: Some(7), failure_rate_threshold: 1.0, min_calls: 3, ..last(3) };
    let (breaker, _) = breaker(config);
    run(&breaker, "s");
    // The window alone trips after "sfff"; a run of seven cannot be reached before it, so it must be the window's
    // doing.
    run(&breaker, "fff");
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn reads_no_clock_while_closed_without_slow_calls() {
    let (breaker, _) = breaker(last(20));
    let permit = permit(&breaker);
    assert_eq!(permit.started_ns, u64::MAX, "nothing needs the time");
}

/// Against a plain deque, for windows smaller than a chunk, equal to one, and over many.
#[test]
fn holds_the_last_n_calls_exactly() {
    for calls in [1, 2, 3, 15, 16, 17, 20, 31, 32, 33, 100, 333] {
        let config = BreakerConfig { slow_call_duration: Some(ms(1)), ..last(calls) };
        let (breaker, _) = breaker(config);
        breaker.metrics_only();
        let mut window = VecDeque::new();
        let mut random = 0x1234_5678_9abc_def0_u64 ^ u64::from(calls);
        for step in 0..3 * calls + 200 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let (failed, slow) = (random.is_multiple_of(3), random.is_multiple_of(5));
            let outcome = if failed { Outcome::Failure } else { Outcome::Success };
            breaker.report(permit(&breaker), outcome, Some(ms(u64::from(slow))));
            window.push_back((failed, slow));
            if window.len() > calls as usize {
                window.pop_front();
            }
            let stats = breaker.stats();
            let count = |which: fn(&(bool, bool)) -> bool| window.iter().filter(|call| which(call)).count() as u32;
            let expected = (window.len() as u32, count(|call| call.0), count(|call| call.1));
            assert_eq!((stats.calls, stats.failed, stats.slow), expected, "window {calls}, step {step}");
        }
    }
}

/// The rounds of a slot wrap after 2,048; nothing must change then.
#[test]
fn goes_on_when_the_rounds_wrap() {
    let (breaker, _) = breaker(last(20));
    for _ in 0..2_100 * 4 * 16 {
        run(&breaker, "s");
    }
    let before = breaker.stats();
    assert_eq!((before.calls, before.failed), (20, 0));
    run(&breaker, "fffffffff");
    assert_eq!(breaker.state(), State::Closed);
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Open);
}

/// A new generation may begin in the middle of a chunk or right behind a full one.
#[test]
fn a_reset_empties_the_window_wherever_the_log_stands() {
    for before in 0..40 {
        let (breaker, _) = breaker(BreakerConfig { min_calls: 4, failure_rate_threshold: 1.0, ..last(4) });
        run(&breaker, &"s".repeat(before));
        breaker.reset();
        assert_eq!(breaker.stats().calls, 0);
        run(&breaker, "fff");
        let stats = breaker.stats();
        assert_eq!((stats.calls, stats.failed, stats.state), (3, 3, State::Closed), "after {before}");
        run(&breaker, "f");
        assert_eq!(breaker.state(), State::Open);
    }
}
