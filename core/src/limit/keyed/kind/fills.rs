//! How long the quotas of a table of buckets take to fill, and the numbers by which states tell them apart: for all who
//! have the limiter open.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::super::units::{MAX_BURST, MAX_CAPACITY_BITS, Units};
use crate::ConfigError;
use crate::memory::{ObjectAllocator, One, Zeroable};
use crate::sync::{AtomicU64, Ordering};

/// A state has room for so many numbers, and for none.
pub(crate) const NUMBERS: usize = 7;

/// Only ever raised or written once, so that who dies in between has changed nothing.
#[repr(C, align(64))]
#[derive(Debug)]
struct Shared {
    /// The longest that any quota takes to fill, in whatever part of its warm-up.
    longest: AtomicU64,
    /// In the order of their numbers, from 1 on; 0 is none yet.
    fills: [AtomicU64; NUMBERS],
}

// SAFETY: atomics only.
unsafe impl Zeroable for Shared {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { longest: Zeroable::blank(), fills: Zeroable::blank() }
    }
}

/// Quotas that fill in the same number of ticks have one number: to a key they are the same but for the price of a
/// token.
#[derive(Debug)]
pub(crate) struct Fills(One<Shared>);

impl Fills {
    /// One part.
    pub(super) fn in_room(room: &mut ObjectAllocator) -> Result<Self, ConfigError> {
        Ok(Self(room.one()?))
    }

    /// Before a quota is used.
    pub(crate) fn raise(&self, units: &Units) {
        // A token is rounded up while the quota warms up, so that a burst may take a tick more for each of its tokens.
        let most = units.capacity.saturating_add(units.burst.into());
        // Relaxed, both: it only decides how long a penalised cell is kept, and was raised before any state that needs
        // it.
        if self.0.longest.load(Ordering::Relaxed) < most {
            self.0.longest.fetch_max(most, Ordering::Relaxed);
        }
    }

    pub(super) fn longest(&self) -> u64 {
        // Relaxed: see `raise`.
        self.0.longest.load(Ordering::Relaxed).min(MOST)
    }

    /// How long the quota of this number takes to fill. `None`: there is no such number.
    pub(super) fn of(&self, number: u64) -> Option<u64> {
        let word = self.0.fills.get(number.wrapping_sub(1) as usize)?;
        // Acquire: pairs with the release of `add`. A state of this number was put by who had seen it.
        Some(word.load(Ordering::Acquire)).filter(|fill| (1..=MOST).contains(fill))
    }

    /// The least of what is known and of `fill`.
    pub(super) fn shortest(&self, fill: u64) -> u64 {
        self.known().map(|(_, other)| other).chain([fill]).min().unwrap_or(fill).max(1)
    }

    /// Whether quotas of different times to fill are about.
    pub(crate) fn differ(&self) -> bool {
        self.of(2).is_some()
    }

    fn known(&self) -> impl Iterator<Item = (u64, u64)> {
        (1..=NUMBERS as u64).filter_map(|number| self.of(number).map(|fill| (number, fill)))
    }

    /// The quota with its number, where that is known already.
    pub(crate) fn numbered(&self, units: &Units) -> Option<Units> {
        let (id, _) = self.known().find(|&(_, fill)| fill == units.capacity)?;
        Some(Units { id, ..*units })
    }

    /// The quota with its number; when there is none left, with one that it can share: see [`shared`](Self::shared).
    /// Only under the lock, or by who makes the limiter.
    pub(crate) fn add(&self, units: &Units) -> Option<Units> {
        if let Some(known) = self.numbered(units) {
            return Some(known);
        }
        // Relaxed: only who holds the lock writes it.
        let free = self.0.fills.iter().position(|word| word.load(Ordering::Relaxed) == 0);
        let Some(free) = free else { return self.shared(units) };
        // Release: who reads the number sees what was raised for it.
        self.0.fills[free].store(units.capacity, Ordering::Release);
        Some(Units { id: free as u64 + 1, ..*units })
    }

    /// A number of a quota that fills in nearly the same time, so that even by turns with it no whole token more is
    /// taken (once, for what fills is the longer time); else of the one that fills next sooner, with as much of the
    /// burst as fills in that time: what is used of it is the same part of what fills in that time. `None`: nothing
    /// fills as soon.
    fn shared(&self, units: &Units) -> Option<Units> {
        let near = |&(_, fill): &(u64, u64)| fill >= units.capacity && fill - units.capacity < units.span;
        if let Some((id, _)) = self.known().find(near) {
            return Some(Units { id, ..*units });
        }
        let (id, fill) = self.known().filter(|&(_, fill)| fill < units.capacity).max_by_key(|&(_, fill)| fill)?;
        let burst = fill / units.span.max(1);
        (burst > 0).then(|| Units { id, ..Units::new(units.span, burst as u32) })
    }
}

/// More than any quota takes, even while it warms up.
const MOST: u64 = (1 << MAX_CAPACITY_BITS) + 2 * MAX_BURST as u64;

/// `ticks * to / of`, rounded up.
pub(super) fn part_up(ticks: u64, to: u64, of: u64) -> u64 {
    let part = (u128::from(ticks) * u128::from(to)).div_ceil(of.max(1).into());
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// `ticks * to / of`, rounded down.
pub(super) fn part_down(ticks: u64, to: u64, of: u64) -> u64 {
    let part = u128::from(ticks) * u128::from(to) / u128::from(of.max(1));
    u64::try_from(part).unwrap_or(u64::MAX)
}
