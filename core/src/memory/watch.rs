//! When a word that lies too far ahead of a reading of the clock may be rewritten.
//!
//! Two things look alike: a clock that stepped back (the word was put by a bad reading), and a thread that comes late
//! with an old reading (the word is right). The first must heal, the second must mint nothing. So no single reading
//! rewrites a word: the first that finds it impossibly far ahead notes itself and denies. Any reading that finds the
//! word plausible takes the note away. Only when readings have gone on for [`HEAL_AFTER_NS`] from the note, and none
//! was plausible, the clock has stepped back, and the word is rewritten at the present reading, which is later than all
//! of them: it heals forwards.

use super::Zeroable;
use crate::sync::{AtomicU64, Ordering};

/// How long readings must go on behind a word that is impossibly far ahead before it is taken for a bad reading.
const HEAL_AFTER_NS: u64 = 60_000_000_000;

/// The first reading that found the object's word impossibly far ahead, plus one; 0 is none.
#[repr(transparent)]
#[derive(Debug)]
pub(crate) struct Watch(AtomicU64);

#[allow(unsafe_code)] // `unsafe impl Zeroable` for an atomic.
// SAFETY: one atomic.
unsafe impl Zeroable for Watch {
    #[cfg(loom)]
    fn blank() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Watch {
    /// A word of a larger state as a watch.
    #[allow(unsafe_code)] // A cast to the word's wrapper.
    #[inline]
    pub(crate) fn of(word: &AtomicU64) -> &Self {
        // SAFETY: `repr(transparent)`.
        unsafe { &*std::ptr::from_ref(word).cast() }
    }

    /// What a reading at `ns` finds: the word plausible, or impossibly far ahead. Whether the word is a bad reading's.
    #[inline]
    pub(crate) fn judge(&self, plausible: bool, ns: u64) -> bool {
        if plausible {
            self.clear();
            return false;
        }
        let lasted = self.has_lasted(ns);
        if !lasted {
            self.note(ns);
        }
        lasted
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        // Relaxed: whoever began after a note was made and does not see it comes before it.
        self.0.load(Ordering::Relaxed) != 0
    }

    /// A reading found the word plausible. Nothing is written where there is no note.
    #[inline]
    pub(crate) fn clear(&self) {
        if self.is_set() {
            self.take_away();
        }
    }

    #[cold]
    fn take_away(&self) {
        // Relaxed: nothing is published by it. A note that is lost here is made again, and healing comes later.
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether a word that is impossibly far ahead as of `ns` is a bad reading.
    #[cold]
    pub(crate) fn has_lasted(&self, ns: u64) -> bool {
        self.wait(ns) == 0
    }

    /// Nanoseconds from `ns` until [`has_lasted`](Self::has_lasted).
    #[cold]
    pub(crate) fn wait(&self, ns: u64) -> u64 {
        // Relaxed: the note says nothing of other words.
        let note = self.0.load(Ordering::Relaxed);
        let begun = if note == 0 { ns } else { ns.min(note - 1) };
        HEAL_AFTER_NS.saturating_sub(ns - begun)
    }

    /// Notes that the word is impossibly far ahead as of `ns`. An earlier reading than the noted one begins again.
    #[cold]
    pub(crate) fn note(&self, ns: u64) {
        // Relaxed, both: as above. A lost exchange is somebody else's note.
        let (note, new) = (self.0.load(Ordering::Relaxed), ns.saturating_add(1));
        if note == 0 || new < note {
            let _ = self.0.compare_exchange(note, new, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn watch() -> Watch {
        Watch(AtomicU64::new(0))
    }

    #[test]
    fn heals_only_after_readings_that_went_on() {
        let watch = watch();
        assert!(!watch.has_lasted(u64::MAX));
        watch.note(5 * S);
        watch.note(64 * S);
        assert!(!watch.has_lasted(65 * S - 1) && watch.has_lasted(65 * S));
    }

    #[test]
    fn an_earlier_reading_begins_again_and_a_plausible_one_ends_it() {
        let watch = watch();
        watch.note(5 * S);
        watch.note(2 * S);
        assert!(watch.has_lasted(62 * S));
        watch.clear();
        assert!(!watch.has_lasted(u64::MAX) && !watch.is_set());
    }
}
