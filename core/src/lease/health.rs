//! How it goes with who keeps a lease: written by the refiller, read by anybody.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use crate::arena::text;
use crate::memory::Zeroable;
use crate::sync::{AtomicU64, Ordering};
use std::time::Duration;

/// What the refillers of a lease have counted, and what was wrong last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseHealth {
    /// Questions to the store.
    pub syncs: u64,
    /// Questions without an answer.
    pub errors: u64,
    /// Questions that ran too late, or when the store's clock had leapt.
    pub late: u64,
    /// Times that the store was another one, or had forgotten.
    pub epochs: u64,
    /// Tokens granted to this machine.
    pub granted: u64,
    /// How long the latest answer took.
    pub round_trip: Duration,
    /// When it came, in nanoseconds of the lease's clock; 0: never.
    pub answered_ns: u64,
    /// What the store had left for all machines, by its latest answer.
    pub level: u64,
    /// What is wrong, if something is. Never the store's URL.
    pub fault: Option<String>,
}

/// Bytes of a fault's text.
const TEXT: usize = 192;

#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Health {
    counts: [AtomicU64; 8],
    fault: [AtomicU64; TEXT / 8],
}

// SAFETY: atomics only.
unsafe impl Zeroable for Health {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { counts: Zeroable::blank(), fault: Zeroable::blank() }
    }
}

impl Health {
    pub(super) fn read(&self) -> LeaseHealth {
        // Relaxed: statistics; a text that is being written may show parts of two.
        let read = |at: usize| self.counts[at].load(Ordering::Relaxed);
        let fault = text::read(&self.fault);
        LeaseHealth {
            syncs: read(0),
            errors: read(1),
            late: read(2),
            epochs: read(3),
            granted: read(4),
            round_trip: Duration::from_nanos(read(5)),
            answered_ns: read(6),
            level: read(7),
            fault: (!fault.is_empty()).then_some(fault),
        }
    }

    pub(super) fn write(&self, health: &LeaseHealth) {
        let LeaseHealth { syncs, errors, late, epochs, granted, round_trip, answered_ns, level, fault } = health;
        let round_trip = round_trip.as_nanos() as u64;
        let all = [*syncs, *errors, *late, *epochs, *granted, round_trip, *answered_ns, *level];
        for (word, value) in self.counts.iter().zip(all) {
            // Relaxed: statistics.
            word.store(value, Ordering::Relaxed);
        }
        text::write(&self.fault, fault.as_deref().unwrap_or(""));
    }
}
