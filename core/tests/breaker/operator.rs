use super::*;

fn quick() -> (CircuitBreaker, ManualClock) {
    breaker(BreakerConfig { min_calls: 2, ..last(2) })
}

#[test]
fn forced_open_refuses_for_ever() {
    let (breaker, clock) = quick();
    breaker.force_open();
    clock.advance(ms(10_000_000));
    assert_eq!((breaker.state(), refused(&breaker)), (State::ForcedOpen, u64::MAX));
    assert_eq!(breaker.retry_after_ns(), u64::MAX);
    let rejected = breaker.acquire().expect_err("forced open");
    assert_eq!(rejected.retry_after(), None);
    assert!(rejected.to_string().contains("until it is reset"), "{rejected}");
    breaker.reset();
    permit(&breaker);
}

#[test]
fn disabled_lets_everything_pass_and_counts_nothing() {
    let (breaker, _) = quick();
    breaker.disable();
    run(&breaker, "ffffff");
    let stats = breaker.stats();
    assert_eq!((stats.state, stats.calls), (State::Disabled, 0));
}

#[test]
fn metrics_only_counts_and_never_opens() {
    let (breaker, _) = breaker(BreakerConfig { min_calls: 2, consecutive_failures: Some(2), ..last(4) });
    breaker.metrics_only();
    run(&breaker, "fffffffff");
    let stats = breaker.stats();
    assert_eq!((stats.state, stats.calls, stats.failed, stats.opened), (State::MetricsOnly, 4, 4, 0));
    breaker.reset();
    assert_eq!(breaker.stats().calls, 0, "each switch empties the window");
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Closed, "and ends the run of failures");
}

#[test]
fn every_switch_works_from_every_state() {
    type Switch = fn(&CircuitBreaker);
    let switches: [(Switch, State); 4] = [
        (CircuitBreaker::force_open, State::ForcedOpen),
        (CircuitBreaker::disable, State::Disabled),
        (CircuitBreaker::metrics_only, State::MetricsOnly),
        (CircuitBreaker::reset, State::Closed),
    ];
    let (breaker, clock) = quick();
    for (first, _) in switches {
        for (second, expected) in switches {
            first(&breaker);
            second(&breaker);
            assert_eq!(breaker.state(), expected);
            breaker.reset();
            run(&breaker, "ff");
            second(&breaker);
            assert_eq!(breaker.state(), expected, "from open");
            breaker.reset();
            open_and_cool(&breaker, &clock);
            let probe = permit(&breaker);
            second(&breaker);
            report(&breaker, probe, 'f');
            assert_eq!((breaker.state(), breaker.stats().calls), (expected, 0), "from half-open");
            breaker.reset();
        }
    }
}

#[test]
fn reset_ends_the_backoff() {
    let (breaker, clock) =
        breaker(BreakerConfig { min_calls: 2, cooldown: ms(1_000), cooldown_backoff: 3.0, ..last(2) });
    open_and_cool(&breaker, &clock);
    run(&breaker, "f");
    assert_eq!(breaker.retry_after_ns(), 3 * SECOND);
    breaker.reset();
    run(&breaker, "ff");
    assert_eq!(breaker.retry_after_ns(), SECOND);
}

/// Generations wrap at 2^16; an outcome of the last one must not find its way back, and the breaker goes on.
#[test]
fn goes_on_when_the_generations_wrap() {
    let (breaker, _) = quick();
    for _ in 0..70_000 {
        run(&breaker, "f");
        breaker.reset();
    }
    assert_eq!(breaker.stats().calls, 0);
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Closed);
    run(&breaker, "f");
    assert_eq!(breaker.state(), State::Open);
}
