//! What an acquisition gives out.

use super::ConcurrencyLimiter;

/// The right to run one call, by value: two words, so that it crosses a C boundary. An all-zero permit is nobody's, and
/// giving it back does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[must_use = "a permit that is not given back is lost"]
pub struct ConcurrencyPermit {
    /// Opaque: process slot, incarnation, nonce.
    pub word: u64,
    /// Opaque: its cell.
    pub cell: u64,
}

/// A permit that gives itself back.
#[derive(Debug)]
#[must_use = "the permit is given back when the guard is dropped"]
pub struct ConcurrencyGuard<'a> {
    pub(super) limiter: &'a ConcurrencyLimiter,
    pub(super) permit: ConcurrencyPermit,
}

impl Drop for ConcurrencyGuard<'_> {
    fn drop(&mut self) {
        self.limiter.release(self.permit);
    }
}
