//! What a member does with a lease.

use tidegate::lease::{Change, KEPT, Lease};

/// The steps of a refiller, each of them whole or not done: between two it may be killed.
pub trait Ledger {
    /// See [`Lease::tokens_at`].
    fn tokens_at(&self, now: u64) -> u32;
    /// See [`Lease::lower_at`].
    fn lower_at(&self, now: u64, most: u32) -> Change;
    /// See [`Lease::grant_at`].
    fn grant_at(&self, now: u64, deadline_ns: u64, tokens: u32, keep: bool) -> Change;
    /// See [`Lease::close`].
    fn close(&self) -> Change;
    /// See [`Lease::kept`].
    fn kept(&self) -> [u64; KEPT];
    /// See [`Lease::keep`].
    fn keep(&self, words: [u64; KEPT]);
}

impl Ledger for Lease {
    fn tokens_at(&self, now: u64) -> u32 {
        self.tokens_at(now)
    }

    fn lower_at(&self, now: u64, most: u32) -> Change {
        self.lower_at(now, most)
    }

    fn grant_at(&self, now: u64, deadline_ns: u64, tokens: u32, keep: bool) -> Change {
        self.grant_at(now, deadline_ns, tokens, keep)
    }

    fn close(&self) -> Change {
        self.close()
    }

    fn kept(&self) -> [u64; KEPT] {
        self.kept()
    }

    fn keep(&self, words: [u64; KEPT]) {
        self.keep(words);
    }
}
