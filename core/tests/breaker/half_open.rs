use super::*;
use tidegate::breaker::EventKind;

fn probing(probes: u32) -> (CircuitBreaker, ManualClock) {
    let config = BreakerConfig { min_calls: 2, probes, cooldown: ms(1_000), probe_timeout: ms(5_000), ..last(2) };
    let (breaker, clock) = breaker(config);
    open_and_cool(&breaker, &clock);
    (breaker, clock)
}

#[test]
fn one_good_probe_closes_with_an_empty_window() {
    let (breaker, _) = probing(1);
    let probe = permit(&breaker);
    assert_eq!(refused(&breaker), SECOND, "the lease lasts longer than a cooldown, which is the most it says");
    report(&breaker, probe, 's');
    let stats = breaker.stats();
    assert_eq!((stats.state, stats.calls), (State::Closed, 0));
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Closed, "min_calls counts afresh");
}

#[test]
fn one_bad_probe_opens_again() {
    let (breaker, _) = probing(1);
    run(&breaker, "f");
    assert_eq!((breaker.state(), refused(&breaker)), (State::Open, SECOND));
}

#[test]
fn no_more_probes_than_slots() {
    let (breaker, _) = probing(3);
    let probes = [permit(&breaker), permit(&breaker), permit(&breaker)];
    assert_eq!(breaker.retry_after_ns(), 0, "half-open is not open");
    refused(&breaker);
    report(&breaker, probes[1], 's');
    refused(&breaker);
    report(&breaker, probes[0], 's');
    assert_eq!(breaker.state(), State::HalfOpen);
    report(&breaker, probes[2], 's');
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn the_verdict_falls_as_soon_as_it_is_certain() {
    let (breaker, _) = probing(4);
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::HalfOpen, "one of four is below one half");
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Open, "two of four is not");
}

#[test]
fn the_rate_over_all_probes_decides() {
    let (breaker, _) = probing(5);
    run(&breaker, "fsfss");
    assert_eq!(breaker.state(), State::Closed, "two of five failed");
}

