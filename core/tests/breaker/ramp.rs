use super::*;
use tidegate::breaker::{EventKind, Rejected};

/// Two failures open it for a second; it comes back over ten, from a tenth.
fn config() -> BreakerConfig {
    BreakerConfig { min_calls: 2, cooldown: ms(1_000), ramp: Some(ms(10_000)), ..last(2) }
}

/// Closed right now, after its only probe.
fn closed(config: BreakerConfig) -> (CircuitBreaker, ManualClock) {
    let (breaker, clock) = breaker(config);
    close(&breaker, &clock);
    (breaker, clock)
}

fn close(breaker: &CircuitBreaker, clock: &ManualClock) {
    while breaker.state() == State::Closed {
        report(breaker, breaker.acquire_with(0.0).expect("it may pass"), 'f');
    }
    cool(breaker, clock);
    run(breaker, "s");
    assert_eq!((breaker.state(), breaker.stats().ramping), (State::Closed, breaker.config().ramp.is_some()));
}

fn passes(breaker: &CircuitBreaker, draw: f64) -> bool {
    breaker.acquire_with(draw).is_ok()
}

fn kinds(breaker: &CircuitBreaker) -> Vec<EventKind> {
    breaker.events_since(0).iter().map(|event| event.kind).collect()
}

#[test]
fn the_chance_grows_linearly_from_its_beginning_to_all() {
    let (breaker, clock) = closed(BreakerConfig { ramp_from: 0.2, ..config() });
    for (gone, chance) in [(0, 0.2), (2_500, 0.4), (5_000, 0.6), (9_999, 0.999)] {
        clock.set(8 * SECOND + gone * MS);
        assert!(passes(&breaker, chance - 0.001), "{gone} ms after closing");
        assert!(!passes(&breaker, chance + 0.001), "{gone} ms after closing");
    }
    clock.set(18 * SECOND);
    assert!(passes(&breaker, 0.9999) && !breaker.stats().ramping);
    assert_eq!(
        kinds(&breaker)[2..],
        [EventKind::ProbeSucceeded, EventKind::Closed, EventKind::RampStarted, EventKind::RampEnded]
    );
}

#[test]
fn a_call_that_the_ramp_refuses_is_told_so() {
    let (breaker, _) = closed(config());
    let Rejected { retry_after_ns, trip, ramping, .. } = breaker.acquire_with(0.5).expect_err("half is not a tenth");
    assert_eq!((retry_after_ns, ramping), (SECOND, true));
    assert_eq!(trip.map(|trip| (trip.calls, trip.failed)), Some((2, 2)));
    assert_eq!((breaker.stats().rejected, breaker.state(), breaker.retry_after_ns()), (1, State::Closed, 0));
    let text = breaker.acquire_with(0.5).expect_err("nor now").to_string();
    assert_eq!(text, "circuit has closed and lets calls back by degrees: try again in 1 s");
    assert!(!passes(&breaker, f64::NAN), "what is no draw passes nothing");
}

#[test]
fn a_new_circuit_and_one_that_was_reset_have_no_ramp() {
    let (breaker, clock) = breaker(config());
    assert!(passes(&breaker, 0.99));
    breaker.force_open();
    breaker.reset();
    assert!(passes(&breaker, 0.99));
    close(&breaker, &clock);
    assert!(!passes(&breaker, 0.99));
    breaker.reset();
    assert!(passes(&breaker, 0.99));
    assert_eq!(kinds(&breaker).last(), Some(&EventKind::RampEnded));
}

#[test]
fn calls_of_the_ramp_count_and_their_permits_outlive_it() {
    let (breaker, clock) =
        closed(BreakerConfig { min_calls: 4, ..BreakerConfig { window: Window::Calls(4), ..config() } });
    let early = [0.0, 0.01, 0.02].map(|draw| breaker.acquire_with(draw).expect("it may pass"));
    report(&breaker, early[0], 's');
    assert_eq!(breaker.stats().calls, 1);
    clock.advance(ms(10_000));
    assert!(passes(&breaker, 0.99) && !breaker.stats().ramping);
    report(&breaker, early[1], 'f');
    report(&breaker, early[2], 's');
    assert_eq!((breaker.stats().calls, breaker.stats().failed), (3, 1));
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Open, "2 of 4");
}

