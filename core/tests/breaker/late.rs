use super::*;

#[test]
fn a_result_of_an_earlier_state_is_dropped() {
    let (breaker, clock) = breaker(BreakerConfig { min_calls: 2, ..last(2) });
    let late = [permit(&breaker), permit(&breaker), permit(&breaker)];
    open_and_cool(&breaker, &clock);
    report(&breaker, late[0], 's');
    assert_eq!(breaker.state(), State::Open);
    let probe = permit(&breaker);
    report(&breaker, late[1], 's');
    assert_eq!(breaker.state(), State::HalfOpen, "a late success is no probe's");
    report(&breaker, probe, 's');
    report(&breaker, late[2], 'f');
    assert_eq!(breaker.stats().calls, 0);
}

#[test]
fn a_probe_of_an_earlier_cycle_is_dropped() {
    let (breaker, clock) = breaker(BreakerConfig { min_calls: 2, probes: 2, probe_timeout: ms(1_000), ..last(2) });
    open_and_cool(&breaker, &clock);
    let late = lose_all(&breaker, &clock, 2);
    cool(&breaker, &clock);
    let probe = permit(&breaker);
    late.iter().for_each(|&permit| report(&breaker, permit, 'f'));
    assert_eq!(breaker.state(), State::HalfOpen);
    report(&breaker, probe, 's');
    run(&breaker, "s");
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_result_from_before_a_reset_is_dropped() {
    let (breaker, _) = breaker(last(20));
    let late = permit(&breaker);
    breaker.reset();
    report(&breaker, late, 'f');
    assert_eq!(breaker.stats().calls, 0);
}

#[test]
fn permits_that_were_never_given_out_change_nothing() {
    let (breaker, clock) = breaker(BreakerConfig { min_calls: 2, probes: 2, ..last(2) });
    let forged = |word| Permit { word, started_ns: u64::MAX };
    for word in [0, 1, u64::MAX, 1 << 63] {
        for letter in ['s', 'f', 'i', 'r'] {
            report(&breaker, forged(word), letter);
        }
    }
    assert_eq!(breaker.stats().calls, 0);
    open_and_cool(&breaker, &clock);
    let probe = permit(&breaker);
    for bit in 0..39 {
        report(&breaker, forged(probe.word ^ 1 << bit), 'f');
    }
    assert_eq!(breaker.state(), State::HalfOpen, "another slot, a slot out of bounds or another nonce is no lease");
}

#[test]
fn durations_and_times_of_any_size_are_fine() {
    let (breaker, clock) = breaker(BreakerConfig { slow_call_duration: Some(ms(1)), ..last(20) });
    let early = permit(&breaker);
    clock.set(0);
    report(&breaker, early, 's');
    breaker.report(permit(&breaker), Outcome::Success, Some(Duration::MAX));
    let stats = breaker.stats();
    assert_eq!((stats.calls, stats.slow), (2, 1), "a clock that stepped back makes no call slow");
    for now in [0, 1, u64::MAX - 1, u64::MAX] {
        let permit = breaker.acquire_at(now, 0.0).expect("closed");
        breaker.report_at(now, permit, Outcome::Success, None);
        breaker.stats_at(now);
        breaker.retry_after_ns_at(now);
    }
    breaker.report_retry_after_at(u64::MAX, breaker.acquire_at(u64::MAX, 0.0).expect("closed"), Duration::MAX);
    breaker.force_open_at(u64::MAX);
    assert_eq!(breaker.state_at(0), State::ForcedOpen);
}
