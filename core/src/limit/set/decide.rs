//! The decision: look at all, then charge, then answer.

use super::member::Keys;
use super::roll_back::Charged;
use super::{LimitSet, MAX_MEMBERS, SetDecision};
use crate::Decision;
use std::cmp::Reverse;

/// One place for each member, in the order of declaration; those beyond the last are never read.
pub(super) type Decisions = [Decision; MAX_MEMBERS];

impl LimitSet {
    pub(super) fn decide(&self, now: u64, keys: &Keys, n: u32, each: &mut [Decision]) -> SetDecision {
        let mut decisions = self.probe(now, keys, n);
        if self.refuses(&decisions) {
            return self.refuse(now, keys, n, decisions, each);
        }
        self.take(now, keys, n, &mut decisions, each)
    }

    /// Charges after a look that found nobody refuse.
    #[inline(always)]
    pub(super) fn take(
        &self,
        now: u64,
        keys: &Keys,
        n: u32,
        decisions: &mut Decisions,
        each: &mut [Decision],
    ) -> SetDecision {
        let mut charged = Charged::new(self);
        for &index in &self.order {
            if !decisions[index].allowed {
                continue; // A dry run's: a denial charges nothing.
            }
            match self.entries[index].charge(now, keys[index], n) {
                Ok((decision, receipt)) => {
                    decisions[index] = decision;
                    charged.push(index, receipt);
                }
                Err(decision) => {
                    decisions[index] = decision;
                    if self.entries[index].enforces() {
                        charged.take_back(now);
                        return self.refuse(now, keys, n, *decisions, each);
                    }
                }
            }
        }
        for (index, entry) in self.entries.iter().enumerate() {
            decisions[index] = entry.settle(now, keys[index], n, decisions[index]);
        }
        self.tell(decisions, each);
        SetDecision { decision: self.scarcest(decisions), denied_by: None }
    }

    /// What [`decide`](Self::decide) would answer.
    pub(super) fn foresee(&self, now: u64, keys: &Keys, n: u32) -> SetDecision {
        let mut decisions = self.probe(now, keys, n);
        if self.refuses(&decisions) {
            return self.longest(&decisions);
        }
        for (index, entry) in self.entries.iter().enumerate() {
            decisions[index] = entry.mode().answer(decisions[index]);
        }
        SetDecision { decision: self.scarcest(&decisions), denied_by: None }
    }

    pub(super) fn probe(&self, now: u64, keys: &Keys, n: u32) -> Decisions {
        let mut decisions = [Decision::untouched(0); MAX_MEMBERS];
        for (index, entry) in self.entries.iter().enumerate() {
            decisions[index] = entry.probe(now, keys[index], n);
        }
        decisions
    }

    pub(super) fn refuses(&self, decisions: &Decisions) -> bool {
        self.entries.iter().zip(decisions).any(|(entry, decision)| !decision.allowed && entry.enforces())
    }

    /// The members that refused count it; the others have nothing to count.
    pub(super) fn refuse(
        &self,
        now: u64,
        keys: &Keys,
        n: u32,
        mut decisions: Decisions,
        each: &mut [Decision],
    ) -> SetDecision {
        for (index, entry) in self.entries.iter().enumerate() {
            if !decisions[index].allowed {
                decisions[index] = entry.settle(now, keys[index], n, decisions[index]);
            } else if index < each.len() {
                decisions[index] = entry.left(now, keys[index]);
            }
        }
        self.tell(&decisions, each);
        self.longest(&decisions)
    }

    fn tell(&self, decisions: &Decisions, each: &mut [Decision]) {
        let count = each.len().min(self.entries.len());
        each[..count].copy_from_slice(&decisions[..count]);
    }

    /// Of the members that refuse, the one with the longest wait; the first of equals.
    pub(super) fn longest(&self, decisions: &Decisions) -> SetDecision {
        let refused = (0..self.entries.len()).filter(|&i| !decisions[i].allowed && self.entries[i].enforces());
        let denied_by = refused.min_by_key(|&i| Reverse(decisions[i].retry_after_ns));
        SetDecision { decision: decisions[denied_by.unwrap_or(0)], denied_by }
    }

    /// Of the members that are enforced (of all, if none is), the one with the fewest left, with the longest delay.
    pub(super) fn scarcest(&self, decisions: &Decisions) -> Decision {
        let least = (0..self.entries.len()).min_by_key(|&i| (!self.entries[i].enforces(), decisions[i].remaining));
        let delay = decisions[..self.entries.len()].iter().map(|decision| decision.delay_ns).max();
        Decision { delay_ns: delay.unwrap_or(0), ..decisions[least.unwrap_or(0)] }
    }
}