#[test]
fn a_trip_in_the_ramp_is_a_failed_probe_for_the_backoff() {
    let steep = || BreakerConfig { cooldown_backoff: 2.0, healthy_after: Some(ms(1)), ..config() };
    for (gone, again) in [(9_999, 2 * SECOND), (10_000, SECOND)] {
        let (breaker, clock) = closed(steep());
        clock.advance(ms(gone));
        for _ in 0..2 {
            report(&breaker, breaker.acquire_with(0.0).expect("it may pass"), 'f');
        }
        assert_eq!((breaker.state(), breaker.retry_after_ns()), (State::Open, again), "{gone} ms after closing");
    }
}

#[test]
fn the_backoff_starts_again_after_a_healthy_time() {
    let back = |healthy_after| BreakerConfig { ramp: None, cooldown_backoff: 2.0, healthy_after, ..config() };
    // By default the last cooldown: one second, after the first.
    for (healthy, gone, again) in [
        (None, 999, 2 * SECOND),
        (None, 1_000, SECOND),
        (Some(ms(5_000)), 4_999, 2 * SECOND),
        (Some(ms(5_000)), 5_000, SECOND),
    ] {
        let (breaker, clock) = closed(back(healthy));
        clock.advance(ms(gone));
        run(&breaker, "ff");
        assert_eq!(breaker.retry_after_ns(), again, "{gone} ms after closing, healthy after {healthy:?}");
    }
    // Openings in a row go on from where they were, and so does the default.
    let (breaker, clock) = closed(back(None));
    for expected in [2, 4, 8] {
        clock.advance(Duration::from_nanos(expected * SECOND / 2 - MS));
        run(&breaker, "ff");
        assert_eq!(breaker.retry_after_ns(), expected * SECOND);
        cool(&breaker, &clock);
        run(&breaker, "s");
    }
    clock.advance(ms(8_000));
    run(&breaker, "ff");
    assert_eq!(breaker.retry_after_ns(), SECOND);
}

#[test]
fn a_closing_dated_far_ahead_heals() {
    let (breaker, clock) = breaker(BreakerConfig { cooldown_backoff: 2.0, ..config() });
    run(&breaker, "ff");
    cool(&breaker, &clock);
    let probe = permit(&breaker);
    // A bad reading closes it in an hour.
    let now = clock.now();
    breaker.report_at(now + 3_600 * SECOND, probe, tidegate::breaker::Outcome::Success, None);
    for seconds in [0, 30, 59] {
        clock.set(now + seconds * SECOND);
        assert!(!passes(&breaker, 0.1) && passes(&breaker, 0.09), "{seconds} s later it is still the ramp's beginning");
    }
    clock.set(now + 60 * SECOND);
    assert!(passes(&breaker, 0.99));
    run(&breaker, "ff");
    assert_eq!(breaker.retry_after_ns(), SECOND, "it is long healthy");
}

/// A thread that comes late with an old reading neither ends a ramp nor gets more than its beginning.
#[test]
fn a_late_thread_gets_the_ramp_s_beginning() {
    let (breaker, _) = closed(config());
    for late in [0, SECOND, 7 * SECOND] {
        assert!(breaker.acquire_at(late, 0.1).is_err() && breaker.acquire_at(late, 0.09).is_ok());
    }
    assert!(breaker.stats().ramping);
}

/// Fifty who waited, each asking again when it was told to: at most 30 % get through in the first second.
#[test]
fn those_who_waited_do_not_return_at_once() {
    let mut through = Vec::new();
    for ramp in [Some(ms(10_000)), None] {
        let (breaker, clock) = closed(BreakerConfig { ramp, ..config() });
        let begun = clock.now();
        // Evenly spread draws, in an order that has nothing to do with their size.
        let mut draws = (0..).map(|i| f64::from(i * 37 % 100) / 100.0);
        let mut due = vec![begun; 50];
        let mut passed = 0;
        while let Some(next) = due.iter().copied().filter(|at| *at < begun + SECOND).min() {
            clock.set(next);
            let who = due.iter().position(|at| *at == next).expect("it is theirs");
            match breaker.acquire_with(draws.next().expect("endless")) {
                Ok(permit) => {
                    report(&breaker, permit, 's');
                    passed += 1;
                    due[who] = u64::MAX;
                }
                Err(refused) => due[who] = next + refused.retry_after_ns,
            }
        }
        through.push(passed);
    }
    assert!(through[0] > 0 && through[0] <= 15, "{through:?}");
    assert_eq!(through[1], 50, "without a ramp all do");
}
