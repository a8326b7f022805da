//! Circuit breaker.

use crate::breaker::{self, Breaker, Kind, Permit, State, Window};
use crate::format::{Ns, Subject};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Settings; exactly one of the two windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Config {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub window_calls: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub window_duration_ns: Option<Ns>,
    pub failure_rate_threshold: f64,
    pub slow_call_duration_ns: Option<Ns>,
    pub slow_call_rate_threshold: f64,
    pub consecutive_failures: Option<u32>,
    pub min_calls: u32,
    pub cooldown_ns: Ns,
    pub cooldown_backoff: f64,
    pub max_cooldown_ns: Option<Ns>,
    pub probes: u32,
    pub probe_timeout_ns: Ns,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub probe_failure_rate_threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub probes_at_once: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub healthy_after_ns: Option<Ns>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ramp_ns: Option<Ns>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ramp_from: Option<f64>,
}

impl Eq for Config {}

impl Default for Config {
    /// The library's own.
    fn default() -> Self {
        Self {
            window_calls: Some(20),
            window_duration_ns: None,
            failure_rate_threshold: 0.5,
            slow_call_duration_ns: None,
            slow_call_rate_threshold: 1.0,
            consecutive_failures: None,
            min_calls: 10,
            cooldown_ns: Ns(30_000_000_000),
            cooldown_backoff: 1.0,
            max_cooldown_ns: None,
            probes: 1,
            probe_timeout_ns: Ns(60_000_000_000),
            probe_failure_rate_threshold: None,
            probes_at_once: None,
            healthy_after_ns: None,
            ramp_ns: None,
            ramp_from: None,
        }
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the format's README documents the values")]
pub enum Outcome {
    Success,
    Failure,
    Ignore,
    Unreached,
    Slow,
}

/// What a ramp draws: 0 to below 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draw(pub f64);

impl Eq for Draw {}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", content = "args", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the format's README documents the operations")]
pub enum Op {
    Acquire {
        #[serde(rename = "as")]
        name: String,
    },
    /// By a draw, 0 to below 1.
    AcquireWith {
        #[serde(rename = "as")]
        name: String,
        draw: Draw,
    },
    Report {
        permit: String,
        outcome: Outcome,
        duration_ns: Option<Ns>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        retry_after_ns: Option<Ns>,
    },
    ReportRetryAfter {
        permit: String,
        retry_after_ns: Ns,
    },
    Release {
        permit: String,
    },
    State {},
    Stats {},
    RetryAfter {},
    /// The events from this number on.
    Events {
        since: u32,
    },
    ForceOpen {},
    Disable {},
    MetricsOnly {},
    Reset {},
    /// Other settings: all of them, with a window of the same kind.
    SetConfig(Box<Config>),
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the format's README documents the answers")]
pub enum Answer {
    Permit {
        permit: bool,
    },
    Rejected {
        permit: bool,
        retry_after_ns: Ns,
        trip: Option<Trip>,
        /// Left out where it is not.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        ramping: bool,
    },
    State {
        state: &'static str,
    },
    Stats {
        calls: u32,
        failed: u32,
        slow: u32,
        last_trip: Option<Trip>,
        /// Left out where it is not.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        ramping: bool,
    },
    RetryAfter {
        retry_after_ns: Ns,
    },
    Events {
        events: Vec<Event>,
    },
    Nothing {},
}

/// An entry of the event ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Event {
    pub seq: u64,
    pub kind: &'static str,
    pub at_ns: Ns,
    pub trip: Option<Trip>,
}

/// The calls by which a circuit opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the format's README documents the fields")]
pub struct Trip {
    pub calls: u32,
    pub failed: u32,
    pub slow: u32,
}

fn trip((calls, failed, slow): breaker::Trip) -> Trip {
    Trip { calls, failed, slow }
}

fn event(it: &breaker::Event) -> Event {
    let kind = match it.kind {
        Kind::Entered(State::Closed) => "closed",
        Kind::Entered(State::Open) => "opened",
        Kind::Entered(State::HalfOpen) => "half_opened",
        Kind::Entered(State::ForcedOpen) => "forced_open",
        Kind::Entered(State::Disabled) => "disabled",
        Kind::Entered(State::MetricsOnly) => "metrics_only",
        Kind::ProbeSucceeded => "probe_succeeded",
        Kind::ProbeFailed => "probe_failed",
        Kind::ProbeLost => "probe_lost",
        Kind::RampStarted => "ramp_started",
        Kind::RampEnded => "ramp_ended",
        Kind::Configured => "configured",
    };
    Event { seq: it.seq as u64, kind, at_ns: Ns(it.at), trip: it.trip.map(trip) }
}

