//! Circuit breaker: stop calling what is broken.

mod config;

pub use config::{BreakerConfig, Window};

use crate::{Clock, ConfigError};
use std::time::Duration;

/// A circuit breaker: closed → open → half-open.
#[derive(Debug)]
pub struct CircuitBreaker {
    name: String,
    clock: Clock,
}

/// The right to make one call, by value. Report what became of it with [`CircuitBreaker::report`], or
/// [`release`](CircuitBreaker::release) it. A permit reported twice, or by an earlier generation, is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Permit {
    /// Opaque: generation, probe slot and nonce.
    pub word: u64,
    /// Clock nanoseconds at which it was acquired; 0 where nothing needs it.
    pub started_ns: u64,
}

/// A refusal by an open circuit (or by a half-open one whose probes are all taken).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Nanoseconds until a probe may be tried; `u64::MAX` while forced open.
    pub retry_after_ns: u64,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// It worked. Slow when its duration reached `slow_call_duration`.
    Success,
    /// It failed.
    Failure,
    /// It says nothing about the dependency (a wrong argument, a local refusal): not counted; a probe slot is given back.
    Ignore,
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum State {
    /// Calls pass and are counted.
    Closed = 0,
    /// Calls are refused until the cooldown ends.
    Open = 1,
    /// A few probes pass.
    HalfOpen = 2,
    /// Open by hand, until reset.
    ForcedOpen = 3,
    /// Switched off: calls pass and are not counted.
    Disabled = 4,
    /// Calls pass and are counted, the circuit never opens.
    MetricsOnly = 5,
}

/// One entry of the event ring: a transition or the outcome of a probe, never a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Running number, from 0; a gap means that entries were overwritten before they were read.
    pub seq: u64,
    /// What happened.
    pub kind: EventKind,
    /// Clock nanoseconds (millisecond resolution).
    pub at_ns: u64,
}

/// What an [`Event`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum EventKind {
    /// Now closed.
    Closed = 0,
    /// Now open.
    Opened = 1,
    /// Now half-open.
    HalfOpened = 2,
    /// Opened by hand.
    ForcedOpen = 3,
    /// Switched off.
    Disabled = 4,
    /// Metrics only.
    MetricsOnly = 5,
    /// A probe succeeded.
    ProbeSucceeded = 6,
    /// A probe failed.
    ProbeFailed = 7,
    /// A probe did not report within `probe_timeout`.
    ProbeLost = 8,
}

/// A look at a breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BreakerStats {
    /// Where it stands.
    pub state: State,
    /// Calls in the window.
    pub calls: u32,
    /// Failed calls in the window.
    pub failed: u32,
    /// Slow calls in the window.
    pub slow: u32,
    /// `failed / calls`, 0 without calls.
    pub failure_rate: f64,
    /// `slow / calls`, 0 without calls.
    pub slow_call_rate: f64,
    /// Calls refused since the breaker was made.
    pub rejected: u64,
    /// How often it opened since it was made.
    pub opened: u64,
    /// Nanoseconds until a probe may be tried; 0 when not open.
    pub retry_after_ns: u64,
}

impl CircuitBreaker {
    /// A closed breaker on the monotonic clock. `name` stands in errors and events.
    pub fn new(name: impl Into<String>, config: BreakerConfig) -> Result<Self, ConfigError> {
        Self::with_clock(name, config, Clock::monotonic())
    }

    /// A closed breaker on `clock`.
    pub fn with_clock(name: impl Into<String>, config: BreakerConfig, clock: Clock) -> Result<Self, ConfigError> {
        let _ = config;
        Ok(Self { name: name.into(), clock })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings.
    pub fn config(&self) -> &BreakerConfig {
        todo!()
    }

    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Asks for one call.
    #[inline]
    pub fn acquire(&self) -> Result<Permit, Rejected> {
        todo!()
    }

    /// [`acquire`](Self::acquire) at `now` nanoseconds of this breaker's clock.
    pub fn acquire_at(&self, now: u64) -> Result<Permit, Rejected> {
        let _ = now;
        todo!()
    }

    /// Reports a call; `duration` `None` is the time since the permit was acquired.
    #[inline]
    pub fn report(&self, permit: Permit, outcome: Outcome, duration: Option<Duration>) {
        let _ = (permit, outcome, duration);
        todo!()
    }

    /// [`report`](Self::report) at `now`.
    pub fn report_at(&self, now: u64, permit: Permit, outcome: Outcome, duration: Option<Duration>) {
        let _ = (now, permit, outcome, duration);
        todo!()
    }

    /// A failure that came with the server's own Retry-After: if it opens the circuit, the cooldown lasts that long
    /// (at least the configured one, at most `max_cooldown`).
    pub fn report_retry_after(&self, permit: Permit, retry_after: Duration) {
        let _ = (permit, retry_after);
        todo!()
    }

    /// [`report_retry_after`](Self::report_retry_after) at `now`.
    pub fn report_retry_after_at(&self, now: u64, permit: Permit, retry_after: Duration) {
        let _ = (now, permit, retry_after);
        todo!()
    }

    /// Gives a permit back without an outcome (the call was cancelled): neutral, a probe slot returns.
    pub fn release(&self, permit: Permit) {
        let _ = permit;
        todo!()
    }

    /// [`release`](Self::release) at `now`.
    pub fn release_at(&self, now: u64, permit: Permit) {
        let _ = (now, permit);
        todo!()
    }

    /// Where it stands. An open breaker whose cooldown has ended still reads `Open` until somebody acquires a probe.
    pub fn state(&self) -> State {
        todo!()
    }

    /// Nanoseconds until a probe may be tried; 0 when calls pass, `u64::MAX` while forced open.
    pub fn retry_after_ns(&self) -> u64 {
        todo!()
    }

    /// [`retry_after_ns`](Self::retry_after_ns) at `now`.
    pub fn retry_after_ns_at(&self, now: u64) -> u64 {
        let _ = now;
        todo!()
    }

    /// The window and counters.
    pub fn stats(&self) -> BreakerStats {
        todo!()
    }

    /// [`stats`](Self::stats) at `now`.
    pub fn stats_at(&self, now: u64) -> BreakerStats {
        let _ = now;
        todo!()
    }

    /// Opens until [`reset`](Self::reset). The three operator switches also have `_at(now)` forms.
    pub fn force_open(&self) {
        todo!()
    }

    /// Lets everything pass and counts nothing, until [`reset`](Self::reset).
    pub fn disable(&self) {
        todo!()
    }

    /// Counts and never opens, until [`reset`](Self::reset).
    pub fn metrics_only(&self) {
        todo!()
    }

    /// Closed, with an empty window and the first cooldown.
    pub fn reset(&self) {
        todo!()
    }

    /// Events from number `from` on, oldest first, as many as the ring still holds.
    pub fn events_since(&self, from: u64) -> Vec<Event> {
        let _ = from;
        todo!()
    }

    /// Runs `f` under a permit: `Ok` is a success, `Err` a failure; a panic in `f` is a failure and goes on.
    pub fn call<T, E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
        let _ = f;
        todo!()
    }
}

/// Why [`CircuitBreaker::call`] gave no value.
#[derive(Debug)]
pub enum CallError<E> {
    /// The circuit refused.
    Rejected(Rejected),
    /// The call itself failed.
    Failed(E),
}
