//! What a limiter tells of itself.

use super::ConcurrencyLimiter;
use super::line::{ADMITTED, DENIED, WOULD_DENY};

/// Counts since the limiter was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConcurrencyStats {
    /// The limit in force.
    pub limit: u32,
    /// Permits held now.
    pub in_use: u32,
    /// Calls admitted.
    pub admitted: u64,
    /// Calls denied; a call that waited in vain counts once.
    pub denied: u64,
    /// Calls admitted by a dry run that would have been denied.
    pub would_deny: u64,
    /// Permits taken back from processes that died (host scope).
    pub reclaimed: u64,
}

/// Who holds permits: a process, by its slot in the arena. A process that is alone is slot 0, incarnation 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConcurrencyHolder {
    /// The process's slot.
    pub slot: u16,
    /// Which of the processes that had the slot.
    pub incarnation: u32,
    /// Permits it holds.
    pub permits: u32,
}

impl ConcurrencyLimiter {
    /// Permits held now. Those of a dead process count until a denial takes them back.
    pub fn in_use(&self) -> u32 {
        self.shared.places.held()
    }

    /// Counts.
    pub fn stats(&self) -> ConcurrencyStats {
        let shared = &self.shared;
        ConcurrencyStats {
            limit: self.limit(),
            in_use: self.in_use(),
            admitted: shared.counts.sum(ADMITTED),
            denied: shared.counts.sum(DENIED),
            would_deny: shared.counts.sum(WOULD_DENY),
            reclaimed: shared.places.reclaimed(),
        }
    }

    /// Who holds permits now, by slot.
    pub fn holders(&self) -> Vec<ConcurrencyHolder> {
        let mut permits = std::collections::BTreeMap::<u64, u32>::new();
        self.shared.places.owners().for_each(|owner| *permits.entry(owner).or_default() += 1);
        let holder = |(owner, permits)| {
            let (slot, incarnation) = super::owners::member(owner);
            ConcurrencyHolder { slot, incarnation, permits }
        };
        permits.into_iter().map(holder).collect()
    }
}
