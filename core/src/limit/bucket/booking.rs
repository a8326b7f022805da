//! Tokens booked ahead, and given back.

use super::super::gcra;
use super::super::scale::MAX_UNITS;
use super::Ticket;
use super::state::{BucketState, GAVE_UP_NS};
use super::word::Word;
use crate::decision::NEVER;

impl BucketState {
    /// How long `n` tokens would have to wait at `now_ns`, in nanoseconds.
    pub(super) fn wait(&self, now_ns: u64, n: u32) -> u64 {
        let view = self.view(self.load(), now_ns);
        let cost = view.scale.cost(n);
        if cost > view.scale.capacity {
            return NEVER;
        }
        view.scale.ns(gcra::book(view.word.tat, view.now, cost, view.scale.capacity).1)
    }

    /// Books `n` tokens; `Ok` is the wait and the ticket, `Err` the wait it would have taken.
    pub(super) fn reserve(&self, now_ns: u64, n: u32, max_wait_ns: u64) -> Result<(u64, Ticket), u64> {
        // Read before the word, so that a booking is never filed under a generation later than its word's.
        let generation = self.generation();
        self.update(now_ns, |view| {
            let cost = view.scale.cost(n);
            if cost > view.scale.capacity {
                return Err(Err(NEVER));
            }
            let (tat, short) = gcra::book(view.word.tat, view.now, cost, view.scale.capacity);
            let wait = view.scale.ns(short);
            if wait > max_wait_ns || tat > MAX_UNITS {
                return Err(Err(wait));
            }
            self.note_wait(wait);
            if wait > 0 && n > 0 {
                self.note_booking(tat);
            }
            // A penalty goes on to the end of what is booked behind it.
            let new = Word { tat, penalty: view.word.penalty && view.in_penalty(), ..view.word };
            let ticket = Ticket { word: new.pack(), booking: u64::from(generation) << 32 | u64::from(n) };
            if n == 0 { Err(Ok((wait, ticket))) } else { Ok((new, Ok((wait, ticket)))) }
        })
        .unwrap_or(Err(GAVE_UP_NS))
    }

    /// Gives back of a booking what was not booked over since (the rule of Go's x/time/rate).
    pub(super) fn cancel(&self, now_ns: u64, ticket: Ticket) -> bool {
        let (booked, n, generation) = (Word::unpack(ticket.word), ticket.booking as u32, (ticket.booking >> 32) as u32);
        self.update(now_ns, |view| {
            // Never lowered, unlike x/time/rate's last event: with that a chain of cancels can put more than the burst on one
            // instant. The price is that some cancels give back less.
            let furthest = self.furthest().max(view.word.tat);
            let current = self.generation() == generation && booked.slot == view.word.slot;
            let due = booked.tat.saturating_sub(view.scale.capacity) <= view.now.units;
            if !current || due || view.in_penalty() {
                return Err(false);
            }
            if view.word.tat < booked.tat {
                // Given back before: by a refund, by a cancel, or by this very ticket.
                return Err(false);
            }
            let back = view.scale.cost(n).saturating_sub(furthest - booked.tat);
            if back == 0 {
                return Err(false);
            }
            self.note_giving_back();
            Ok((Word { tat: view.word.tat.saturating_sub(back), ..view.word }, true))
        })
        .unwrap_or(false)
    }
}
