//! Deadline and tokens in one word, so that no token is ever seen without the moment at which it ends.

/// Bits of the tokens.
const TOKENS: u32 = 24;
/// The most tokens that a lease holds: 16,777,215.
pub const MOST: u32 = (1 << TOKENS) - 1;
/// Nanoseconds of a step of the deadline.
const STEP: u64 = 1_000_000;
/// 34 years of milliseconds.
const LAST: u64 = (1 << (64 - TOKENS)) - 1;

/// `deadline: 40` milliseconds of the lease's clock, then `tokens: 24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    /// The deadline is rounded down, and what lies beyond the range ends with the range: never later than was said.
    pub(super) fn new(deadline_ns: u64, tokens: u32) -> Self {
        Self((deadline_ns / STEP).min(LAST) << TOKENS | u64::from(tokens.min(MOST)))
    }

    /// What may be spent at `now`. A clock beyond the range finds every lease ended.
    pub(super) fn live(self, now: u64) -> u32 {
        // Compared as a whole number of steps, so that nothing wraps round.
        if now / STEP < self.0 >> TOKENS { self.tokens() } else { 0 }
    }

    /// The tokens, whether the lease has ended or not.
    pub(super) fn tokens(self) -> u32 {
        (self.0 & u64::from(MOST)) as u32
    }

    /// The same deadline with `tokens`.
    pub(super) fn with(self, tokens: u32) -> Self {
        Self(self.0 & !u64::from(MOST) | u64::from(tokens.min(MOST)))
    }

    pub(super) fn deadline_ns(self) -> u64 {
        (self.0 >> TOKENS) * STEP
    }
}
