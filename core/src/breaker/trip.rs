//! What opened the circuit, in one word, so that nobody sees half of it: `lap:4 | calls:20 | failed:20 | slow:20`, high
//! to low.

use super::tally::Tally;

/// The calls by which a circuit opened: its window as of the outcome that opened it, or the probes that did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trip {
    /// Calls in the window; 0 when no probe ever reported.
    pub calls: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that were slow.
    pub slow: u32,
}

impl Trip {
    /// `failed / calls`, 0 without calls.
    pub fn failure_rate(&self) -> f64 {
        self.tally().failure_rate()
    }

    /// `slow / calls`, 0 without calls.
    pub fn slow_call_rate(&self) -> f64 {
        self.tally().slow_rate()
    }

    fn tally(self) -> Tally {
        Tally { calls: self.calls, failed: self.failed, slow: self.slow }
    }
}

/// A window that holds more is told in proportion.
const COUNT_BITS: u32 = 20;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const LAP_SHIFT: u32 = 3 * COUNT_BITS;

/// A trip of lap `lap`, modulo 16: what tells it from another in the same place.
pub(super) fn word(tally: Tally, lap: u64) -> u64 {
    let excess = (u32::BITS - tally.calls.leading_zeros()).saturating_sub(COUNT_BITS);
    let counts = [tally.calls, tally.failed, tally.slow];
    let [calls, failed, slow] = counts.map(|count| u64::from(count >> excess).min(COUNT_MASK));
    lap << LAP_SHIFT | calls << (2 * COUNT_BITS) | failed << COUNT_BITS | slow
}

/// The trip of lap `lap`; `None` where another one, or none, stands.
pub(super) fn of(word: u64, lap: u64) -> Option<Trip> {
    let field = |at: u32| (word >> (at * COUNT_BITS) & COUNT_MASK) as u32;
    (word >> LAP_SHIFT == lap & 0xf).then(|| Trip { calls: field(2), failed: field(1), slow: field(0) })
}
