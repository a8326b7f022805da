//! The operator's switches.

use super::CircuitBreaker;
use super::events::EventKind;
use super::state::State;

/// Lost races after which a switch gives up: foreign bytes must not keep a caller for ever.
const PATIENCE: usize = 1_000;

impl CircuitBreaker {
    /// Opens until [`reset`](Self::reset); refusals then say "never".
    ///
    /// This and the other switches begin a new generation with an empty window: outcomes of calls under way are
    /// dropped.
    /// Thread safety: any thread, any time.
    pub fn force_open(&self) {
        self.force_open_at(self.clock.now());
    }

    /// [`force_open`](Self::force_open) at `now` nanoseconds of this breaker's clock, which the event carries.
    pub fn force_open_at(&self, now: u64) {
        self.switch(State::ForcedOpen, now);
    }

    /// Lets everything pass and counts nothing, until [`reset`](Self::reset).
    pub fn disable(&self) {
        self.disable_at(self.clock.now());
    }

    /// [`disable`](Self::disable) at `now`.
    pub fn disable_at(&self, now: u64) {
        self.switch(State::Disabled, now);
    }

    /// Lets everything pass and counts it, and never opens, until [`reset`](Self::reset).
    pub fn metrics_only(&self) {
        self.metrics_only_at(self.clock.now());
    }

    /// [`metrics_only`](Self::metrics_only) at `now`.
    pub fn metrics_only_at(&self, now: u64) {
        self.switch(State::MetricsOnly, now);
    }

    /// Closed, with an empty window and the first cooldown.
    pub fn reset(&self) {
        self.reset_at(self.clock.now());
    }

    /// [`reset`](Self::reset) at `now`.
    pub fn reset_at(&self, now: u64) {
        self.switch(State::Closed, now);
    }

    pub(super) fn switch(&self, to: State, now: u64) {
        for _ in 0..PATIENCE {
            // With Acquire: the new generation begins after everything that the old one's last transition published.
            let seen = self.control();
            if self.has_gone(seen) {
                return self.switch_elsewhere(to, now);
            }
            if self.replace(seen, seen.next(to, 0, 0)) {
                if seen.state() != to {
                    self.emit_state(to, now);
                } else if seen.is_ramping() {
                    self.emit(EventKind::RampEnded, now);
                }
                return;
            }
        }
    }
}
