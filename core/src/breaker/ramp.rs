//! After closing: calls come back by degrees, so that those who waited for it do not return at once.
//!
//! The chance of a call to pass grows linearly, as Envoy's `slow_start_config` does with an aggression of 1. Whoever
//! asks after the end makes the circuit a closed one like any other.

use super::CircuitBreaker;
use super::control::Control;
use super::events::EventKind;
use super::permit::{Permit, Rejected, UNTIMED};
use super::rules::Rules;
use super::state::State;

/// Which part of the ramp a call that it refused should wait for.
const RETRIES: u64 = 10;

impl CircuitBreaker {
    /// Closes by itself, in a ramp where there is one.
    pub(super) fn close(&self, seen: Control, now: u64, rules: &Rules) {
        let next = rules.closed(seen, now);
        // Before the exchange: a note is of one ramp.
        self.head.control.watch.clear();
        if self.replace(seen, next) {
            self.emit_state(State::Closed, now);
            if next.is_ramping() {
                self.emit(EventKind::RampStarted, now);
            }
        }
    }

    /// The answer to a call in the ramp of `seen`; `None` when it is over and the state must be looked at again.
    pub(super) fn acquire_in_ramp(
        &self,
        seen: Control,
        mut now: u64,
        clock: &impl Fn() -> u64,
        draw: &impl Fn() -> f64,
    ) -> Option<Result<Permit, Rejected>> {
        let rules = self.rules();
        if !rules.ramp_is_plausible(seen, now) {
            // Read after the word: a thread that came late with a sound clock finds it plausible now.
            now = clock();
        }
        // One reading alone never ends a ramp that begins impossibly far ahead: it may be a late thread's.
        let is_bad = self.head.control.watch.judge(rules.ramp_is_plausible(seen, now), now);
        let Some(chance) = rules.chance(seen, now).filter(|_| !is_bad) else {
            if self.replace(seen, seen.ramped()) {
                self.emit(EventKind::RampEnded, now);
            }
            return None;
        };
        if draw() < chance {
            let started_ns = if rules.judge.times_calls() { now } else { UNTIMED };
            return Some(Ok(Permit { word: seen.permit(0), started_ns }));
        }
        Some(Err(self.reject(seen, rules.ramp_ns / RETRIES)))
    }
}
