//! What a gate asks before it lets a call in: whether this circuit would refuse it. Nothing is leased or written.

use super::CircuitBreaker;
use super::control::Control;
use super::counts::CallOutcome;
use super::permit::Rejected;
use super::probes::Probes;
use super::state::State;

impl CircuitBreaker {
    /// The refusal that an acquisition at `now` would meet. `None`: a call may pass; or only an acquisition can tell:
    /// a cooldown that is over, a probe's lease that is over or half written, a reading impossibly far off are mended
    /// by the call that comes, so no look may keep it out. A ramp refuses by chance, at the acquisition.
    #[inline]
    pub(crate) fn refusal_at(&self, now: u64) -> Option<Rejected> {
        if self.control().is_closed() { None } else { self.refusal_with_care(now) }
    }

    #[inline(never)]
    fn refusal_with_care(&self, now: u64) -> Option<Rejected> {
        self.look(|it, seen| {
            let retry_after_ns = it.shut_for(seen, now)?;
            let trip = if seen.state() == State::ForcedOpen { None } else { it.last_trip() };
            Some(Rejected { retry_after_ns, trip, ramping: false })
        })?
    }

    fn shut_for(&self, seen: Control, now: u64) -> Option<u64> {
        match seen.state() {
            State::Closed | State::Disabled | State::MetricsOnly => None,
            State::ForcedOpen => Some(u64::MAX),
            State::Open => {
                self.origin.cooldown_left(seen, now, self.longest_cooldown_ns()).filter(|left_ns| *left_ns > 0)
            }
            State::HalfOpen => {
                let (rules, cycle) = (self.rules(), self.cycle(seen));
                let survey = self.probes.survey(cycle.0, cycle.1);
                let is_free = survey.free.is_some() && survey.leased < rules.probes_at_once;
                if is_free || Probes::verdict(&survey, &rules.probe_thresholds).is_some() {
                    return None;
                }
                let left_ns = self.probes.shortest_lease(cycle, |end| rules.lease_left(end, now))?;
                Some(left_ns.min(rules.cooldown_ns))
            }
        }
    }

    /// Counts a call that was refused by what a look said.
    pub(crate) fn note_rejected(&self) {
        self.calls.add(CallOutcome::Rejected as usize, 1);
    }
}
