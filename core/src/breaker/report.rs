//! What became of a call.

use super::control::Control;
use super::count_window::CountWindow;
use super::permit::{Outcome, Permit};
use super::rules::nanos;
use super::state::State;
use super::tally::Recorded;
use super::{CircuitBreaker, Outcomes, run};
use std::time::Duration;

impl CircuitBreaker {
    /// Reports a call; `duration` `None` is the time since the permit was acquired.
    ///
    /// The clock is read only where the outcome needs it: for a time window, for a duration that decides whether the
    /// call was slow, and when the state changes. A report of an earlier generation is dropped.
    #[inline]
    pub fn report(&self, permit: Permit, outcome: Outcome, duration: Option<Duration>) {
        self.report_when(|| self.clock.now(), permit, outcome, duration, 0);
    }

    /// [`report`](Self::report) at `now` nanoseconds of this breaker's clock.
    #[inline]
    pub fn report_at(&self, now: u64, permit: Permit, outcome: Outcome, duration: Option<Duration>) {
        self.report_when(|| now, permit, outcome, duration, 0);
    }

    /// A failure that came with the server's own Retry-After: if it opens the circuit, the cooldown lasts that long
    /// (at least the configured one, at most `max_cooldown`).
    pub fn report_retry_after(&self, permit: Permit, retry_after: Duration) {
        self.report_when(|| self.clock.now(), permit, Outcome::Failure, None, nanos(retry_after));
    }

    /// [`report_retry_after`](Self::report_retry_after) at `now`.
    pub fn report_retry_after_at(&self, now: u64, permit: Permit, retry_after: Duration) {
        self.report_when(|| now, permit, Outcome::Failure, None, nanos(retry_after));
    }

    /// Gives a permit back without an outcome (the call was cancelled): neutral, a probe slot returns.
    #[inline]
    pub fn release(&self, permit: Permit) {
        self.report_when(|| 0, permit, Outcome::Ignore, None, 0);
    }

    /// [`release`](Self::release) at `now`: no lease is lengthened by it, so every time does the same.
    #[inline]
    pub fn release_at(&self, _now: u64, permit: Permit) {
        self.release(permit);
    }

    #[inline]
    fn report_when(
        &self,
        now: impl Fn() -> u64,
        permit: Permit,
        outcome: Outcome,
        duration: Option<Duration>,
        retry_after_ns: u64,
    ) {
        let seen = self.control();
        if !seen.issued(permit.word) {
            // A ramp's permits are those of the closed state.
            if seen.is_ramping() && seen.ramped().issued(permit.word) {
                self.report_any(seen, &now, permit, outcome, duration, retry_after_ns);
            }
            return;
        }
        if let (Outcome::Success, true, Some(window)) = (outcome, seen.is_closed(), self.plain_window())
            && window.record_quickly(seen)
        {
            return;
        }
        self.report_any(seen, &now, permit, outcome, duration, retry_after_ns);
    }

    /// The window of a breaker for which a success is nothing but an entry in the log.
    #[inline]
    fn plain_window(&self) -> Option<&CountWindow> {
        match &self.outcomes {
            Outcomes::Count(window) if !self.rules.times_calls() && !self.rules.counts_runs() => Some(window),
            _ => None,
        }
    }

    // Not inlined, so that the common case stays small at the call site.
    #[inline(never)]
    fn report_any(
        &self,
        seen: Control,
        now: &impl Fn() -> u64,
        permit: Permit,
        outcome: Outcome,
        duration: Option<Duration>,
        retry_after_ns: u64,
    ) {
        let slow = self.rules.times_calls() && outcome != Outcome::Ignore && {
            let took = duration.map_or_else(|| now().saturating_sub(permit.started_ns), nanos);
            took >= self.rules.slow_ns
        };
        match seen.state() {
            State::Closed | State::MetricsOnly if outcome != Outcome::Ignore => {
                self.count(seen, now, outcome != Outcome::Success, slow, retry_after_ns);
            }
            State::HalfOpen => self.settle_probe(seen, permit, outcome, slow, now(), retry_after_ns),
            // Not an outcome, or nobody counts.
            _ => {}
        }
    }

    fn count(&self, seen: Control, now: &impl Fn() -> u64, failed: bool, slow: bool, retry_after_ns: u64) {
        let control = &self.head.control.word;
        let recorded = match &self.outcomes {
            Outcomes::Count(window) => window.record(control, seen, failed, slow),
            Outcomes::Time(window) => {
                window.record(&self.head.control, seen, self.rules.since_epoch(now()), failed, slow)
            }
        };
        let by = match recorded {
            Recorded::Late => None,
            Recorded::Trips(by) => Some(by),
            Recorded::Counted => {
                let runs = self.rules.counts_runs();
                let trips = runs && run::record(&self.head.run, control, seen, failed) >= self.rules.run_length;
                (trips && seen.can_trip()).then(|| self.window(seen.generation(), now()))
            }
        };
        if let (Some(by), true) = (by, seen.can_trip()) {
            self.open(seen, now(), retry_after_ns, by);
        }
    }
}
