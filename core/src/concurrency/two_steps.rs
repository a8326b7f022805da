//! A permit in two steps, for a gate that decides of other things in between.

use super::wait_queue::ADMITTED;
use super::{ConcurrencyLimiter, ConcurrencyPermit};
use crate::mode::Mode;

/// A permit that is held and not counted yet: kept, or given back.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Pending {
    permit: ConcurrencyPermit,
    asked: u64,
}

impl ConcurrencyLimiter {
    /// A permit if one is free. `None` is not counted: [`refuse`](Self::refuse) does.
    #[inline]
    pub(crate) fn try_take(&self) -> Option<Pending> {
        if self.config.mode == Mode::Disabled {
            return Some(Pending { permit: ConcurrencyPermit::default(), asked: 0 });
        }
        let asked = self.shared.asked();
        self.shared.attempt().map(|permit| Pending { permit, asked })
    }

    /// Counts it as admitted.
    #[inline]
    pub(crate) fn keep(&self, Pending { permit, asked }: Pending) -> ConcurrencyPermit {
        if permit.word == 0 {
            return permit;
        }
        self.count_admitted();
        self.shared.stamped(permit, asked)
    }

    /// Gives it back as if it had not been taken.
    #[cold]
    pub(crate) fn drop_pending(&self, pending: Pending) {
        self.release(pending.permit);
    }

    /// Counts a refusal; a dry run admits.
    pub(crate) fn refuse(&self) -> Option<ConcurrencyPermit> {
        self.denied().then(ConcurrencyPermit::default)
    }

    /// Whether no permit is free, by a look; those of the dead count.
    pub(crate) fn is_full(&self) -> bool {
        self.config.mode == Mode::Enforce && !self.shared.places.has_more_than(0)
    }

    /// How many calls have ended, or been given up.
    pub(crate) fn left(&self) -> u64 {
        self.shared.counts.sum(ADMITTED).saturating_sub(self.in_use().into())
    }
}
