//! The circuit breaker's rules, one by one, on a clock that moves only when told to.

mod calls;
mod config;
mod count_window;
mod events;
mod half_open;
mod late;
mod open;
mod operator;
mod ramp;
mod set_config;
mod stress;
mod time_window;

use std::time::Duration;
use tidegate::breaker::{Outcome, Permit, State, Window};
use tidegate::{BreakerConfig, CircuitBreaker, ManualClock};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;

/// A breaker on a clock that starts at an odd moment.
pub(crate) fn breaker(config: BreakerConfig) -> (CircuitBreaker, ManualClock) {
    let clock = ManualClock::new(7 * SECOND);
    let breaker = CircuitBreaker::with_clock("payments", config, (&clock).into()).expect("valid settings");
    (breaker, clock)
}

pub(crate) fn last(calls: u32) -> BreakerConfig {
    BreakerConfig { window: Window::Calls(calls), ..BreakerConfig::default() }
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Reports each letter as one call: `s`uccess, `f`ailure, `i`gnored, `r`eleased.
pub(crate) fn run(breaker: &CircuitBreaker, letters: &str) {
    for letter in letters.chars() {
        report(breaker, permit(breaker), letter);
    }
}

pub(crate) fn report(breaker: &CircuitBreaker, permit: Permit, letter: char) {
    match letter {
        's' => breaker.report(permit, Outcome::Success, None),
        'f' => breaker.report(permit, Outcome::Failure, None),
        'i' => breaker.report(permit, Outcome::Ignore, None),
        'r' => breaker.release(permit),
        other => panic!("no outcome {other}"),
    }
}

pub(crate) fn permit(breaker: &CircuitBreaker) -> Permit {
    breaker.acquire().expect("a permit")
}

pub(crate) fn refused(breaker: &CircuitBreaker) -> u64 {
    breaker.acquire().expect_err("a refusal").retry_after_ns
}

/// Opens it by failures and lets the cooldown pass.
pub(crate) fn open_and_cool(breaker: &CircuitBreaker, clock: &ManualClock) {
    while breaker.state() == State::Closed {
        run(breaker, "f");
    }
    cool(breaker, clock);
}

/// Loses every probe of a half-open state twice running, which opens it again. Their permits.
pub(crate) fn lose_all(breaker: &CircuitBreaker, clock: &ManualClock, probes: usize) -> Vec<Permit> {
    let mut lost = Vec::new();
    for _ in 0..2 {
        lost.extend(std::iter::from_fn(|| breaker.acquire().ok()).take(probes - lost.len() % probes));
        assert_eq!(breaker.state(), State::HalfOpen);
        clock.advance(breaker.config().probe_timeout);
        lost.extend(breaker.acquire().ok());
    }
    assert_eq!((breaker.state(), lost.len()), (State::Open, 2 * probes));
    lost
}

/// Lets the cooldown pass.
pub(crate) fn cool(breaker: &CircuitBreaker, clock: &ManualClock) {
    assert_eq!(breaker.state(), State::Open);
    clock.advance(Duration::from_nanos(breaker.retry_after_ns()));
}
