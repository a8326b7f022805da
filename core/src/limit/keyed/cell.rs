//! A key's cell: who it is and how much is used, in one word, so that both change in one exchange.
//!
//! `tag:24 | state:40`, and of the state the top bit says that a penalty is in force: then the rest is its end.

use super::time::{Now, unwrap};
use crate::limit::LONGEST_PENALTY_NS;

/// Bits of a state.
pub(super) const STATE_BITS: u32 = 40;
const STATE: u64 = (1 << STATE_BITS) - 1;
/// The state is the end of a penalty.
pub(super) const PENALTY: u64 = 1 << (STATE_BITS - 1);
/// Bits that an algorithm has for itself.
pub(super) const OWN_BITS: u32 = STATE_BITS - 1;
const OWN: u64 = PENALTY - 1;

/// So late, in units of a penalty's end, a reading may be: three eighths of what can be told apart, which is six times
/// the longest.
const LATE: u64 = 3 << (OWN_BITS - 3);

#[inline]
pub(super) fn pack(tag: u64, state: u64) -> u64 {
    tag << STATE_BITS | state & STATE
}

#[inline]
pub(super) fn tag(cell: u64) -> u64 {
    cell >> STATE_BITS
}

#[inline]
pub(super) fn state(cell: u64) -> u64 {
    cell & STATE
}

/// Penalties end on multiples of 2^shift nanoseconds: about a millisecond, or longer where ends lie further away.
///
/// An end that can be put must be read as that end. What is put reaches at most the longest penalty ahead, and twice
/// that as of a reading that is as much too old, or an epoch more as of one of the same epoch: of an epoch that is
/// longer than the longest penalty, [`across`](Self::across) is told. An end further ahead is one of long ago, whose
/// bits have come round. So the bits must tell apart sixteen times the longest penalty; an epoch is at most twice it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Penalty {
    shift: u32,
    /// So far ahead of a reading an end is one that was put, in units of 2^shift.
    most: u64,
}

impl Penalty {
    /// `counted_ns`: the longest that anything counts, to whose end penalties are lengthened; at least a tick is told
    /// apart.
    pub(super) fn new(tick_shift: i32, counted_ns: u64) -> Self {
        let longest = counted_ns.max(LONGEST_PENALTY_NS);
        let least = u32::try_from(tick_shift).unwrap_or(0).max(20);
        let shift = (least..63).find(|&shift| longest >> shift < 1 << (OWN_BITS - 4)).unwrap_or(63);
        Self { shift, most: 2 * ((longest >> shift) + 1) }
    }

    /// For readings that lie apart by an epoch of `ns` without a look at the latest moment.
    pub(super) fn across(self, ns: u64) -> Self {
        let longest = self.most / 2;
        let epoch = (ns >> self.shift) + 1;
        debug_assert!(epoch <= 2 * longest, "an epoch is at most twice the longest penalty");
        Self { most: self.most.max(longest + epoch), ..self }
    }

    /// The state of a key that is penalised until `end_ns`, rounded up.
    pub(super) fn until(self, end_ns: u64) -> u64 {
        PENALTY | end_ns.div_ceil(1 << self.shift) & OWN
    }

    /// When the penalty in `state` ends, if it is one: nanoseconds since the epoch.
    #[inline]
    pub(super) fn end(self, state: u64, now: Now) -> Option<u64> {
        (state & PENALTY != 0).then(|| self.end_near(state, now.ns, now.latest_ns))
    }

    /// Nanoseconds until the penalty in `state` ends, if one is in force.
    #[inline]
    pub(super) fn left(self, state: u64, now: Now) -> Option<u64> {
        let end = self.end(state, now)?;
        (end > now.ns).then(|| end - now.ns)
    }

    #[cold]
    fn end_near(self, state: u64, ns: u64, latest_ns: u64) -> u64 {
        let (own, latest) = (ns >> self.shift, latest_ns.max(ns) >> self.shift);
        // What others put as of the latest moment, and what was put as of a late reading as far as that may be behind
        // it.
        let end = unwrap(state & OWN, OWN_BITS, latest.min(own + LATE));
        // Before the epoch, or further ahead than a penalty and a clock that stepped back can have put it: read so long
        // after that its bits have come round.
        if end >> 63 == 1 || end.saturating_sub(latest) > self.most {
            return 0;
        }
        end.saturating_mul(1 << self.shift)
    }
}
