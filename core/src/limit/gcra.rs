//! The generic cell rate algorithm in whole units: neither time nor storage.
//!
//! A bucket is one number, the theoretical arrival time (`tat`): the moment at which it will be full again. Source:
//! ITU-T I.371 (virtual scheduling), in governor's reading of it as a token bucket.

/// A moment of a bucket's own time: whole units since its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Units, rounded down.
    pub(super) units: u64,
    /// 1 where rounding lost something: a full bucket is charged from the rounded-up moment.
    pub(super) inexact: u64,
}

impl Moment {
    #[inline]
    fn ceil(self) -> u64 {
        // Wrapping: foreign bytes in an arena must not panic.
        self.units.wrapping_add(self.inexact)
    }
}

/// The new `tat` if `cost` units may be taken now.
#[inline]
pub(super) fn charge(tat: u64, now: Moment, cost: u64, capacity: u64) -> Option<u64> {
    if cost > capacity {
        return None;
    }
    charge_within(tat, now, cost, capacity)
}

/// [`charge`] for a `cost` that is known to be at most `capacity`.
#[inline]
pub(super) fn charge_within(tat: u64, now: Moment, cost: u64, capacity: u64) -> Option<u64> {
    if tat <= now.units {
        return Some(now.ceil().wrapping_add(cost));
    }
    // Wrapping here and below: the range makes overflow impossible, and bytes that break the range must not panic.
    let new = tat.wrapping_add(cost);
    (new <= now.units.wrapping_add(capacity)).then_some(new)
}

/// The new `tat` if `cost` (at most `capacity`) is taken whatever the level, and the units until it is covered.
pub(super) fn book(tat: u64, now: Moment, cost: u64, capacity: u64) -> (u64, u64) {
    let base = if tat <= now.units { now.ceil() } else { tat };
    let new = base.saturating_add(cost);
    // From full, the rounded-up base is covered at once.
    let covered = if tat <= now.units { now.ceil() } else { now.units };
    (new, new.saturating_sub(covered.saturating_add(capacity)))
}

/// Units that could be taken now.
pub(super) fn level(tat: u64, now: Moment, capacity: u64) -> u64 {
    if tat <= now.units { capacity } else { now.ceil().saturating_add(capacity).saturating_sub(tat) }
}

/// Units until full.
pub(super) fn deficit(tat: u64, now: Moment) -> u64 {
    tat.saturating_sub(now.units)
}
