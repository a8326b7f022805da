//! Failures in a row: `generation:16 | length:48` in one word.
//!
//! One word, because a run may be longer than the window and a time window keeps no order.

use super::control::Control;
use crate::sync::{AtomicU64, Ordering};

const LENGTH_MASK: u64 = (1 << 48) - 1;
/// Lost races after which an outcome is dropped: foreign bytes must not keep a caller for ever.
const PATIENCE: usize = 1_000;

/// Ends or lengthens the run in the generation of `seen`; returns its length.
pub(super) fn record(run: &AtomicU64, control: &AtomicU64, seen: Control, failed: bool) -> u64 {
    let generation = u64::from(seen.generation());
    for _ in 0..PATIENCE {
        // Acquire: pairs with the release below, so that the control word is read no older than its writer read it.
        let word = run.load(Ordering::Acquire);
        let (of, length) = (word >> 48, word & LENGTH_MASK);
        if of != generation {
            // Acquire: a later generation in `word` is then seen here as well (see above), and the outcome is late.
            if !failed || seen.has_ended(control.load(Ordering::Acquire)) {
                return 0;
            }
        } else if !failed && length == 0 {
            return 0;
        }
        let length = match (failed, of == generation) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => (length + 1).min(LENGTH_MASK),
        };
        // AcqRel: orders this outcome after the one whose word it replaces.
        if run.compare_exchange(word, generation << 48 | length, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return length;
        }
    }
    0
}
