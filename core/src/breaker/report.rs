//! What became of a call.

use super::control::Control;
use super::counts::CallOutcome;
use super::permit::{Permit, UNTIMED};
use super::rules::{Judge, nanos};
use super::state::State;
use super::tally::{Recorded, Tally};
use super::{CircuitBreaker, Outcomes, PATIENCE, run};
use crate::outcome::{Classified, Outcome};
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

    /// Reports as a classifier says; `duration` as for [`report`](Self::report). What the server asks for is the
    /// cooldown (as for [`report_retry_after`](Self::report_retry_after)) if this report opens the circuit, whatever
    /// the outcome.
    pub fn report_classified(&self, permit: Permit, classified: Classified, duration: Option<Duration>) {
        let Classified { outcome, retry_after } = classified;
        self.report_when(|| self.clock.now(), permit, outcome, duration, retry_after.map_or(0, nanos));
    }

    /// [`report_classified`](Self::report_classified) at `now`.
    pub fn report_classified_at(&self, now: u64, permit: Permit, classified: Classified, duration: Option<Duration>) {
        let Classified { outcome, retry_after } = classified;
        self.report_when(|| now, permit, outcome, duration, retry_after.map_or(0, nanos));
    }

    /// The time since a permit was acquired; `None` where that was not noted, see
    /// [`acquire_timed`](Self::acquire_timed).
    pub fn took(&self, permit: Permit) -> Option<Duration> {
        (permit.started_ns != UNTIMED).then(|| Duration::from_nanos(took(permit, &|| self.clock.now(), None)))
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
    pub(super) fn report_when(
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
            } else if self.has_gone(seen) {
                self.report_elsewhere(now(), permit, outcome, duration, retry_after_ns);
            } else if permit.word != 0 {
                self.note(CallOutcome::Late);
            }
            return;
        }
        if let (Outcome::Success, true, Outcomes::Count(window)) = (outcome, seen.is_closed(), &self.outcomes) {
            let brief = self.brief();
            // A success that is nothing but an entry in the log.
            if brief.is_plain() && window.record_quickly(seen, brief.min_calls()) {
                return self.note(CallOutcome::Success);
            }
        }
        self.report_any(seen, &now, permit, outcome, duration, retry_after_ns);
    }

    // Not inlined, so that the common case stays small at the call site.
    #[inline(never)]
    fn report_any(
        &self,
        seen: Control,
        now: &impl Fn() -> u64,
        permit: Permit,
        outcome: Outcome,
        mut duration: Option<Duration>,
        retry_after_ns: u64,
    ) {
        // A plain one has been tried.
        let tried = matches!(self.outcomes, Outcomes::Count(_)) && self.brief().is_plain();
        if outcome == Outcome::Success
            && seen.is_closed()
            && !tried
            && self.count_fast_success(seen, now, permit, &mut duration)
        {
            return self.note(CallOutcome::Success);
        }
        for _ in 0..PATIENCE {
            // One moment's settings for all that this report leads to.
            let judge = self.judge();
            let slow = match outcome {
                Outcome::Ignore => false,
                Outcome::Slow => true,
                _ => judge.times_calls() && took(permit, now, duration) >= judge.slow_ns,
            };
            let judged = match seen.state() {
                State::Closed | State::MetricsOnly if outcome != Outcome::Ignore => {
                    self.count(seen, now, outcome.failed(), slow, retry_after_ns, &judge)
                }
                State::HalfOpen => {
                    Some(self.settle_probe(seen, permit, (outcome, slow), now(), retry_after_ns, &judge))
                }
                // Not an outcome, or nobody judges.
                _ => Some(true),
            };
            if let Some(in_time) = judged {
                return self.note(if in_time { CallOutcome::of(outcome, slow) } else { CallOutcome::Late });
            }
        }
        self.note(CallOutcome::Late);
    }

    /// Counts a success of a closed breaker that is not slow and leads to no judgement; false: nothing is counted yet.
    /// `duration` is then what it took, where that was looked at.
    #[inline]
    fn count_fast_success(
        &self,
        seen: Control,
        now: &impl Fn() -> u64,
        permit: Permit,
        duration: &mut Option<Duration>,
    ) -> bool {
        let (brief, slow_ns) = self.brief_and_slow_ns();
        if brief.times_calls() {
            let took = took(permit, now, *duration);
            *duration = Some(Duration::from_nanos(took));
            if took >= slow_ns {
                return false;
            }
        }
        let counted = match &self.outcomes {
            Outcomes::Count(window) => window.record_quickly(seen, brief.min_calls()),
            Outcomes::Time(window) => {
                let since = self.origin.since_epoch(now());
                window.record_quickly(&self.head.control, seen, since, brief.min_calls())
            }
        };
        if counted && brief.counts_runs() {
            run::record(&self.head.run, &self.head.control.word, seen, false);
        }
        counted
    }

    /// Whether it came in time. `None`: it must be tried again, by the settings that are in force now.
    fn count(
        &self,
        seen: Control,
        now: &impl Fn() -> u64,
        failed: bool,
        slow: bool,
        retry_after_ns: u64,
        judge: &Judge,
    ) -> Option<bool> {
        let control = &self.head.control;
        let recorded = match &self.outcomes {
            Outcomes::Count(window) => window.record(control, seen, failed, slow, judge),
            Outcomes::Time(window) => window.record(control, seen, self.origin.since_epoch(now()), failed, slow, judge),
        };
        let by = match recorded {
            Recorded::Changed => return None,
            Recorded::Late => return Some(false),
            Recorded::Trips(by) => Some(by),
            Recorded::Counted => {
                let runs = judge.counts_runs();
                let trips = runs && run::record(&self.head.run, &control.word, seen, failed) >= judge.run_length;
                (trips && seen.can_trip()).then(|| self.window(seen.generation(), now(), judge.window))
            }
        };
        if let (Some(by), true) = (by, seen.can_trip()) {
            self.trip(seen, now(), retry_after_ns, by, judge);
        }
        Some(true)
    }

    #[cold]
    fn trip(&self, seen: Control, now: u64, retry_after_ns: u64, by: Tally, judge: &Judge) {
        let rules = self.rules_of(judge);
        // Those that judged stand nowhere any more: by those in force, or not at all.
        if rules.judge.version == judge.version || rules.judge.thresholds.trips(by) {
            self.open(seen, now, retry_after_ns, by, &rules);
        }
    }
}

/// Nanoseconds that a call took.
fn took(permit: Permit, now: &impl Fn() -> u64, duration: Option<Duration>) -> u64 {
    match duration {
        Some(duration) => nanos(duration),
        None if permit.started_ns == UNTIMED => 0,
        None => now().saturating_sub(permit.started_ns),
    }
}
