//! What a [`LimitSet`](crate::limit::LimitSet) needs of a keyed limit: to look, to charge and to take a charge back.

use super::ops::Own;
use super::units::Units;
use super::{ADMITTED, KeyHash, RateLimiter};
use crate::Decision;
use crate::limit::Mode;

/// A charge that can be taken back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    key: KeyHash,
    /// What the charge put where it is the key's own; what keys share that find no room stays.
    own: Option<Own>,
    units: Units,
    charged_ns: u64,
    n: u32,
    /// How often keys had been reset before.
    resets: u64,
}

impl RateLimiter {
    pub(crate) fn key_hash(&self, key: &[u8]) -> KeyHash {
        self.hash(key)
    }

    /// How long the default quota takes to fill, in nanoseconds: the wider of two limits has more.
    pub(crate) fn capacity_ns(&self) -> u64 {
        u64::try_from(self.quota().fill_time().as_nanos()).unwrap_or(u64::MAX)
    }

    /// What `check(n)` would say, enforced or not. Stores and counts nothing.
    pub(crate) fn probe_at(&self, now: u64, key: KeyHash, n: u32) -> Decision {
        let units = self.default_units();
        if self.mode == Mode::Disabled {
            return self.untouched(&units);
        }
        let (ns, open) = self.moment(now, units);
        self.told(&self.rule.look(key, ns, &open, n), ns, n, (&units, &open))
    }

    /// Charges `n`, enforced or not. Counts nothing.
    pub(crate) fn charge_at(&self, now: u64, key: KeyHash, n: u32) -> Result<(Decision, Receipt), Decision> {
        let whole = self.default_units();
        let (ns, units) = self.moment(now, whole);
        if self.mode == Mode::Disabled {
            let nothing = Receipt { key, own: None, units, charged_ns: ns, n, resets: 0 };
            return Ok((self.untouched(&whole), nothing));
        }
        let resets = self.rule.resets();
        let taken = self.rule.take(key, ns, &units, n);
        let decision = self.told(&taken, ns, n, (&whole, &units));
        if !decision.allowed {
            return Err(decision);
        }
        Ok((decision, Receipt { key, own: taken.own, units, charged_ns: ns, n, resets }))
    }

    /// Takes a charge back: at most what it still holds at `now` or at the clock's time, whichever is later. Nothing
    /// after a reset of any key: what this one has been charged since is others'.
    pub(crate) fn undo_at(&self, now: u64, receipt: Receipt) {
        if let Some(own) = receipt.own {
            let ns = self.since(self.clock.now().max(now));
            let charge = (receipt.n, own, receipt.charged_ns);
            self.rule.undo(receipt.key, ns, &receipt.units, charge, receipt.resets);
        }
    }

    /// [`refund_at`](Self::refund_at) of a key that was hashed before.
    pub(crate) fn refund_hashed_at(&self, now: u64, key: KeyHash, n: u32) {
        if self.mode != Mode::Disabled {
            let (ns, units) = self.moment(now, self.default_units());
            self.rule.refund(key, ns, &units, n);
        }
    }

    /// Counts a call that the set admitted.
    pub(crate) fn note_admitted(&self) {
        if self.mode != Mode::Disabled {
            self.counts.add(ADMITTED, 1);
        }
    }

    /// Counts a call that this limit denied; true if the key is blocked by now.
    pub(crate) fn note_denied(&self, now: u64, key: KeyHash) -> bool {
        let (ns, units) = self.moment(now, self.default_units());
        self.rule.claim(key, ns, &units);
        self.rule.tell_against(key, ns, &units);
        self.refused(key, ns)
    }
}
