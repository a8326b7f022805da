//! What became of calls since the breaker was made: beside its window, which forgets.
//!
//! Every report that names a call counts once, and every refusal: each in a stripe that its thread alone writes, so
//! that no cache line is shared. In an arena the stripes of dead processes keep what they counted.

use super::CircuitBreaker;
use super::state::State;
use crate::outcome::Outcome;
use crate::sync::Ordering;

/// What a call is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum CallOutcome {
    /// Refused by the circuit.
    Rejected = 0,
    /// It worked, and was not slow.
    Success = 1,
    /// It failed, slow or not.
    Failure = 2,
    /// It worked, and was slow.
    Slow = 3,
    /// It said nothing of the dependency, or was cancelled.
    Ignored = 4,
    /// It never reached the dependency.
    Unreached = 5,
    /// It was reported after the circuit had changed its state, or its probe's lease was lost: nobody judged by it.
    Late = 6,
}

impl CallOutcome {
    /// All of them, by number.
    pub const ALL: [Self; 7] =
        [Self::Rejected, Self::Success, Self::Failure, Self::Slow, Self::Ignored, Self::Unreached, Self::Late];

    /// The name in every language: `"success"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Slow => "slow",
            Self::Ignored => "ignored",
            Self::Unreached => "unreached",
            Self::Late => "late",
        }
    }

    pub(super) fn of(outcome: Outcome, slow: bool) -> Self {
        match outcome {
            Outcome::Success if slow => Self::Slow,
            Outcome::Success => Self::Success,
            Outcome::Failure => Self::Failure,
            Outcome::Ignore => Self::Ignored,
            Outcome::Unreached => Self::Unreached,
            Outcome::Slow => Self::Slow,
        }
    }
}

/// Counters of calls: those of one stripe fill a cache line.
pub(super) const LANES: usize = CallOutcome::ALL.len();

/// What a breaker has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerCounts {
    /// Calls, by [`CallOutcome`].
    pub calls: [u64; LANES],
    /// How often it came to each [`State`], by itself or by hand.
    pub transitions: [u64; State::ALL.len()],
}

impl CircuitBreaker {
    /// What it has counted since it was made; in an arena for all processes, the dead included. The parts are
    /// read one after the other, not at one instant.
    pub fn counts(&self) -> BreakerCounts {
        self.look(|it, _| it.counts_here()).unwrap_or_default()
    }

    fn counts_here(&self) -> BreakerCounts {
        BreakerCounts {
            calls: CallOutcome::ALL.map(|outcome| self.calls.sum(outcome as usize)),
            // Relaxed: a statistic.
            transitions: State::ALL.map(|to| self.head.transitions[to as usize].load(Ordering::Relaxed)),
        }
    }

    /// Counts a call that has ended.
    #[inline]
    pub(super) fn note(&self, outcome: CallOutcome) {
        // Nothing is decided by it, and a model that has it has many more interleavings.
        if cfg!(not(loom)) {
            self.calls.add(outcome as usize, 1);
        }
    }

    pub(super) fn note_transition(&self, to: State) {
        // Relaxed: a statistic.
        self.head.transitions[to as usize].fetch_add(1, Ordering::Relaxed);
    }
}
