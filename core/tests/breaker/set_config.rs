//! Settings that are changed at run time.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use tidegate::ConfigErrorKind;
use tidegate::breaker::EventKind;

fn set(breaker: &CircuitBreaker, change: impl FnOnce(&mut BreakerConfig)) {
    breaker.update_config(change).expect("settings that have room");
}

#[test]
fn state_window_and_permits_stay() {
    let (breaker, clock) = breaker(last(20));
    run(&breaker, "sfsf");
    let early = permit(&breaker);
    set(&breaker, |config| {
        config.failure_rate_threshold = 0.6;
        config.min_calls = 5;
        config.cooldown = ms(250);
    });
    assert_eq!((breaker.state(), breaker.stats().calls), (State::Closed, 4), "the change judges nothing");
    report(&breaker, early, 'f');
    assert_eq!((breaker.state(), refused(&breaker)), (State::Open, 250 * MS));
    let stays = breaker.retry_after_ns();
    set(&breaker, |config| config.cooldown = ms(10));
    assert_eq!(breaker.retry_after_ns(), stays, "a cooldown ends when it was to");
    clock.advance(ms(250));
    let probe = permit(&breaker);
    set(&breaker, |config| config.probe_timeout = ms(1));
    clock.advance(ms(59_999));
    assert!(breaker.acquire().is_err(), "a lease as well");
    report(&breaker, probe, 's');
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_cycle_takes_as_many_probes_as_it_began_with() {
    let config = BreakerConfig { consecutive_failures: Some(1), probes: 2, ..last(20) };
    let (breaker, clock) = breaker(config);
    run(&breaker, "f");
    clock.advance(Duration::from_secs(30));
    let probes = [permit(&breaker), permit(&breaker)];
    set(&breaker, |config| config.probes = 4);
    assert!(breaker.acquire().is_err());
    probes.into_iter().for_each(|probe| report(&breaker, probe, 's'));
    assert_eq!(breaker.state(), State::Closed);
    run(&breaker, "f");
    clock.advance(Duration::from_secs(60));
    let probes: Vec<_> = std::iter::from_fn(|| breaker.acquire().ok()).collect();
    assert_eq!(probes.len(), 4, "the next one as many as there are now");
}

#[test]
fn a_window_holds_what_it_would_had_it_always_been_so_large() {
    let (breaker, _) = breaker(BreakerConfig { failure_rate_threshold: 1.0, ..last(20) });
    run(&breaker, &"f".repeat(9));
    run(&breaker, &"s".repeat(30));
    assert_eq!((breaker.stats().calls, breaker.stats().failed), (20, 0));
    set(&breaker, |config| config.window = Window::Calls(35));
    assert_eq!((breaker.stats().calls, breaker.stats().failed), (35, 5));
    set(&breaker, |config| config.window = Window::Calls(992));
    assert_eq!((breaker.stats().calls, breaker.stats().failed), (39, 9));
    set(&breaker, |config| config.window = Window::Calls(10));
    assert_eq!((breaker.stats().calls, breaker.stats().failed), (10, 0));
}

#[test]
fn a_window_of_time_too() {
    let ten = Window::Duration(Duration::from_secs(10));
    let (breaker, clock) = breaker(BreakerConfig { window: ten, failure_rate_threshold: 1.0, ..last(20) });
    for _ in 0..60 {
        run(&breaker, "s");
        clock.advance(Duration::from_secs(1));
    }
    clock.advance(Duration::ZERO);
    for (seconds, calls) in [(10, 9), (50, 49), (5, 4), (20, 19)] {
        set(&breaker, |config| config.window = Window::Duration(Duration::from_secs(seconds)));
        assert_eq!(breaker.stats().calls, calls, "{seconds} s");
    }
}

/// Such a call has taken no time that anybody knows.
#[test]
fn a_call_that_began_while_none_was_slow_is_not() {
    let (breaker, clock) = breaker(last(20));
    let early = [permit(&breaker), permit(&breaker)];
    set(&breaker, |config| config.slow_call_duration = Some(ms(100)));
    let late = permit(&breaker);
    clock.advance(ms(150));
    report(&breaker, early[0], 's');
    assert_eq!(breaker.stats().slow, 0);
    breaker.report(early[1], Outcome::Success, Some(ms(100)));
    report(&breaker, late, 's');
    assert_eq!(breaker.stats().slow, 2);
}

#[test]
fn failures_in_a_row_count_from_the_change_that_asks_for_them() {
    let (breaker, _) = breaker(BreakerConfig { consecutive_failures: Some(5), ..last(20) });
    run(&breaker, "fff");
    set(&breaker, |config| config.consecutive_failures = None);
    run(&breaker, "sf");
    set(&breaker, |config| config.consecutive_failures = Some(3));
    run(&breaker, "ff");
    assert_eq!(breaker.state(), State::Closed);
    set(&breaker, |config| config.consecutive_failures = Some(2));
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Open, "three of two");
}

