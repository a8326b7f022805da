//! What a bucket answers and counts when it is switched off or only watches.

use super::{ADMITTED, DENIED, Reservation, Ticket, TokenBucket, WOULD_DENY};
use crate::Decision;
use crate::limit::Mode;

/// A booking of nothing; its ticket gives nothing back.
pub(super) const UNBOOKED: Reservation = Reservation::Booked { wait_ns: 0, ticket: Ticket { word: 0, booking: 0 } };

impl TokenBucket {
    /// Counts a decision, and answers as the mode says.
    pub(in crate::limit) fn settle(&self, decision: Decision) -> Decision {
        self.count(decision.allowed);
        self.mode.answer(decision)
    }

    /// Counts a decision; whether the call is admitted.
    pub(super) fn count(&self, allowed: bool) -> bool {
        let lane = match (allowed, self.mode) {
            (_, Mode::Disabled) => return true,
            (true, _) => ADMITTED,
            (false, Mode::DryRun) => WOULD_DENY,
            (false, Mode::Enforce) => DENIED,
        };
        self.counts.add(lane, 1);
        lane != DENIED
    }

    /// The answer of a bucket that is switched off.
    pub(super) fn untouched(&self) -> Decision {
        Decision::untouched(self.stripes().fold(0, |limit: u32, stripe| limit.saturating_add(stripe.burst())))
    }
}
