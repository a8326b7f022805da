//! The algorithms over a cell's state: neither the table nor the clock.

mod fills;
mod fixed;
mod gcra;
mod sliding;

pub(super) use fills::NUMBERS;
pub(super) use fixed::Fixed;
pub(super) use gcra::Gcra;
pub(super) use sliding::Sliding;

use super::cell::Penalty;
use super::time::{Epoch, Now};
use super::units::Units;
use crate::decision::NEVER;

/// What a decision on `n` comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Admitted: put this state, and act after so many nanoseconds.
    Admit { state: u64, delay_ns: u64 },
    /// Denied. Sometimes a state is to be put all the same: one that another quota put, as one of this.
    Deny { retry_after_ns: u64, heal: Option<u64> },
}

impl Verdict {
    pub(super) const NEVER: Self = Self::Deny { retry_after_ns: NEVER, heal: None };
}

/// What is left, for a decision's fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) remaining: u32,
    pub(super) reset_after_ns: u64,
}

/// What a table must know of the states in it.
///
/// `tick` numbers are in the kind's own time ([`Layout::now`]). A state is *free* from some tick on: no better than
/// none, so that its cell may go to another key.
pub(super) trait Layout {
    /// Whether what a key loses with its cell would let it have more.
    const COUNTS: bool = true;

    /// The moment `ns` nanoseconds after the epoch.
    fn now(&self, ns: u64) -> Now;

    /// The length of so many ticks in nanoseconds, rounded down.
    fn ns(&self, ticks: u64) -> u64;

    /// Bits of a time in a state. Those that are read come round with the numbers of epochs or sooner: see
    /// [`reclaim`](super::reclaim).
    fn time_bits(&self) -> u32;

    /// Ticks of an epoch, as a power of two: in a line of one epoch, what is from [`back`](Self::back) epochs before
    /// it to [`refill`](Self::refill) after it can be read.
    fn epoch_bits(&self) -> u32 {
        self.time_bits() - 3
    }

    /// How many epochs before a line's own can be read.
    fn back(&self) -> u64 {
        3
    }

    /// The latest tick from which a state can be free that every reading of this epoch reads right.
    fn last_free(&self, epoch: Epoch) -> u64 {
        epoch.start.wrapping_add((1 << (self.time_bits() - 1)) - 1)
    }

    /// Whole epochs, as a power of two ticks: nothing that was put in one of these is live in the third after it.
    fn life_bits(&self) -> u32 {
        self.epoch_bits()
    }

    /// Ticks that a state is free ahead of the reading that put it, at most.
    fn refill(&self) -> u64 {
        1 << (self.time_bits() - 2)
    }

    /// A reading as far as the table moves the moment that evicts: in the same epoch, and no later.
    fn coarse(&self, now: Now) -> u64;

    /// Nanoseconds by which readings may lie apart before their ticks have come round.
    fn most_ns(&self) -> u64 {
        1 << 62
    }

    /// The tick from which the state is as good as none.
    fn free_at(&self, state: u64, now: Now) -> u64;

    /// The state of a key that nothing is known of since tick `at`: free from then on, empty before.
    fn fresh(&self, at: u64) -> u64;

    /// The state of a key that nothing is known of, and that may have used up everything at tick `at`.
    fn used_up(&self, at: u64) -> u64 {
        self.fresh(at.wrapping_add(self.refill()))
    }

    /// `state`, which is over, free from tick `at` on.
    fn raise(&self, _state: u64, at: u64) -> u64 {
        self.fresh(at)
    }

    /// Of two states of one key the one that admits less.
    fn merge(&self, a: u64, b: u64, now: Now) -> u64;
}

/// A charge of a cell that may be taken back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    pub(super) n: u32,
    /// The state that it put.
    pub(super) own: u64,
    pub(super) at: Now,
}

/// One algorithm over 40 bits of state.
pub(super) trait CellAlgorithm: Layout {
    /// Whether [`extend`](Self::extend) ever changes anything.
    const EXTENDS: bool = false;

    /// Decides on `n` (at least 1) without changing anything.
    fn judge(&self, units: &Units, state: u64, now: Now, n: u32) -> Verdict;

    /// The state of a word that keys share, to count as long for a charge at `now` as one in a cell of its own would.
    /// What judges admit says so already, but for windows that began with another key.
    fn extend(&self, _units: &Units, state: u64, _now: Now) -> u64 {
        state
    }

    /// What is left in `state`, if it is not [closed](Self::is_closed).
    fn level(&self, units: &Units, state: u64, now: Now) -> Level;

    /// Whether the window in `state` was begun by a reading ahead, and so admits nobody: asked of what was denied.
    fn is_closed(&self, _state: u64, _now: Now) -> bool {
        false
    }

    /// The state with `n` given back, if that changes it. No penalty is in force.
    fn refund(&self, units: &Units, state: u64, now: Now, n: u32) -> Option<u64>;

    /// A state that another quota put, as one of this quota, if a denial by it stores that.
    fn claim(&self, _units: &Units, _state: u64, _now: Now) -> Option<u64> {
        None
    }

    /// The state with a charge taken back: at most what it certainly still holds. No penalty is in force.
    fn undo(&self, units: &Units, state: u64, now: Now, charge: Charge) -> Option<u64>;

    /// Nanoseconds until what is counted in `state` is over, where a penalty ends with nothing counted: so long it
    /// lasts at least, or it would be a pardon.
    fn counted_for(&self, state: u64, now: Now) -> u64;

    /// How penalties are kept.
    fn penalties(&self) -> Penalty;
}
