//! What a gate tells of itself.

use super::{Gate, Kind};
use crate::ConfigError;
use crate::counters::Striped;
use crate::memory::ObjectAllocator;

/// Without those of `WOULD_DENY`.
const ADMITTED: usize = 0;
const WOULD_DENY: usize = 1;
/// And one for each kind.
const DENIED: usize = 2;
const LANES: usize = DENIED + Kind::ALL.len();

/// Counts since the gate was made, of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateStats {
    /// Calls that were let in, with those of `would_deny`.
    pub admitted: u64,
    /// Calls that were refused.
    pub denied: u64,
    /// Calls that a dry run let in and would have refused.
    pub would_deny: u64,
    /// Those that were refused, by the kind of the part that the answer named.
    pub denied_by: [u64; Kind::ALL.len()],
}

#[derive(Debug)]
pub(super) struct Counts(Striped<LANES>);

impl Counts {
    pub(super) fn new() -> Result<Self, ConfigError> {
        Striped::in_room(&mut ObjectAllocator::of_process(false)).map(Self)
    }

    #[inline]
    pub(super) fn admitted(&self) {
        self.0.add(ADMITTED, 1);
    }

    pub(super) fn would_deny(&self) {
        self.0.add(WOULD_DENY, 1);
    }

    pub(super) fn denied(&self, kind: Kind) {
        self.0.add(DENIED + kind as usize, 1);
    }
}

impl Gate {
    /// Counts.
    pub fn stats(&self) -> GateStats {
        let counts = &self.counts.0;
        let denied_by = Kind::ALL.map(|kind| counts.sum(DENIED + kind as usize));
        let would_deny = counts.sum(WOULD_DENY);
        let admitted = counts.sum(ADMITTED) + would_deny;
        GateStats { admitted, denied: denied_by.iter().sum(), would_deny, denied_by }
    }
}
