//! The event ring: the latest transitions, probe outcomes and changes of settings, for the host language to poll.
//!
//! A slot's word is `seq:20 | kind + 1:4 | ms:40`, high to low. An event is published by the one compare-and-swap that
//! puts it into the slot of its number; the head counter only says where to look, and anyone moves it on, so that a
//! killed writer leaves no hole.
//!
//! What opened the circuit stands beside the slot, written before the event is published. Two openings lie at least a
//! cooldown and a half-open state with events of its own apart, so no two writers want to put one at the same number.

use super::tally::Tally;
use super::trip::{self, Trip};
use crate::sync::{AtomicU64, Ordering};

/// One entry of the event ring: a transition, the outcome of a probe or a change of settings, never a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Running number, from 0; a gap means that entries were overwritten before they were read.
    pub seq: u64,
    /// What happened.
    pub kind: EventKind,
    /// Clock nanoseconds (millisecond resolution).
    pub at_ns: u64,
    /// Of [`EventKind::Opened`]: what opened it.
    pub trip: Option<Trip>,
}

/// What an [`Event`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum EventKind {
    /// Now closed.
    Closed = 0,
    /// Now open.
    Opened = 1,
    /// Now half-open.
    HalfOpened = 2,
    /// Opened by hand.
    ForcedOpen = 3,
    /// Switched off.
    Disabled = 4,
    /// Metrics only.
    MetricsOnly = 5,
    /// A probe succeeded.
    ProbeSucceeded = 6,
    /// A probe failed.
    ProbeFailed = 7,
    /// A probe did not report within `probe_timeout`.
    ProbeLost = 8,
    /// Closed, and calls come back by degrees.
    RampStarted = 9,
    /// All calls pass again: the ramp's time is over, or it was ended by a reset. A trip or another switch tells of
    /// itself.
    RampEnded = 10,
    /// Its settings were changed.
    Configured = 11,
}

impl EventKind {
    /// All of them, by number.
    pub const ALL: [Self; 12] = [
        Self::Closed,
        Self::Opened,
        Self::HalfOpened,
        Self::ForcedOpen,
        Self::Disabled,
        Self::MetricsOnly,
        Self::ProbeSucceeded,
        Self::ProbeFailed,
        Self::ProbeLost,
        Self::RampStarted,
        Self::RampEnded,
        Self::Configured,
    ];

    /// The name in every language: `"opened"`, `"probe_failed"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Opened => "opened",
            Self::HalfOpened => "half_opened",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
            Self::ProbeSucceeded => "probe_succeeded",
            Self::ProbeFailed => "probe_failed",
            Self::ProbeLost => "probe_lost",
            Self::RampStarted => "ramp_started",
            Self::RampEnded => "ramp_ended",
            Self::Configured => "configured",
        }
    }
}

/// Events that the ring holds.
pub(super) const EVENTS: usize = if cfg!(loom) { 4 } else { 64 };
const SEQ_MASK: u64 = (1 << 20) - 1;
const MS_MASK: u64 = (1 << 40) - 1;
/// Lost races after which an event is dropped: foreign bytes must not keep a caller for ever.
const PATIENCE: usize = 1_000;

#[repr(C)]
#[derive(Debug)]
pub(super) struct EventRing {
    head: AtomicU64,
    slots: [AtomicU64; EVENTS],
    trips: [AtomicU64; EVENTS],
}

impl EventRing {
    #[cfg(loom)]
    pub(super) fn blank() -> Self {
        let zeroed = || std::array::from_fn(|_| AtomicU64::new(0));
        Self { head: AtomicU64::new(0), slots: zeroed(), trips: zeroed() }
    }

    /// The number of the next entry.
    pub(super) fn next(&self) -> u64 {
        // Acquire: as in `since`.
        self.head.load(Ordering::Acquire)
    }

    fn slot(&self, seq: u64) -> &AtomicU64 {
        &self.slots[seq as usize % EVENTS]
    }

    fn trip(&self, seq: u64) -> &AtomicU64 {
        &self.trips[seq as usize % EVENTS]
    }

    pub(super) fn push(&self, kind: EventKind, ms: u64) {
        self.push_with(kind, ms, None);
    }

    pub(super) fn push_trip(&self, by: Tally, ms: u64) {
        self.push_with(EventKind::Opened, ms, Some(by));
    }

    fn push_with(&self, kind: EventKind, ms: u64, by: Option<Tally>) {
        for _ in 0..PATIENCE {
            // Acquire: pairs with the release below; the slots up to this head are seen written.
            let seq = self.head.load(Ordering::Acquire);
            // Acquire: pairs with the publishing swap.
            let found = self.slot(seq).load(Ordering::Acquire);
            if holds(found, seq) {
                self.advance(seq);
                continue;
            }
            // The entry of the lap before, and no newer one: a writer that read an old head must not overwrite it.
            if !(found == 0 || seq.checked_sub(EVENTS as u64).is_some_and(|before| holds(found, before))) {
                continue;
            }
            if let Some(by) = by {
                // Relaxed: published by the exchange below.
                self.trip(seq).store(trip::word(by, lap(seq)), Ordering::Relaxed);
            }
            let word = (seq & SEQ_MASK) << 44 | (kind as u64 + 1) << 40 | ms & MS_MASK;
            // Release: publishes the entry to readers.
            if self.slot(seq).compare_exchange(found, word, Ordering::Release, Ordering::Relaxed).is_ok() {
                self.advance(seq);
                return;
            }
        }
    }

    fn advance(&self, seq: u64) {
        // Release: whoever reads the new head sees the entry before it. A failure means that somebody else moved it on.
        let _ = self.head.compare_exchange(seq, seq.wrapping_add(1), Ordering::Release, Ordering::Relaxed);
    }

    /// The entries from `from` on that the ring still holds, oldest first.
    pub(super) fn since(&self, from: u64, at_ns: impl Fn(u64) -> u64) -> Vec<Event> {
        // Acquire: pairs with the release of `advance`.
        let head = self.head.load(Ordering::Acquire);
        let first = from.max(head.saturating_sub(EVENTS as u64));
        // One further than the head: its writer may not have moved it on yet.
        (first..=head)
            .filter_map(|seq| {
                // Acquire: pairs with the publishing swap.
                let word = self.slot(seq).load(Ordering::Acquire);
                if !holds(word, seq) {
                    return None;
                }
                let kind = *EventKind::ALL.get((word >> 40 & 0xf) as usize - 1)?;
                // Relaxed: ordered by the load above. One that a later opening has replaced since is left out.
                let opened = kind == EventKind::Opened;
                let trip = opened.then(|| trip::of(self.trip(seq).load(Ordering::Relaxed), lap(seq))).flatten();
                Some(Event { seq, kind, at_ns: at_ns(word & MS_MASK), trip })
            })
            .collect()
    }
}

/// Which round of the ring a number belongs to.
fn lap(seq: u64) -> u64 {
    seq / EVENTS as u64
}

/// Whether a slot's word is the entry of number `seq`. Every entry's kind is above 0, so an empty slot is none.
fn holds(word: u64, seq: u64) -> bool {
    word >> 40 & 0xf != 0 && word >> 44 == seq & SEQ_MASK
}
