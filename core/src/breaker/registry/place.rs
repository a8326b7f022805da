//! Where in a registry a handle's breaker stands, and where its key stands once that place is another's.

use super::handles::HandleCell;
use super::key::Key;
use super::shelf::Shelf;
use crate::breaker::CircuitBreaker;
use crate::breaker::control::Control;
use crate::breaker::memory::ControlLine;
use crate::breaker::permit::{Permit, Rejected};
use crate::breaker::state::State;
use crate::outcome::Outcome;
use crate::sync::Ordering;
use crate::{ConfigError, ConfigErrorKind};
use std::sync::Arc;
use std::time::Duration;

/// How often a call looks anew where its key stands before it goes by the shared breaker. Each time its new place has
/// made room again before its first call: many threads that take few places from each other do so now and then.
const TURNS: usize = 64;

/// Whoever looks a key up compares `incarnation` and `key`: they come first, beside the counts of the handle's `Arc`.
#[repr(C)]
#[derive(Debug)]
pub(in super::super) struct Place {
    incarnation: u64,
    key: Key,
    number: usize,
    shelf: Arc<Shelf>,
    /// Where the key stood last, once the place is another's.
    next: HandleCell,
}

impl Place {
    pub(super) fn new(shelf: Arc<Shelf>, number: usize, incarnation: u64, key: Key) -> Self {
        Self { shelf, number, incarnation, key, next: HandleCell::default() }
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    #[inline]
    pub(in super::super) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Whether both are of one key, since it has its place.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.incarnation == other.incarnation && self.key == other.key
    }

    #[inline]
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// The control word `seen` of its line, if it is this breaker's.
    #[inline]
    pub(in super::super) fn control(&self, seen: Control, line: &ControlLine) -> Control {
        // Relaxed: not before the load of the word, an Acquire one, which pairs with the release of each word of a
        // later incarnation, which was stored after this changed.
        if line.incarnation.load(Ordering::Relaxed) == self.incarnation { seen } else { Control::GONE }
    }

    /// A call at `now`: whose last one is the oldest makes room first.
    pub(in super::super) fn note_call(&self, now: u64) {
        self.shelf.note_call(self.number, now);
    }

    /// Where the key stood last, or stands now.
    fn known(&self) -> Option<Arc<CircuitBreaker>> {
        self.next.find(|next| !next.has_gone(next.control())).or_else(|| self.shelf.find(&self.key))
    }

    /// Where the key stands, made where it has no place; the shared breaker without one.
    fn successor(&self, now: u64) -> Arc<CircuitBreaker> {
        let is_good = |next: &CircuitBreaker| next.place.is_some() && !next.has_gone(next.control());
        self.next.find(is_good).unwrap_or_else(|| {
            let next = self.shelf.get(&self.key, now);
            self.next.put(next.clone());
            next
        })
    }
}

impl CircuitBreaker {
    /// The key, or its first 240 bytes, of one that stands in a registry; else nothing.
    #[doc(hidden)] // For the bindings of Python and Node.
    pub fn key(&self) -> &[u8] {
        self.place.as_ref().map_or(&[], |place| place.key().text())
    }
}

/// What the handle of a breaker does that has made room.
impl CircuitBreaker {
    #[cold]
    pub(in super::super) fn acquire_elsewhere(&self, now: u64, draw: f64) -> Result<Permit, Rejected> {
        let Some(place) = &self.place else { return Err(self.reject(Control::GONE, u64::MAX)) };
        for _ in 0..TURNS {
            let next = place.successor(now);
            if let Some(answer) = next.acquire_here(next.control(), &|| now, &|| draw) {
                return answer;
            }
        }
        let shared = place.shelf.overflow();
        place.next.put(shared.clone());
        shared.acquire_at(now, draw)
    }

    /// A call that began where the key stood last.
    #[cold]
    pub(in super::super) fn report_elsewhere(
        &self,
        now: u64,
        permit: Permit,
        outcome: Outcome,
        duration: Option<Duration>,
        retry_after_ns: u64,
    ) {
        let next = self.place.as_ref().and_then(|place| place.known());
        if let Some(next) = next.filter(|next| !next.has_gone(next.control())) {
            next.report_when(|| now, permit, outcome, duration, retry_after_ns);
        }
    }

    /// The breaker of its key, made where there is none.
    ///
    /// Errors: there is no room for one.
    #[cold]
    pub(in super::super) fn successor(&self, now: u64) -> Result<Arc<CircuitBreaker>, ConfigError> {
        let next = self.place.as_ref().map(|place| place.successor(now));
        next.filter(|next| next.place.is_some()).ok_or_else(|| {
            let message = "has no breaker any more, and there is no room for another: those of a registry that are \
                           open never make room";
            ConfigError::new(ConfigErrorKind::Conflict, "key", message.to_owned())
        })
    }

    #[cold]
    pub(in super::super) fn switch_elsewhere(&self, to: State, now: u64) {
        let Some(place) = &self.place else { return };
        let next = place.successor(now);
        // Of the key, not of all that found no room.
        if next.place.is_some() && !next.has_gone(next.control()) {
            next.switch(to, now);
        }
    }

    /// What `f` says of the breaker and its control word; `None`: the key has no breaker.
    pub(in super::super) fn look<T>(&self, f: impl Fn(&Self, Control) -> T) -> Option<T> {
        let seen = self.control();
        if !self.has_gone(seen) {
            return Some(f(self, seen));
        }
        let next = self.place.as_ref()?.known()?;
        let seen = next.control();
        (!next.has_gone(seen)).then(|| f(&next, seen))
    }
}
