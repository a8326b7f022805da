//! What stands in the two words of a queue, and the depths at which something happens.

/// Bits below the sequence number. In the tail: closed, rejecting, somebody waits to pop. In the head: somebody waits
/// to push. Because they share a word with the sequence number, a claim and the look at them are one CAS.
pub(super) const CLOSED: u64 = 1;
pub(super) const REJECTING: u64 = 2;
pub(super) const WAITING: u64 = 4;
const SHIFT: u32 = 3;
/// One item. 61 bits of sequence number last 73 years at 10^9 items a second.
pub(super) const ONE: u64 = 1 << SHIFT;

/// The sequence number in a head or tail word: how many items have been claimed at that end since the start.
#[inline]
pub(super) fn sequence(word: u64) -> u64 {
    word >> SHIFT
}

/// The marks of a queue, in items.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    /// The most items held.
    pub(super) capacity: u64,
    /// A push that brings the depth here sets the rejecting bit; `u64::MAX` without watermarks.
    pub(super) high: u64,
    /// A pop that brings the depth below this clears it.
    pub(super) low: u64,
    /// The least depth at which a push has more to do than to claim a slot.
    pub(super) slow_path_depth: u64,
    /// Whether a full queue gives its oldest item up instead of refusing the new one.
    pub(super) drop_oldest: bool,
    /// The bits of the tail at which a push stops.
    pub(super) refuse: u64,
}
