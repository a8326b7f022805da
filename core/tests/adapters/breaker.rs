//! `CircuitBreaker` behind the vectors' vocabulary.

use std::collections::HashMap;
use std::time::Duration;
use tidegate::breaker::{Classified, Outcome, Permit, Rejected, State, Window};
use tidegate::{Arena, BreakerConfig, CircuitBreaker, Clock, ManualClock, OnConflict};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::breaker::{self as script, Answer, Config, Op};

/// A breaker of the process, and one in an arena that two handles use in turns: they must never differ.
#[derive(Debug)]
pub(crate) struct CoreBreaker {
    own: Side,
    shared: Side,
    clock: ManualClock,
}

/// Handles of one breaker, used in turns, and the permits it gave out.
#[derive(Debug)]
struct Side {
    handles: Vec<CircuitBreaker>,
    permits: HashMap<String, Permit>,
}

impl Subject for CoreBreaker {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let settings = settings(config);
        let arena = Arena::private("subject", 1 << 20, Clock::from(&clock)).expect("an arena");
        let open = || CircuitBreaker::in_arena(&arena, "subject", settings.clone(), OnConflict::Error);
        let shared = vec![open().expect("made"), open().expect("opened")];
        let own = CircuitBreaker::with_clock("subject", settings.clone(), Clock::from(&clock)).expect("sound settings");
        Self { own: Side::new(vec![own]), shared: Side::new(shared), clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        let (own, shared) = (self.own.apply(op), self.shared.apply(op));
        assert_eq!(own, shared, "{op:?} at {now}: in the process, and in an arena");
        own
    }
}

impl Side {
    fn new(handles: Vec<CircuitBreaker>) -> Self {
        Self { handles, permits: HashMap::new() }
    }

    fn apply(&mut self, op: &Op) -> Answer {
        self.handles.rotate_left(1);
        let breaker = &self.handles[0];
        match op {
            Op::Acquire { name } => return granted(&mut self.permits, name, breaker.acquire()),
            Op::AcquireWith { name, draw } => return granted(&mut self.permits, name, breaker.acquire_with(draw.0)),
            Op::Report { permit, outcome, duration_ns, retry_after_ns } => {
                let outcome = match outcome {
                    script::Outcome::Success => Outcome::Success,
                    script::Outcome::Failure => Outcome::Failure,
                    script::Outcome::Ignore => Outcome::Ignore,
                    script::Outcome::Unreached => Outcome::Unreached,
                    script::Outcome::Slow => Outcome::Slow,
                };
                let classified = Classified { outcome, retry_after: retry_after_ns.map(duration) };
                breaker.report_classified(self.permits[permit], classified, duration_ns.map(duration));
            }
            Op::ReportRetryAfter { permit, retry_after_ns } => {
                breaker.report_retry_after(self.permits[permit], duration(*retry_after_ns));
            }
            Op::Release { permit } => breaker.release(self.permits[permit]),
            Op::State {} => return Answer::State { state: word(breaker.state()) },
            Op::Stats {} => {
                let stats = breaker.stats();
                let (calls, failed, slow, last_trip) =
                    (stats.calls, stats.failed, stats.slow, stats.last_trip.map(trip));
                return Answer::Stats { calls, failed, slow, last_trip, ramping: stats.ramping };
            }
            Op::RetryAfter {} => return Answer::RetryAfter { retry_after_ns: Ns(breaker.retry_after_ns()) },
            Op::Events { since } => {
                let events = breaker.events_since(u64::from(*since)).into_iter().map(event).collect();
                return Answer::Events { events };
            }
            Op::ForceOpen {} => breaker.force_open(),
            Op::Disable {} => breaker.disable(),
            Op::MetricsOnly {} => breaker.metrics_only(),
            Op::Reset {} => breaker.reset(),
            Op::SetConfig(config) => breaker.set_config(&settings(config)).expect("settings that have room"),
        }
        Answer::Nothing {}
    }
}

fn granted(permits: &mut HashMap<String, Permit>, name: &str, answer: Result<Permit, Rejected>) -> Answer {
    match answer {
        Ok(permit) => {
            permits.insert(name.to_owned(), permit);
            Answer::Permit { permit: true }
        }
        Err(Rejected { retry_after_ns, trip: by, ramping }) => {
            Answer::Rejected { permit: false, retry_after_ns: Ns(retry_after_ns), trip: by.map(trip), ramping }
        }
    }
}

fn event(it: tidegate::breaker::Event) -> script::Event {
    script::Event { seq: it.seq, kind: it.kind.name(), at_ns: Ns(it.at_ns), trip: it.trip.map(trip) }
}

fn trip(trip: tidegate::breaker::Trip) -> script::Trip {
    script::Trip { calls: trip.calls, failed: trip.failed, slow: trip.slow }
}

fn duration(ns: Ns) -> Duration {
    Duration::from_nanos(ns.0)
}

fn word(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::HalfOpen => "half_open",
        State::ForcedOpen => "forced_open",
        State::Disabled => "disabled",
        State::MetricsOnly => "metrics_only",
        _ => "a state that the vectors do not know",
    }
}

pub(crate) fn settings(config: &Config) -> BreakerConfig {
    let window = match (config.window_calls, config.window_duration_ns) {
        (Some(calls), None) => Window::Calls(calls),
        (None, Some(whole)) => Window::Duration(duration(whole)),
        _ => panic!("exactly one of window_calls and window_duration_ns"),
    };
    BreakerConfig {
        window,
        failure_rate_threshold: config.failure_rate_threshold,
        slow_call_duration: config.slow_call_duration_ns.map(duration),
        slow_call_rate_threshold: config.slow_call_rate_threshold,
        consecutive_failures: config.consecutive_failures,
        min_calls: config.min_calls,
        cooldown: duration(config.cooldown_ns),
        cooldown_backoff: config.cooldown_backoff,
        max_cooldown: config.max_cooldown_ns.map(duration),
        cooldown_jitter: 0.0,
        probes: config.probes,
        probe_timeout: duration(config.probe_timeout_ns),
        probe_failure_rate_threshold: config.probe_failure_rate_threshold,
        probes_at_once: config.probes_at_once,
        healthy_after: config.healthy_after_ns.map(duration),
        ramp: config.ramp_ns.map(duration),
        ramp_from: config.ramp_from.unwrap_or(0.1),
    }
}