#[test]
fn a_ramp_that_is_taken_away_is_over() {
    let config = BreakerConfig { consecutive_failures: Some(1), ramp: Some(ms(1_000)), ..last(20) };
    let (breaker, clock) = breaker(config);
    run(&breaker, "f");
    clock.advance(Duration::from_secs(30));
    run(&breaker, "s");
    assert!(breaker.acquire_with(0.9).is_err());
    set(&breaker, |config| config.ramp = None);
    assert!(breaker.acquire_with(0.9).is_ok() && !breaker.stats().ramping);
}

#[test]
fn what_has_no_room_is_refused_and_changes_nothing() {
    let (breaker, _) = breaker(last(20));
    let refused = |change: fn(&mut BreakerConfig), kind, says: &str| {
        let error = breaker.update_config(change).expect_err(says);
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(breaker.config(), last(20));
    };
    refused(
        |config| config.window = Window::Duration(ms(10_000)),
        ConfigErrorKind::Conflict,
        "window: this breaker's window is one of calls and its kind stays",
    );
    refused(
        |config| config.window = Window::Calls(993),
        ConfigErrorKind::OutOfRange,
        "window: 993 is not within 1 to 992, what this breaker has had room for since it was made",
    );
    refused(|config| config.probes = 17, ConfigErrorKind::OutOfRange, "probes: 17 is not within 1 to 16");
    refused(
        |config| config.probe_timeout = Duration::from_secs(100_000),
        ConfigErrorKind::OutOfRange,
        "probe_timeout: 100000s cannot be told",
    );
    refused(|config| config.min_calls = 0, ConfigErrorKind::OutOfRange, "min_calls: 0 is not within");
    let ten = BreakerConfig { window: Window::Duration(Duration::from_secs(10)), ..last(20) };
    let (breaker, _) = super::breaker(ten);
    for seconds in [4, 51] {
        let other = BreakerConfig { window: Window::Duration(Duration::from_secs(seconds)), ..last(20) };
        let error = breaker.set_config(&other).expect_err("no room");
        assert!(error.to_string().contains("is not within 5s to 50s"), "{error}");
    }
    assert!(breaker.set_config(&last(20)).expect_err("calls").to_string().contains("is one of time"));
    assert!(breaker.events_since(0).is_empty());
}

#[test]
fn a_change_is_told_once_and_only_where_it_is_one() {
    let (breaker, clock) = breaker(last(20));
    breaker.set_config(&last(20)).expect("the same");
    assert!(breaker.events_since(0).is_empty());
    clock.advance(ms(5));
    breaker.set_config(&last(30)).expect("another");
    let events = breaker.events_since(0);
    assert_eq!((events.len(), events[0].kind, events[0].at_ns), (1, EventKind::Configured, 7 * SECOND + 5 * MS));
}

/// What reporters judge by is always one of the two: both trip at a window full of failures, and neither at a mixture
/// of the lower rate of one with the fewer calls of the other.
#[test]
fn reports_that_race_with_changes_go_by_one_of_the_two() {
    // Of every four calls two fail. The first never has its 64 calls at 0.6, the second never its rate of 0.9.
    let of_many = BreakerConfig { failure_rate_threshold: 0.45, min_calls: 900, ..last(900) };
    let of_few = BreakerConfig { failure_rate_threshold: 0.9, min_calls: 8, ..last(900) };
    let (breaker, _) = breaker(of_many.clone());
    let done = AtomicBool::new(false);
    scope(|threads| {
        let reporters: Vec<_> = (0..3)
            .map(|_| {
                threads.spawn(|| {
                    for round in 0..4_000 {
                        run(&breaker, "sfsf");
                        if round % 50 == 49 {
                            // Long before there are as many calls as the first asks for.
                            breaker.reset();
                        }
                    }
                })
            })
            .collect();
        threads.spawn(|| {
            let mut changes = 0;
            while !done.load(Ordering::Relaxed) || changes < 100 {
                changes += 1;
                let next = if changes % 2 == 0 { &of_many } else { &of_few };
                breaker.set_config(next).expect("room");
                let now = breaker.config();
                assert!(now == of_many || now == of_few, "{now:?}");
            }
        });
        reporters.into_iter().for_each(|reporter| reporter.join().expect("no panic"));
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(breaker.stats().opened, 0);
}
