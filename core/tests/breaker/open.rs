use super::*;

fn quick() -> BreakerConfig {
    BreakerConfig { min_calls: 2, cooldown: ms(1_000), ..last(2) }
}

#[test]
fn refuses_until_the_cooldown_ends() {
    let (breaker, clock) = breaker(quick());
    run(&breaker, "ff");
    assert_eq!(refused(&breaker), SECOND);
    assert_eq!(breaker.retry_after_ns(), SECOND);
    clock.advance(Duration::from_nanos(SECOND - 1));
    assert_eq!(refused(&breaker), 1);
    assert_eq!(breaker.stats().rejected, 2);
    clock.advance(Duration::from_nanos(1));
    assert_eq!((breaker.state(), breaker.retry_after_ns()), (State::Open, 0), "until somebody asks");
    permit(&breaker);
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn a_cooldown_of_a_second_is_a_retry_after_of_one() {
    for offset in [0, 1, MS / 2, MS - 1] {
        let (breaker, clock) = breaker(quick());
        clock.advance(Duration::from_nanos(offset));
        run(&breaker, "ff");
        let wait = refused(&breaker);
        assert_eq!(wait, SECOND - offset, "up to a millisecond early, since it was made, and never late");
        assert_eq!(tidegate::http::retry_after_seconds(wait), 1);
    }
}

#[test]
fn a_lease_of_a_second_is_a_retry_after_of_one() {
    let (breaker, clock) = breaker(BreakerConfig { cooldown: ms(5_000), probe_timeout: ms(1_000), ..quick() });
    open_and_cool(&breaker, &clock);
    clock.advance(Duration::from_nanos(1));
    permit(&breaker);
    assert_eq!(refused(&breaker), SECOND - 1);
}

#[test]
fn the_shortest_cooldown_is_one() {
    let (breaker, clock) = breaker(BreakerConfig { cooldown: ms(1), ..quick() });
    clock.advance(Duration::from_nanos(MS - 1));
    run(&breaker, "ff");
    assert_eq!(refused(&breaker), 1);
}

#[test]
fn openings_in_a_row_lengthen_the_cooldown_up_to_its_maximum() {
    let config = BreakerConfig { cooldown_backoff: 2.0, max_cooldown: Some(ms(5_000)), ..quick() };
    let (breaker, clock) = breaker(config);
    run(&breaker, "ff");
    for expected in [1, 2, 4, 5, 5] {
        assert_eq!(breaker.retry_after_ns(), expected * SECOND);
        cool(&breaker, &clock);
        run(&breaker, "f");
    }
    assert_eq!(breaker.stats().opened, 6);
    cool(&breaker, &clock);
    run(&breaker, "s");
    assert_eq!(breaker.state(), State::Closed);
    clock.advance(ms(5_000));
    run(&breaker, "ff");
    assert_eq!(breaker.retry_after_ns(), SECOND, "as long without a trip as the last cooldown was resets the backoff");
}

#[test]
fn a_hundred_openings_neither_overflow_nor_pass_the_default_maximum() {
    let (breaker, clock) = breaker(BreakerConfig { cooldown_backoff: 1e300, ..quick() });
    run(&breaker, "ff");
    for _ in 0..100 {
        cool(&breaker, &clock);
        run(&breaker, "f");
        assert_eq!(breaker.retry_after_ns(), 64 * SECOND);
    }
}

#[test]
fn jitter_lengthens_within_its_bounds_and_is_fixed_when_it_opens() {
    let config = BreakerConfig { cooldown_jitter: 0.5, ..quick() };
    let (breaker, clock) = breaker(config);
    run(&breaker, "ff");
    let mut waits = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let wait = breaker.retry_after_ns();
        assert!((SECOND..=SECOND * 3 / 2).contains(&wait), "{wait}");
        assert_eq!(refused(&breaker), wait);
        waits.insert(wait);
        cool(&breaker, &clock);
        run(&breaker, "f");
    }
    assert!(waits.len() > 50, "only {} different waits of 200", waits.len());
    assert!(waits.first() < Some(&(SECOND + 100 * MS)) && waits.last() > Some(&(SECOND + 400 * MS)));
}

#[test]
fn the_servers_retry_after_sets_the_cooldown_if_that_failure_trips() {
    let config = BreakerConfig { max_cooldown: Some(ms(10_000)), ..quick() };
    for (asked, expected) in [(3_000, 3), (500, 1), (60_000, 10)] {
        let (breaker, clock) = breaker(config.clone());
        breaker.report_retry_after(permit(&breaker), ms(60_000));
        assert_eq!(breaker.state(), State::Closed, "it did not trip");
        breaker.report_retry_after(permit(&breaker), ms(asked));
        assert_eq!(refused(&breaker), expected * SECOND, "asked for {asked} ms");
        cool(&breaker, &clock);
        breaker.report_retry_after(permit(&breaker), ms(4_000));
        assert_eq!(refused(&breaker), 4 * SECOND, "a probe's as well");
    }
}

#[test]
fn an_end_that_no_cooldown_could_have_set_passes_after_a_minute_of_readings() {
    let (breaker, clock) = breaker(quick());
    let start = clock.now();
    clock.set(start + 86_400 * SECOND);
    run(&breaker, "ff");
    clock.set(start);
    assert_eq!(refused(&breaker), 60 * SECOND, "opened by a bad reading a day ahead");
    clock.set(start + 60 * SECOND - 1);
    assert_eq!((refused(&breaker), breaker.retry_after_ns()), (1, 1));
    clock.set(start + 60 * SECOND);
    assert_eq!(breaker.retry_after_ns(), 0);
    permit(&breaker);
}

#[test]
fn a_late_thread_mints_no_probe() {
    let (breaker, clock) = breaker(quick());
    let late = clock.now();
    let opened = late + 3_600 * SECOND;
    clock.set(opened);
    run(&breaker, "ff");
    // Alone, and with readings in between that find the cooldown plausible: those begin it again.
    for behind in [0, 30, 59, 61, 90, 119] {
        assert!(breaker.acquire_at(late + behind * SECOND, 0.0).is_err(), "{behind} s later");
        if behind == 30 || behind == 59 || behind == 90 {
            assert_eq!(refused(&breaker), SECOND);
        }
    }
    assert_eq!(breaker.state(), State::Open);
    // Nor does a note of one cooldown end the next.
    breaker.reset();
    run(&breaker, "ff");
    assert!(breaker.acquire_at(late + 3_000 * SECOND, 0.0).is_err());
    assert_eq!(breaker.retry_after_ns(), SECOND);
}

#[test]
fn a_small_step_back_only_waits_longer() {
    let (breaker, clock) = breaker(quick());
    clock.advance(ms(30_000));
    run(&breaker, "ff");
    clock.set(clock.now() - 10 * SECOND);
    assert_eq!(refused(&breaker), 11 * SECOND);
}