/// The model and the permits it gave out.
#[derive(Debug)]
pub struct ModelBreaker {
    breaker: Breaker,
    permits: HashMap<String, Permit>,
}

impl Subject for ModelBreaker {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        Self { breaker: Breaker::new(settings(config), start), permits: HashMap::new() }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        let breaker = &mut self.breaker;
        breaker.read(now);
        match op {
            Op::Acquire { name } => {
                let answer = self.acquire(now, name, 0.0);
                assert!(!self.breaker.is_ramping(), "in a ramp the answer depends on a draw");
                return answer;
            }
            Op::AcquireWith { name, draw } => return self.acquire(now, name, draw.0),
            Op::Report { permit, outcome, duration_ns, retry_after_ns } => {
                let outcome = match outcome {
                    Outcome::Success => breaker::Outcome::Success,
                    Outcome::Failure => breaker::Outcome::Failure,
                    Outcome::Ignore => breaker::Outcome::Ignore,
                    Outcome::Unreached => breaker::Outcome::Unreached,
                    Outcome::Slow => breaker::Outcome::Slow,
                };
                let (duration, told) = (duration_ns.map(|ns| ns.0), retry_after_ns.map_or(0, |ns| ns.0));
                breaker.report_told(now, self.permits[permit], outcome, duration, told);
            }
            Op::ReportRetryAfter { permit, retry_after_ns } => {
                breaker.report_retry_after(now, self.permits[permit], retry_after_ns.0);
            }
            Op::Release { permit } => breaker.release(now, self.permits[permit]),
            Op::State {} => return Answer::State { state: word(breaker.state()) },
            Op::Stats {} => {
                let (calls, failed, slow) = breaker.stats(now);
                let (last_trip, ramping) = (breaker.last_trip().map(trip), breaker.is_ramping());
                return Answer::Stats { calls, failed, slow, last_trip, ramping };
            }
            Op::RetryAfter {} => return Answer::RetryAfter { retry_after_ns: Ns(breaker.retry_after(now)) },
            Op::Events { since } => {
                let events = breaker.events(*since as usize).iter().map(event).collect();
                return Answer::Events { events };
            }
            Op::ForceOpen {} => breaker.switch(State::ForcedOpen),
            Op::Disable {} => breaker.switch(State::Disabled),
            Op::MetricsOnly {} => breaker.switch(State::MetricsOnly),
            Op::Reset {} => breaker.switch(State::Closed),
            Op::SetConfig(config) => breaker.set_config(settings(config)),
        }
        Answer::Nothing {}
    }
}

impl ModelBreaker {
    fn acquire(&mut self, now: u64, name: &str, draw: f64) -> Answer {
        match self.breaker.acquire(now, draw) {
            Ok(permit) => {
                self.permits.insert(name.to_owned(), permit);
                Answer::Permit { permit: true }
            }
            Err(wait) => {
                let (trip, ramping) = (self.breaker.trip().map(trip), self.breaker.is_ramping());
                Answer::Rejected { permit: false, retry_after_ns: Ns(wait), trip, ramping }
            }
        }
    }
}

pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::HalfOpen => "half_open",
        State::ForcedOpen => "forced_open",
        State::Disabled => "disabled",
        State::MetricsOnly => "metrics_only",
    }
}

pub(super) fn settings(config: &Config) -> breaker::Config {
    let ns = |ns: Option<Ns>| ns.map(|ns| ns.0);
    let window = match (config.window_calls, config.window_duration_ns) {
        (Some(calls), None) => Window::Calls(calls as usize),
        (None, Some(duration)) => Window::Duration(duration.0),
        _ => panic!("exactly one of window_calls and window_duration_ns"),
    };
    breaker::Config {
        window,
        failure_rate_threshold: config.failure_rate_threshold,
        slow_call_duration: ns(config.slow_call_duration_ns),
        slow_call_rate_threshold: config.slow_call_rate_threshold,
        consecutive_failures: config.consecutive_failures,
        min_calls: config.min_calls,
        cooldown: config.cooldown_ns.0,
        cooldown_backoff: config.cooldown_backoff,
        max_cooldown: ns(config.max_cooldown_ns),
        probes: config.probes as usize,
        probe_timeout: config.probe_timeout_ns.0,
        probe_failure_rate_threshold: config.probe_failure_rate_threshold,
        probes_at_once: config.probes_at_once.map(|n| n as usize),
        healthy_after: ns(config.healthy_after_ns),
        ramp: ns(config.ramp_ns),
        ramp_from: config.ramp_from.unwrap_or(0.1),
    }
}
