//! The second step: a permit, then all limits, or nothing.

use crate::concurrency::{ConcurrencyLimiter, ConcurrencyPermit, Partition};
use crate::limit::{LimitSet, Looked, SetDecision, SetKeys};

/// What is to be taken of the limits, as a look found it.
#[derive(Debug)]
pub(super) struct Charge<'a> {
    pub(super) limits: &'a LimitSet,
    pub(super) now: u64,
    pub(super) keys: &'a SetKeys,
    pub(super) n: u32,
    pub(super) looked: Looked,
}

impl Charge<'_> {
    /// Charges what the look found to be there, and counts.
    pub(super) fn make(&mut self) -> SetDecision {
        self.limits.charge_at(self.now, self.keys, self.n, &mut self.looked)
    }

    /// Counts the refusal that the look found.
    #[cold]
    pub(super) fn refuse(&self) -> SetDecision {
        self.limits.refuse_at(self.now, self.keys, self.n, &self.looked)
    }

    /// What the look found, uncounted.
    #[cold]
    pub(super) fn told(&self) -> SetDecision {
        self.limits.told_by(&self.looked)
    }
}

/// Who was there first.
#[derive(Debug)]
pub(super) enum Lost {
    /// Others hold all permits; nothing was taken.
    Concurrency,
    /// Others took the last tokens; the permit is back, and the limits have counted it.
    Limits(SetDecision),
}

/// Both are counted where they admit; a refusal of the permit is not counted yet.
///
/// The permit comes first, for it can be given back without a trace; tokens come back only as far as the charge still
/// holds them. A call that dies in between leaves a permit that names its process, and tokens that expire.
#[inline]
pub(super) fn take(
    concurrency: Option<(&ConcurrencyLimiter, Partition)>,
    charge: Option<&mut Charge<'_>>,
) -> Result<(ConcurrencyPermit, Option<SetDecision>), Lost> {
    let Some((concurrency, partition)) = concurrency else {
        return charged(charge).map(|told| (ConcurrencyPermit::default(), told));
    };
    let Some(pending) = concurrency.try_take(partition) else { return Err(Lost::Concurrency) };
    match charged(charge) {
        Ok(told) => Ok((concurrency.keep(pending), told)),
        Err(lost) => {
            concurrency.drop_pending(pending);
            Err(lost)
        }
    }
}

/// The charge alone.
#[inline]
pub(super) fn charged(charge: Option<&mut Charge<'_>>) -> Result<Option<SetDecision>, Lost> {
    match charge.map(Charge::make) {
        Some(told) if told.denied_by.is_some() => Err(Lost::Limits(told)),
        told => Ok(told),
    }
}
