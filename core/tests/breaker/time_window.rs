use super::*;

fn span(span: Duration) -> BreakerConfig {
    BreakerConfig { window: Window::Duration(span), ..BreakerConfig::default() }
}

#[test]
fn trips_at_the_rate_over_the_calls_of_the_last_span() {
    let (breaker, clock) = breaker(span(ms(10_000)));
    run(&breaker, "sssssss");
    clock.advance(ms(5_000));
    run(&breaker, "ffffff");
    assert_eq!(breaker.state(), State::Closed, "6 of 13");
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Open, "7 of 14");
}

#[test]
fn forgets_a_slice_at_a_time() {
    let (breaker, clock) = breaker(span(ms(1_000)));
    run(&breaker, "ss");
    clock.advance(ms(100));
    run(&breaker, "f");
    clock.advance(ms(899));
    assert_eq!(breaker.stats().calls, 3, "999 ms later the first slice still counts");
    clock.advance(ms(1));
    let stats = breaker.stats();
    assert_eq!((stats.calls, stats.failed), (1, 1), "a second after its start it does not");
    clock.advance(ms(100));
    assert_eq!(breaker.stats().calls, 0);
    run(&breaker, "s");
    assert_eq!(breaker.stats().calls, 1);
}

#[test]
fn an_idle_time_of_any_length_leaves_an_empty_window() {
    for idle in [1_000, 1_001, 3_200, 100_000, 819_200, 6_553_600, 100_000_000] {
        let (breaker, clock) = breaker(BreakerConfig { min_calls: 3, ..span(ms(1_000)) });
        run(&breaker, "ff");
        clock.advance(ms(idle));
        run(&breaker, "f");
        let stats = breaker.stats();
        assert_eq!((stats.calls, stats.failed, stats.state), (1, 1, State::Closed), "after {idle} ms");
    }
}

#[test]
fn the_success_that_completes_min_calls_is_judged() {
    let (breaker, clock) = breaker(BreakerConfig { min_calls: 4, ..span(ms(1_000)) });
    run(&breaker, "ff");
    clock.advance(ms(300));
    run(&breaker, "s");
    clock.advance(ms(300));
    assert_eq!(breaker.state(), State::Closed);
    run(&breaker, "s");
    assert_eq!(breaker.state(), State::Open);
}

/// A deque of (slice, failed) is the definition.
#[test]
fn agrees_with_the_definition() {
    let (breaker, clock) = breaker(span(ms(100)));
    breaker.metrics_only();
    let (start, mut calls) = (clock.now(), Vec::new());
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for step in 0..20_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        clock.advance(Duration::from_nanos(random % 16_u64.pow((random >> 32) as u32 % 7 + 1)));
        let failed = random >> 20 & 1 == 1;
        run(&breaker, if failed { "f" } else { "s" });
        let slice = (clock.now() - start) / (10 * MS);
        calls.push((slice, failed));
        calls.retain(|call| call.0 + 9 >= slice);
        let stats = breaker.stats();
        let expected = (calls.len() as u32, calls.iter().filter(|call| call.1).count() as u32);
        assert_eq!((stats.calls, stats.failed), expected, "step {step}");
    }
}

/// More calls in one slice than one word counts.
#[test]
fn counts_crowded_slices_exactly() {
    let (breaker, clock) = breaker(span(ms(60_000)));
    breaker.metrics_only();
    for _ in 0..50_000 {
        run(&breaker, "sf");
    }
    clock.advance(ms(6_000));
    run(&breaker, "s");
    let stats = breaker.stats();
    assert_eq!((stats.calls, stats.failed), (100_001, 50_000));
}

#[test]
fn a_run_of_failures_trips_in_a_time_window_too() {
    let (breaker, clock) = breaker(BreakerConfig { consecutive_failures: Some(3), ..span(ms(100)) });
    run(&breaker, "ffs");
    for _ in 0..2 {
        run(&breaker, "f");
        clock.advance(ms(1_000));
    }
    assert_eq!(breaker.state(), State::Closed);
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Open, "the run outlives the window");
}

#[test]
fn a_clock_that_steps_back_still_counts() {
    let (breaker, clock) = breaker(BreakerConfig { min_calls: 4, ..span(ms(1_000)) });
    clock.advance(ms(5_000));
    run(&breaker, "sf");
    clock.set(clock.now() - 500 * MS);
    assert_eq!(breaker.stats().calls, 2);
    run(&breaker, "s");
    assert_eq!(breaker.stats().calls, 3);
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_step_back_behind_a_full_chunk_keeps_the_window() {
    let (breaker, clock) = breaker(span(ms(10_000)));
    breaker.metrics_only();
    clock.advance(ms(5_000));
    for _ in 0..40_000 {
        run(&breaker, "s");
    }
    clock.set(clock.now() - 2 * SECOND);
    for _ in 0..40_000 {
        run(&breaker, "f");
    }
    let stats = breaker.stats();
    assert_eq!((stats.calls, stats.failed), (80_000, 40_000));
    clock.advance(ms(2_000));
    assert_eq!(breaker.stats().calls, 80_000);
}

#[test]
fn a_late_thread_ends_no_window() {
    for late in [1, 1_001, 30_000, 1_000_000] {
        let (breaker, clock) = breaker(BreakerConfig { min_calls: 4, ..span(ms(1_000)) });
        clock.advance(ms(2_000_000));
        run(&breaker, "ff");
        let sound = clock.now();
        clock.set(sound - late * MS);
        run(&breaker, "f");
        assert_eq!(breaker.stats().calls, 3, "what is read {late} ms late counts now");
        clock.set(sound);
        run(&breaker, "f");
        assert_eq!(breaker.state(), State::Open, "{late} ms late");
    }
}

#[test]
fn a_bad_reading_far_ahead_heals_when_readings_have_gone_on_for_a_minute() {
    let (breaker, clock) = breaker(BreakerConfig { min_calls: 100, ..span(ms(1_000)) });
    clock.advance(ms(3_600_000));
    run(&breaker, "sfs");
    clock.set(clock.now() - 3_000 * SECOND);
    for _ in 0..60 {
        run(&breaker, "f");
        clock.advance(ms(1_000));
    }
    assert_eq!(breaker.stats().calls, 63, "until then outcomes count in the future");
    run(&breaker, "s");
    let stats = breaker.stats();
    assert_eq!((stats.calls, stats.failed), (1, 0), "what counted in the far future does not stay for an hour");
    clock.advance(ms(1_000));
    assert_eq!(breaker.stats().calls, 0);
}

#[test]
fn a_reading_from_before_its_making_is_its_beginning() {
    let (breaker, clock) = breaker(span(ms(1_000)));
    run(&breaker, "f");
    clock.set(0);
    run(&breaker, "f");
    assert_eq!(breaker.stats().calls, 2);
}
