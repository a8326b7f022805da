//! What a window saw, as the algorithms read it.

/// One window of samples; times in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Window {
    /// When it ended.
    pub(super) now: u64,
    /// How long it was.
    pub(super) span: u64,
    /// Calls whose latency counts.
    pub(super) calls: u64,
    /// Those of them that were dropped.
    pub(super) dropped: u64,
    pub(super) median: f64,
    pub(super) mean: u64,
    /// The most calls in flight.
    pub(super) most: u32,
    /// Somebody was refused, or waited.
    pub(super) saturated: bool,
}

/// A number of a state as shared memory has it: 0 for what is none.
pub(super) fn number(bits: u64) -> f64 {
    let number = f64::from_bits(bits);
    if number.is_nan() { 0.0 } else { number.clamp(0.0, 1e18) }
}
