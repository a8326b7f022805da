//! Any settings, any calls at any times, permits made up of any bits: an answer that holds together, never a panic.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use tidegate::breaker::{Outcome, Permit, State, Window};
use tidegate::{BreakerConfig, CircuitBreaker, ManualClock};

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Verdict {
    Success,
    Failure,
    Ignore,
}

#[derive(Arbitrary, Debug)]
enum Call {
    Acquire(u64, f64),
    Report(u64, u8, Verdict, Option<Duration>),
    ReportAnything(u64, u64, u64, Verdict),
    RetryAfter(u64, u8, Duration),
    Release(u64, u8),
    ReleaseAnything(u64, u64),
    Look(u64),
    Switch(u8),
}

#[derive(Arbitrary, Debug)]
struct Case {
    calls_window: bool,
    window: u16,
    rates: (f64, f64),
    slow: Option<Duration>,
    consecutive: Option<u8>,
    min_calls: u8,
    cooldown: Duration,
    backoff: f64,
    max_cooldown: Option<Duration>,
    jitter: f64,
    probes: u8,
    probe_timeout: Duration,
    probe_rate: Option<f64>,
    at_once: Option<u16>,
    healthy_after: Option<Duration>,
    ramp: Option<(Duration, f64)>,
    start: u64,
    calls: Vec<Call>,
}

fn outcome(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Success => Outcome::Success,
        Verdict::Failure => Outcome::Failure,
        Verdict::Ignore => Outcome::Ignore,
    }
}

fuzz_target!(|case: Case| {
    let config = BreakerConfig {
        window: if case.calls_window {
            Window::Calls(case.window.into())
        } else {
            Window::Duration(Duration::from_millis(case.window.into()))
        },
        failure_rate_threshold: case.rates.0,
        slow_call_duration: case.slow,
        slow_call_rate_threshold: case.rates.1,
        consecutive_failures: case.consecutive.map(u32::from),
        min_calls: case.min_calls.into(),
        cooldown: case.cooldown,
        cooldown_backoff: case.backoff,
        max_cooldown: case.max_cooldown,
        cooldown_jitter: case.jitter,
        probes: case.probes.into(),
        probe_timeout: case.probe_timeout,
        probe_failure_rate_threshold: case.probe_rate,
        probes_at_once: case.at_once.map(u32::from),
        healthy_after: case.healthy_after,
        ramp: case.ramp.map(|(span, _)| span),
        ramp_from: case.ramp.map_or(0.1, |(_, from)| from),
    };
    let clock = ManualClock::new(case.start);
    let breaker = match CircuitBreaker::with_clock("fuzzed", config, (&clock).into()) {
        Ok(breaker) => breaker,
        Err(error) => return assert!(!error.message().is_empty()),
    };
    let mut permits: Vec<Permit> = Vec::new();
    let pick = |permits: &[Permit], which: u8| permits.get(usize::from(which) % permits.len().max(1)).copied();
    for call in case.calls {
        match call {
            Call::Acquire(now, draw) => match breaker.acquire_at(now, draw) {
                Ok(permit) => permits.push(permit),
                Err(refusal) => assert!(refusal.retry_after_ns > 0),
            },
            Call::Report(now, which, verdict, duration) => {
                let Some(permit) = pick(&permits, which) else { continue };
                breaker.report_at(now, permit, outcome(verdict), duration);
            }
            Call::ReportAnything(now, word, started_ns, verdict) => {
                breaker.report_at(now, Permit { word, started_ns }, outcome(verdict), None);
            }
            Call::RetryAfter(now, which, wait) => {
                let Some(permit) = pick(&permits, which) else { continue };
                breaker.report_retry_after_at(now, permit, wait);
            }
            Call::Release(now, which) => {
                let Some(permit) = pick(&permits, which) else { continue };
                breaker.release_at(now, permit);
            }
            Call::ReleaseAnything(now, word) => breaker.release_at(now, Permit { word, started_ns: now }),
            Call::Look(now) => {
                let stats = breaker.stats_at(now);
                assert!(stats.failed <= stats.calls && stats.slow <= stats.calls, "{stats:?}");
                _ = (breaker.retry_after_ns_at(now), breaker.events_since(0).len());
            }
            Call::Switch(0) => breaker.force_open(),
            Call::Switch(1) => breaker.disable(),
            Call::Switch(2) => breaker.metrics_only(),
            Call::Switch(_) => {
                breaker.reset();
                assert_eq!(breaker.state(), State::Closed);
            }
        }
    }
});
