//! What a breaker shares: atomics only, no pointers, on the heap or in an arena. Sizes stand in private memory and are
//! never read from here.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::events::EventRing;
use super::settings::SettingSets;
use super::state::State;
use crate::ConfigError;
use crate::memory::{Latest, ObjectAllocator, SharedSlice, Watch, Zeroable};
use crate::sync::AtomicU64;
use std::sync::Arc;

/// The fixed part. The control word is read by every call and rarely written, so it has its cache lines for itself.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Head {
    pub(super) control: ControlLine,
    /// The run of failures, see `run.rs`.
    pub(super) run: AtomicU64,
    /// How often it came to each state.
    pub(super) transitions: [AtomicU64; State::ALL.len()],
    pub(super) events: EventRing,
    pub(super) sets: SettingSets,
    /// The number of the first event of this incarnation.
    pub(super) first_event: AtomicU64,
}

#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct ControlLine {
    pub(super) word: AtomicU64,
    /// Which settings are in force, and what every call asks of them.
    pub(super) settings: Latest,
    /// What last opened it, see `trip.rs`: refusals tell it, and it changes only together with the word.
    pub(super) trip: AtomicU64,
    /// Of the end of an open circuit's cooldown.
    pub(super) watch: Watch,
    /// Of the newest slice of a window of time: here, where every report has just looked.
    pub(super) window_watch: Watch,
    /// Which of the breakers that stood here one after the other it is; see `registry/shelf.rs`. Elsewhere 0.
    pub(super) incarnation: AtomicU64,
}

// SAFETY: atomics only.
unsafe impl Zeroable for Head {
    #[cfg(loom)]
    fn blank() -> Self {
        Self {
            control: ControlLine {
                word: AtomicU64::new(0),
                settings: Latest(AtomicU64::new(0)),
                trip: AtomicU64::new(0),
                watch: Watch::blank(),
                window_watch: Watch::blank(),
                incarnation: AtomicU64::new(0),
            },
            run: AtomicU64::new(0),
            transitions: std::array::from_fn(|_| AtomicU64::new(0)),
            events: EventRing::blank(),
            sets: SettingSets::blank(),
            first_event: AtomicU64::new(0),
        }
    }
}

/// The part whose size is known at run time: zeroed words.
#[derive(Debug)]
pub(super) struct Words(SharedSlice<AtomicU64>);

impl Words {
    pub(super) fn in_room(room: &mut ObjectAllocator, len: usize) -> Result<Self, ConfigError> {
        room.cells(len).map(Self)
    }

    /// Those of `all` from `at` on.
    pub(super) fn of(all: &Arc<SharedSlice<AtomicU64>>, at: usize, len: usize) -> Self {
        Self(all.part(at, len))
    }

    #[inline]
    pub(super) fn at(&self, index: usize) -> &AtomicU64 {
        &self.0[index]
    }
}
