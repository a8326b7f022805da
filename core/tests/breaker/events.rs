use super::*;
use tidegate::breaker::EventKind::{self, *};

fn kinds(breaker: &CircuitBreaker) -> Vec<EventKind> {
    breaker.events_since(0).iter().map(|event| event.kind).collect()
}

#[test]
fn transitions_and_probe_outcomes_in_order() {
    let config = BreakerConfig { min_calls: 2, probes: 2, probe_timeout: ms(1_000), ..last(2) };
    let (breaker, clock) = breaker(config);
    assert_eq!(breaker.events_since(0), []);
    open_and_cool(&breaker, &clock);
    permit(&breaker);
    refused_until_lost(&breaker, &clock);
    cool(&breaker, &clock);
    run(&breaker, "f");
    cool(&breaker, &clock);
    run(&breaker, "ss");
    let expected = [
        Opened,
        HalfOpened,
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

fn refused_until_lost(breaker: &CircuitBreaker, clock: &ManualClock) {
    permit(breaker);
    clock.advance(ms(1_000));
    refused(breaker);
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
