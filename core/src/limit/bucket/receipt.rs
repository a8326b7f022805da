//! A charge that can be taken back: what a bucket gives to a set of limits.

use super::TokenBucket;
use super::state::{BAD_READING_NS, BucketState};
use super::view::Charge;
use super::word::Word;
use crate::Decision;
use crate::limit::Mode;

/// What a charge did.
#[derive(Clone, Copy, Debug)]
pub(in crate::limit) struct Receipt {
    charge: Charge,
    generation: u32,
    given_back: u32,
    stripe: u32,
}

impl TokenBucket {
    /// What `check(n)` would decide, enforced or not, with what is there now. Takes and counts nothing.
    pub(in crate::limit) fn probe(&self, now: u64, n: u32) -> Decision {
        if self.mode == Mode::Disabled {
            return self.untouched();
        }
        if self.others.is_empty() { self.state.look(now, n) } else { self.look_striped(now, n) }
    }

    /// Takes `n` tokens, or nothing, enforced or not, and counts nothing. No receipt where nothing was charged.
    pub(in crate::limit) fn charge(&self, now: u64, n: u32) -> Result<(Decision, Option<Receipt>), Decision> {
        let (decision, receipt) = match self.mode {
            Mode::Disabled => (self.untouched(), None),
            _ if self.others.is_empty() => self.state.charge_for_receipt(now, n, 0),
            _ => self.charge_striped(now, n),
        };
        if decision.allowed { Ok((decision, receipt)) } else { Err(decision) }
    }

    /// Of a set that only looks where it denies: a reading that the word lies impossibly far ahead of tells against it,
    /// as that of a denied call, or it would not heal.
    pub(in crate::limit) fn tell_against(&self, now: u64, decision: &Decision) {
        if decision.allowed {
            return;
        }
        for stripe in self.stripes() {
            // Once it has been told against for long enough, a look takes the word for healed, which it is not yet.
            if decision.reset_after_ns > BAD_READING_NS || stripe.is_told_against() {
                stripe.update(now, |_| Err(()));
            }
        }
    }

    /// Takes a charge back, as far as it still holds anything at `now` or at the clock's time, whichever is later.
    pub(in crate::limit) fn undo(&self, now: u64, receipt: Receipt) {
        self.stripe(receipt.stripe as usize).undo(|| self.clock.now().max(now), receipt);
    }
}

impl BucketState {
    pub(super) fn charge_for_receipt(&self, now_ns: u64, n: u32, stripe: u32) -> (Decision, Option<Receipt>) {
        // Read before the word: what has given back by then, the charge has seen or fails over.
        let given_back = self.given_back();
        let (decision, charge) = self.charge(now_ns, n);
        // Read after the word: a change in between has either been charged or moves the word to another slot.
        let receipt = |charge| Receipt { charge, generation: self.generation(), given_back, stripe };
        (decision, charge.map(receipt))
    }

    /// Takes back at most what the charge still holds; a plain `tat - cost` would give tokens that were never taken
    /// when the bucket has filled, wholly or nearly, in between.
    ///
    /// As long as nothing else has given tokens back since, that is the part of the charge's own units (the last `cost`
    /// before the `tat` that it left) which is still ahead of now: a queue that serves in order. Else those units have
    /// moved, and what is certain is the cost less the time that has passed. Nothing after a change of quota, a reset
    /// or a penalty: each has set a level of its own.
    fn undo(&self, now_ns: impl Fn() -> u64, receipt: Receipt) {
        let Charge { word: charged, cost, at } = receipt.charge;
        self.update_by(now_ns, |view| {
            let (word, now) = (view.word, view.now);
            let in_place = self.given_back() == receipt.given_back;
            let held = if in_place {
                charged.tat.saturating_sub(now.units).min(cost)
            } else {
                cost.saturating_sub((now.units + now.inexact).saturating_sub(at))
            };
            let current = self.generation() == receipt.generation && word.slot == charged.slot;
            if !current || held == 0 || word.penalty || word.tat <= now.units {
                return Err(());
            }
            self.note_giving_back();
            self.note_overhang(word.tat);
            let tat = word.tat.saturating_sub(held).max(now.units);
            self.note_lower(word.tat, tat);
            Ok((Word { tat, ..word }, ()))
        });
    }
}
