//! A moment in a slot: `ns + 1:62 | ghost:1 | in hand:1`; 0 is none.
//!
//! A stamp *in hand* is one that some thread is about to admit by, or to take away; only that thread may change it
//! while it is live. Stamps of one value are as good as each other: who holds some in hand puts down so many of that
//! value, wherever they are.

/// Some thread has it in hand.
pub(super) const IN_HAND: u64 = 1;
/// It stands for what was in the slot before: see [`ghost`].
const GHOST: u64 = 2;
/// The last moment that a stamp can say: 146 years.
pub(super) const LAST_NS: u64 = (1 << 62) - 2;

/// The stamp of a moment up to [`LAST_NS`].
pub(super) fn at(ns: u64) -> u64 {
    (ns + 1) << 2
}

/// The moment of a stamp that is not 0.
pub(super) fn ns(stamp: u64) -> u64 {
    (stamp >> 2).saturating_sub(1)
}

/// The largest stamp that is dead as of `now`: a period or more before it. Those above it are live, also those after
/// `now`: to a late reading what was admitted since counts as well.
pub(super) fn horizon(now: u64, period: u64) -> u64 {
    (now + 1).saturating_sub(period) << 2 | GHOST | IN_HAND
}

/// What stands in the slot of a stamp that was taken away: a ghost. Not 0: it may have been written over an older one,
/// which a late reading must find again. That one was dead as of this stamp, so it is no newer than a period before it.
pub(super) fn ghost(stamp: u64, period: u64) -> u64 {
    ns(stamp).checked_sub(period).map_or(0, |ns| at(ns) | GHOST)
}

/// Whether it is an admission that nobody has in hand.
pub(super) fn is_put_down(stamp: u64) -> bool {
    stamp & (GHOST | IN_HAND) == 0
}

/// The stamp, or ghost, dated to another moment.
pub(super) fn dated(stamp: u64, ns: u64) -> u64 {
    at(ns) | stamp & GHOST
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_live_for_a_period_from_its_moment_on() {
        for (stamp, period, now, live) in [
            (0, 1, 0, true),
            (0, 1, 1, false),
            (7, 5, 11, true),
            (7, 5, 12, false),
            (7, 5, 0, true),
            (LAST_NS, 5, LAST_NS, true),
            (LAST_NS - 5, 5, LAST_NS, false),
            (3, u64::MAX, LAST_NS, true),
        ] {
            for word in [at(stamp), at(stamp) | IN_HAND] {
                assert_eq!(word > horizon(now, period), live, "{stamp} for {period} at {now}");
            }
            assert_eq!(ns(at(stamp)), stamp);
        }
    }

    #[test]
    fn what_was_taken_away_is_dead_as_of_its_moment_and_live_before() {
        assert_eq!((ghost(at(7), 8), ghost(at(8), 8)), (0, at(0) | GHOST));
        assert!(ghost(at(20), 8) <= horizon(20, 8) && ghost(at(20), 8) > horizon(19, 8));
    }
}
