//! Half-open: lease the probes, judge what they bring.

use super::CircuitBreaker;
use super::control::Control;
use super::events::EventKind;
use super::permit::{Permit, Rejected, UNTIMED};
use super::probes::{Probes, Verdict};
use super::rules::{Judge, Rules};
use super::tally::Tally;
use crate::outcome::Outcome;
use crate::sync::Ordering;

impl CircuitBreaker {
    /// A probe in the generation of `seen`; `None` when the state changed and must be looked at again.
    pub(super) fn acquire_probe(&self, seen: Control, now: u64) -> Option<Result<Permit, Rejected>> {
        let (rules, cycle) = (self.rules(), self.cycle(seen));
        let (generation, slots) = cycle;
        let survey = self.probes.survey(generation, slots);
        if let Some(verdict) = Probes::verdict(&survey, &rules.probe_thresholds) {
            // Its reporter has not come this far, or a lost probe left the last word to us.
            self.conclude(seen, verdict, now, 0, survey.done, &rules);
            return None;
        }
        let (deadline, at_once) = (rules.probe_deadline(now), rules.probes_at_once);
        if let Some(free) = survey.free.filter(|_| survey.leased < at_once) {
            // Acquire, after the slot's load: a slot of a later generation was written by one who had seen that
            // generation in the control word, so it is seen here too. Otherwise another generation is an older one, and
            // the slot free.
            if self.head.control.word.load(Ordering::Acquire) != seen.0 {
                return None;
            }
            let Some(owner) = self.owners.me() else { return Some(Err(self.reject(seen, rules.cooldown_ns))) };
            let payload = self.probes.lease(free, generation, owner, deadline, at_once, slots)?;
            let started_ns = if rules.judge.times_calls() { now } else { UNTIMED };
            return Some(Ok(Permit { word: seen.permit(payload), started_ns }));
        }
        self.owners.survey(now);
        let left = |end| rules.lease_left(end, now);
        let lost = self.probes.reap(cycle, now, deadline, left, |owner| self.owners.is_gone(owner));
        for _ in 0..lost {
            self.emit(EventKind::ProbeLost, now);
        }
        if lost > 0 {
            return None;
        }
        // None: every lease ended since the survey, so one can be had or there is a verdict now.
        let wait = self.probes.waits(cycle, now, deadline, left).min()?;
        Some(Err(self.reject(seen, wait.min(rules.cooldown_ns))))
    }

    /// The half-open cycle of `seen`: its generation, and how many probes it takes.
    pub(super) fn cycle(&self, seen: Control) -> (u16, u32) {
        (seen.generation(), seen.probes(self.probes.room()))
    }

    /// A probe's outcome. False: the permit is void, or used up.
    #[cold]
    pub(super) fn settle_probe(
        &self,
        seen: Control,
        permit: Permit,
        (outcome, slow): (Outcome, bool),
        now: u64,
        retry_after_ns: u64,
        judge: &Judge,
    ) -> bool {
        let (generation, lease) = (seen.generation(), Control::payload(permit.word));
        let failed = match outcome {
            Outcome::Ignore | Outcome::Unreached => {
                return self.probes.free(lease, generation, |owner| self.owners.is_me(owner));
            }
            Outcome::Success | Outcome::Slow => false,
            Outcome::Failure => true,
        };
        if !self.probes.settle(lease, generation, |owner| self.owners.is_me(owner), failed, slow) {
            return false;
        }
        self.emit(if failed { EventKind::ProbeFailed } else { EventKind::ProbeSucceeded }, now);
        let (rules, survey) = (&self.rules_of(judge), self.probes.survey(generation, self.cycle(seen).1));
        if let Some(verdict) = Probes::verdict(&survey, &rules.probe_thresholds) {
            self.conclude(seen, verdict, now, retry_after_ns, survey.done, rules);
        }
        true
    }

    fn conclude(&self, seen: Control, verdict: Verdict, now: u64, retry_after_ns: u64, probes: Tally, rules: &Rules) {
        match verdict {
            Verdict::Close => self.close(seen, now, rules),
            Verdict::Reopen => self.open(seen, now, retry_after_ns, probes, rules),
        }
    }
}
