//! A permit in two steps, for a gate that decides of other things in between.

use super::lending::{self, Asked};
use super::wait_queue::ADMITTED;
use super::{ConcurrencyLimiter, ConcurrencyPermit, Partition};
use crate::mode::Mode;

/// A permit that is held and not counted yet: kept, or given back.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Pending {
    permit: ConcurrencyPermit,
    asked: u64,
    partition: Partition,
}

impl ConcurrencyLimiter {
    /// A permit if one is free for such a call. `None` is not counted: [`refuse`](Self::refuse) does.
    #[inline]
    pub(crate) fn try_take(&self, partition: Partition) -> Option<Pending> {
        if self.config.mode == Mode::Disabled {
            return Some(Pending { permit: ConcurrencyPermit::default(), asked: 0, partition });
        }
        let asked = self.shared.asked();
        self.shared.attempt_in(partition, Asked::Once).map(|permit| Pending { permit, asked, partition })
    }

    /// Counts it as admitted.
    #[inline]
    pub(crate) fn keep(&self, Pending { permit, asked, partition }: Pending) -> ConcurrencyPermit {
        if permit.word == 0 {
            return permit;
        }
        self.count_admitted();
        self.shared.count_in(lending::ADMITTED, partition);
        self.shared.stamped(permit, asked)
    }

    /// Gives it back as if it had not been taken.
    #[cold]
    pub(crate) fn drop_pending(&self, pending: Pending) {
        self.release(pending.permit);
    }

    /// Counts a refusal; a dry run admits.
    pub(crate) fn refuse(&self, partition: Partition) -> Option<ConcurrencyPermit> {
        let lets_through = self.denied();
        self.shared.count_in(if lets_through { lending::WOULD_DENY } else { lending::DENIED }, partition);
        lets_through.then(ConcurrencyPermit::default)
    }

    /// Whether no permit is free for such a call, by a look, which demands nothing; those of the dead count.
    pub(crate) fn is_full(&self, partition: Partition) -> bool {
        self.config.mode == Mode::Enforce && !self.shared.has_room_for(partition)
    }

    /// How many calls have ended, or been given up.
    pub(crate) fn left(&self) -> u64 {
        self.shared.counts.sum(ADMITTED).saturating_sub(self.in_use().into())
    }
}
