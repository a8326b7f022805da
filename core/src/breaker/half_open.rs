//! Half-open: lease the probes, judge what they bring.

use super::CircuitBreaker;
use super::control::Control;
use super::events::EventKind;
use super::permit::{Outcome, Permit, Rejected};
use super::probes::Verdict;
use super::tally::Tally;
use crate::sync::Ordering;

impl CircuitBreaker {
    /// A probe in the generation of `seen`; `None` when the state changed and must be looked at again.
    pub(super) fn acquire_probe(&self, seen: Control, now: u64) -> Option<Result<Permit, Rejected>> {
        let generation = seen.generation();
        let survey = self.probes.survey(generation);
        if let Some(verdict) = self.probes.verdict(&survey, &self.rules.probe_thresholds) {
            // Its reporter has not come this far, or a lost probe left the last word to us.
            self.conclude(seen, verdict, now, 0, survey.done);
            return None;
        }
        if let Some(free) = survey.free.filter(|_| survey.leased < self.rules.probes_at_once) {
            // Acquire, after the slot's load: a slot of a later generation was written by one who had seen that
            // generation in the control word, so it is seen here too. Otherwise another generation is an older one, and
            // the slot free.
            if self.head.control.word.load(Ordering::Acquire) != seen.0 {
                return None;
            }
            let Some(owner) = self.owners.me() else { return Some(Err(self.reject(seen, self.rules.cooldown_ns))) };
            let (deadline, at_once) = (self.rules.probe_deadline(now), self.rules.probes_at_once);
            let payload = self.probes.lease(free, generation, owner, deadline, at_once)?;
            let started_ns = if self.rules.times_calls() { now } else { 0 };
            return Some(Ok(Permit { word: seen.permit(payload), started_ns }));
        }
        self.owners.survey(now);
        let (deadline, left) = (self.rules.probe_deadline(now), |end| self.rules.lease_left(end, now));
        let lost = self.probes.reap(generation, now, deadline, left, |owner| self.owners.is_gone(owner));
        for _ in 0..lost {
            self.emit(EventKind::ProbeLost, now);
        }
        if lost > 0 {
            return None;
        }
        // None: every lease ended since the survey, so one can be had or there is a verdict now.
        Some(Err(self.reject(seen, self.probe_wait(generation, now)?)))
    }

    /// Nanoseconds until the earliest lease ends, at most a cooldown; `None` without a lease.
    fn probe_wait(&self, generation: u16, now: u64) -> Option<u64> {
        let (deadline, left) = (self.rules.probe_deadline(now), |end| self.rules.lease_left(end, now));
        let wait = self.probes.waits(generation, now, deadline, left).min();
        wait.map(|wait| wait.min(self.rules.cooldown_ns))
    }

    /// A probe's outcome.
    pub(super) fn settle_probe(
        &self,
        seen: Control,
        permit: Permit,
        outcome: Outcome,
        slow: bool,
        now: u64,
        retry_after_ns: u64,
    ) {
        let (generation, lease) = (seen.generation(), Control::payload(permit.word));
        let failed = match outcome {
            Outcome::Ignore | Outcome::Unreached => {
                self.probes.free(lease, generation, |owner| self.owners.is_me(owner));
                return;
            }
            Outcome::Success => false,
            Outcome::Failure => true,
        };
        if !self.probes.settle(lease, generation, |owner| self.owners.is_me(owner), failed, slow) {
            return;
        }
        self.emit(if failed { EventKind::ProbeFailed } else { EventKind::ProbeSucceeded }, now);
        let survey = self.probes.survey(generation);
        if let Some(verdict) = self.probes.verdict(&survey, &self.rules.probe_thresholds) {
            self.conclude(seen, verdict, now, retry_after_ns, survey.done);
        }
    }

    fn conclude(&self, seen: Control, verdict: Verdict, now: u64, retry_after_ns: u64, probes: Tally) {
        match verdict {
            Verdict::Close => self.close(seen, now),
            Verdict::Reopen => self.open(seen, now, retry_after_ns, probes),
        }
    }
}
