//! What a call has charged so far, and how to take it back when it loses a race.

use super::member::Receipt;
use super::{LimitSet, MAX_MEMBERS};

/// The receipts of one call, in the order of charging.
pub(super) struct Charged<'a> {
    set: &'a LimitSet,
    receipts: [Option<(usize, Receipt)>; MAX_MEMBERS],
    count: usize,
}

impl<'a> Charged<'a> {
    pub(super) fn new(set: &'a LimitSet) -> Self {
        Self { set, receipts: [None; MAX_MEMBERS], count: 0 }
    }

    pub(super) fn push(&mut self, member: usize, receipt: Option<Receipt>) {
        if let Some(receipt) = receipt {
            self.receipts[self.count] = Some((member, receipt));
            self.count += 1;
        }
    }

    /// The last charge first: then the units of those before it are still in their place.
    pub(super) fn take_back(&self, now: u64) {
        for (member, receipt) in self.receipts[..self.count].iter().rev().flatten() {
            self.set.entries[*member].undo(now, *receipt);
        }
    }
}
