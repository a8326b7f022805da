use super::*;
use tidegate::breaker::EventKind::{self, *};
use tidegate::breaker::Trip;

fn kinds(breaker: &CircuitBreaker) -> Vec<EventKind> {
    breaker.events_since(0).iter().map(|event| event.kind).collect()
}

#[test]
fn transitions_and_probe_outcomes_in_order() {
    let config = BreakerConfig { min_calls: 2, probes: 2, probe_timeout: ms(1_000), ..last(2) };
    let (breaker, clock) = breaker(config);
    assert_eq!(breaker.events_since(0), []);
    open_and_cool(&breaker, &clock);
    lose_all(&breaker, &clock, 2);
    cool(&breaker, &clock);
    run(&breaker, "f");
    cool(&breaker, &clock);
    run(&breaker, "ss");
    let expected = [
        Opened,
        HalfOpened,
        ProbeLost,
        ProbeLost,
        ProbeLost,
        ProbeLost,
        Opened,
        HalfOpened,
        ProbeFailed,
        Opened,
        HalfOpened,
        ProbeSucceeded,
        ProbeSucceeded,
        Closed,
    ];
    assert_eq!(kinds(&breaker), expected, "a probe's outcome comes before the transition it causes");
}

#[test]
fn an_opening_says_what_opened_it() {
    let config = BreakerConfig { min_calls: 4, slow_call_duration: Some(ms(100)), ..last(8) };
    let (breaker, clock) = breaker(config);
    let trip = |calls, failed, slow| move |it: Trip| (it.calls, it.failed, it.slow) == (calls, failed, slow);
    assert_eq!(breaker.stats().last_trip, None);
    run(&breaker, "sf");
    let call = permit(&breaker);
    clock.advance(ms(100));
    report(&breaker, call, 's');
    run(&breaker, "f");
    let stats = breaker.stats();
    assert_eq!((stats.state, stats.calls), (State::Open, 0), "the window of the new state is empty");
    let last = stats.last_trip.expect("it tripped");
    assert!(trip(4, 2, 1)(last), "{last:?}");
    assert_eq!((last.failure_rate(), last.slow_call_rate()), (0.5, 0.25));
    assert_eq!(breaker.acquire().expect_err("open").trip, Some(last));
    assert_eq!(breaker.events_since(0).pop().expect("an event").trip, Some(last));
    cool(&breaker, &clock);
    let probe = permit(&breaker);
    assert_eq!(breaker.acquire().expect_err("one probe").trip, Some(last), "half-open still says why");
    report(&breaker, probe, 'f');
    assert!(breaker.acquire().expect_err("open again").trip.is_some_and(trip(1, 1, 0)), "the probes' own");
    breaker.force_open();
    assert_eq!(breaker.acquire().expect_err("by hand").trip, None);
    assert!(breaker.stats().last_trip.is_some_and(trip(1, 1, 0)));
    breaker.reset();
    assert!(breaker.stats().last_trip.is_some_and(trip(1, 1, 0)), "the last one stays readable");
    let trips = breaker.events_since(0).into_iter().filter_map(|event| event.trip);
    assert!(trips.eq([last, breaker.stats().last_trip.expect("it tripped")]));
}

#[test]
fn the_events_trips_come_round_with_the_ring() {
    let (breaker, clock) = breaker(BreakerConfig { consecutive_failures: Some(1), min_calls: 1, ..last(16) });
    for successes in 0..100 {
        // At most one in 16 fails, so that the run alone trips: each opening has a count of its own.
        run(&breaker, &"s".repeat(successes % 16));
        run(&breaker, "f");
        let event = *breaker.events_since(0).last().expect("an event");
        assert_eq!(event.trip.map(|trip| trip.calls), Some((successes % 16 + 1) as u32));
        cool(&breaker, &clock);
        run(&breaker, "s");
    }
    for event in breaker.events_since(0) {
        assert_eq!(event.trip.is_some(), event.kind == Opened, "{event:?}");
    }
}

#[test]
fn switches_are_events_when_they_change_the_state() {
    let (breaker, _) = breaker(last(20));
    breaker.reset();
    breaker.force_open();
    breaker.force_open();
    breaker.disable();
    breaker.metrics_only();
    breaker.reset();
    assert_eq!(kinds(&breaker), [ForcedOpen, Disabled, MetricsOnly, Closed]);
}

#[test]
fn carry_the_clocks_time_to_the_millisecond() {
    let (breaker, clock) = breaker(last(20));
    clock.advance(Duration::from_nanos(1_234_567_890));
    breaker.force_open();
    let event = breaker.events_since(0)[0];
    assert_eq!((event.seq, event.at_ns), (0, 7 * SECOND + 1_234 * MS));
    breaker.reset_at(clock.now() + SECOND);
    assert_eq!(breaker.events_since(1)[0].at_ns, 7 * SECOND + 2_234 * MS);
}

#[test]
fn polling_sees_each_once_and_a_gap_where_it_came_too_late() {
    let (breaker, _) = breaker(last(20));
    let mut next = 0;
    for round in 0..40_u64 {
        breaker.force_open();
        breaker.reset();
        let events = breaker.events_since(next);
        assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [2 * round, 2 * round + 1]);
        next = 2 * round + 2;
    }
    assert_eq!(breaker.events_since(next), []);
    let held = breaker.events_since(0);
    assert_eq!((held.len(), held[0].seq, held[63].seq), (64, 16, 79), "the latest 64");
    assert_eq!(breaker.events_since(u64::MAX), []);
}

#[test]
fn refusals_are_no_events() {
    let (breaker, _) = breaker(BreakerConfig { min_calls: 2, ..last(2) });
    run(&breaker, "ff");
    for _ in 0..100 {
        refused(&breaker);
    }
    assert_eq!(kinds(&breaker), [Opened]);
    assert_eq!(breaker.stats().rejected, 100);
}

/// Whoever plays the vectors is held to each kind.
#[test]
fn the_vectors_have_every_kind() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/circuit_breaker.json");
    let vectors = std::fs::read_to_string(file).expect("the vectors");
    for kind in EventKind::ALL {
        assert!(vectors.contains(&format!("\"kind\":\"{}\"", kind.name())), "{}", kind.name());
    }
}