#[test]
fn slow_probes_open_again() {
    let config = BreakerConfig {
        min_calls: 2,
        slow_call_duration: Some(ms(100)),
        slow_call_rate_threshold: 0.5,
        probes: 4,
        cooldown: ms(1_000),
        ..last(2)
    };
    let (breaker, clock) = breaker(config);
    open_and_cool(&breaker, &clock);
    for _ in 0..2 {
        let probe = permit(&breaker);
        clock.advance(ms(100));
        report(&breaker, probe, 's');
    }
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn ignored_and_released_probes_give_their_slot_back() {
    let (breaker, _) = probing(1);
    run(&breaker, "iriririrririiiiiiiiiiiiiiii");
    assert_eq!((breaker.state(), breaker.retry_after_ns()), (State::HalfOpen, 0));
    run(&breaker, "s");
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_run_of_failures_plays_no_part() {
    let config = BreakerConfig { consecutive_failures: Some(1), probes: 4, cooldown: ms(1_000), ..last(20) };
    let (breaker, clock) = breaker(config);
    open_and_cool(&breaker, &clock);
    run(&breaker, "fsss");
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_probe_that_never_reports_is_lost_and_half_open_cannot_stick() {
    let (breaker, clock) = probing(1);
    let mut lost = vec![permit(&breaker)];
    clock.advance(Duration::from_nanos(5 * SECOND - 1));
    assert_eq!(refused(&breaker), 1);
    clock.advance(Duration::from_nanos(1));
    lost.push(permit(&breaker));
    assert_eq!(breaker.state(), State::HalfOpen, "lost once, it says nothing: the slot goes to the next caller");
    clock.advance(Duration::from_nanos(5 * SECOND));
    assert_eq!(refused(&breaker), SECOND, "all were lost twice running: open again");
    assert_eq!(breaker.state(), State::Open);
    lost.iter().for_each(|&permit| report(&breaker, permit, 's'));
    assert_eq!(breaker.state(), State::Open, "its late report is dropped");
}

#[test]
fn the_reports_that_came_decide_when_others_are_lost() {
    for (letter, expected) in [("s", State::Closed), ("f", State::Open)] {
        let (breaker, clock) = probing(3);
        let _lost = [permit(&breaker), permit(&breaker)];
        run(&breaker, letter);
        clock.advance(ms(5_000));
        let _lost_again = [permit(&breaker), permit(&breaker)];
        clock.advance(ms(5_000));
        assert_eq!(breaker.state(), State::HalfOpen, "until somebody asks");
        let answer = breaker.acquire();
        assert_eq!(breaker.state(), expected);
        assert_eq!(answer.is_ok(), expected == State::Closed, "the one who asked gets the new state's answer");
    }
}

#[test]
fn a_late_probe_still_counts_until_somebody_marks_it_lost() {
    let (breaker, clock) = probing(1);
    let probe = permit(&breaker);
    clock.advance(ms(60_000));
    report(&breaker, probe, 's');
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn the_refusal_names_the_earliest_lease() {
    let (breaker, clock) = probing(2);
    permit(&breaker);
    clock.advance(ms(2_000));
    permit(&breaker);
    clock.advance(ms(2_500));
    assert_eq!(refused(&breaker), SECOND / 2);
}

#[test]
fn a_released_probe_ends_a_row_of_lost_ones() {
    let (breaker, clock) = probing(1);
    for _ in 0..5 {
        permit(&breaker);
        clock.advance(ms(5_000));
        run(&breaker, "r");
    }
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn a_probe_reported_again_any_number_of_leases_later_says_nothing() {
    let (breaker, _) = probing(2);
    let old = permit(&breaker);
    report(&breaker, old, 'r');
    for _ in 0..100 {
        let probe = permit(&breaker);
        report(&breaker, old, 'f');
        assert_eq!(breaker.state(), State::HalfOpen);
        report(&breaker, probe, 'r');
    }
    assert!(breaker.events_since(0).iter().all(|event| event.kind != EventKind::ProbeFailed));
}

#[test]
fn a_probe_is_reported_once() {
    let (breaker, _) = probing(3);
    let probe = permit(&breaker);
    report(&breaker, probe, 'f');
    report(&breaker, probe, 'f');
    assert_eq!(breaker.state(), State::HalfOpen, "one failure of three");
    let probe = permit(&breaker);
    report(&breaker, probe, 'r');
    let again = permit(&breaker);
    assert_ne!(probe, again, "the slot's next lease is another permit");
    report(&breaker, probe, 'f');
    assert_eq!(breaker.state(), State::HalfOpen, "the released permit says nothing any more");
    report(&breaker, again, 's');
    run(&breaker, "s");
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_late_thread_frees_no_live_probe() {
    let (breaker, clock) = probing(1);
    clock.advance(ms(3_600_000));
    let probe = permit(&breaker);
    let leased = clock.now();
    for late in [1, 5_000, 66_000, 3_000_000] {
        clock.set(leased - late * MS);
        assert_eq!(refused(&breaker), SECOND, "{late} ms late");
        clock.set(leased + SECOND);
        assert_eq!(refused(&breaker), SECOND);
    }
    report(&breaker, probe, 's');
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_lease_that_a_bad_reading_put_far_ahead_ends_when_readings_have_gone_on_for_a_minute() {
    let (breaker, clock) = probing(1);
    let start = clock.now();
    clock.advance(ms(3_600_000));
    permit(&breaker);
    clock.set(start);
    assert_eq!(refused(&breaker), SECOND);
    clock.set(start + 60 * SECOND - 1);
    assert_eq!(refused(&breaker), 1);
    clock.advance(Duration::from_nanos(1));
    permit(&breaker);
    assert_eq!(breaker.events_since(0).last().map(|event| event.kind), Some(EventKind::ProbeLost));
}

/// Three successes, one at a time.
#[test]
fn no_more_probes_at_once_than_allowed() {
    let config = || BreakerConfig { min_calls: 2, probes: 3, cooldown: ms(1_000), probe_timeout: ms(5_000), ..last(2) };
    let (breaker, clock) = breaker(BreakerConfig { probes_at_once: Some(1), ..config() });
    open_and_cool(&breaker, &clock);
    for left in (0..3).rev() {
        let probe = permit(&breaker);
        assert_eq!(refused(&breaker), SECOND);
        report(&breaker, probe, 'i');
        let probe = permit(&breaker);
        refused(&breaker);
        report(&breaker, probe, 's');
        assert_eq!(breaker.state(), if left == 0 { State::Closed } else { State::HalfOpen });
    }
}

#[test]
fn one_that_is_lost_makes_room_for_the_next() {
    let config = BreakerConfig { min_calls: 2, probes: 3, probes_at_once: Some(2), probe_timeout: ms(500), ..last(2) };
    let (breaker, clock) = breaker(config);
    open_and_cool(&breaker, &clock);
    let lost = permit(&breaker);
    clock.advance(ms(100));
    let kept = permit(&breaker);
    assert_eq!(refused(&breaker), 400 * MS);
    clock.advance(ms(400));
    let next = permit(&breaker);
    assert_eq!(refused(&breaker), 100 * MS);
    [lost, kept, next].into_iter().for_each(|probe| report(&breaker, probe, 's'));
    assert_eq!(breaker.state(), State::HalfOpen, "the lost one's report says nothing");
    run(&breaker, "s");
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn probes_have_a_failure_rate_of_their_own() {
    for (rate, letters, state) in [
        (None, "sf", State::Open),
        (Some(0.75), "sff", State::HalfOpen),
        (Some(0.75), "sffs", State::Closed),
        (Some(0.75), "fff", State::Open),
        (Some(0.01), "f", State::Open),
    ] {
        let config = BreakerConfig {
            probe_failure_rate_threshold: rate,
            failure_rate_threshold: 0.25,
            min_calls: 2,
            probes: 4,
            ..last(2)
        };
        let (breaker, clock) = breaker(config);
        open_and_cool(&breaker, &clock);
        run(&breaker, letters);
        assert_eq!(breaker.state(), state, "{letters} at {rate:?}");
    }
}
