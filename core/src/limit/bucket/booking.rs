//! Tokens booked ahead, and given back.

use super::super::gcra;
use super::super::scale::MAX_UNITS;
use super::Ticket;
use super::state::BucketState;
use super::view::View;
use super::word::Word;
use crate::decision::NEVER;
use crate::limit::GAVE_UP_NS;
use std::cell::Cell;

impl BucketState {
    /// How long `n` tokens would have to wait at `now_ns`, in nanoseconds.
    pub(super) fn wait(&self, now_ns: u64, n: u32) -> u64 {
        self.booked(&self.seen(now_ns), now_ns, n).map_or(NEVER, |(_, wait)| wait)
    }

    /// The word's time and the wait of a booking of `n`. Of more than is open: not before it is. `None`: it is more
    /// than the burst.
    fn booked(&self, view: &View, now_ns: u64, n: u32) -> Option<(u64, u64)> {
        let cost = view.scale.cost(n);
        let opens_in = if cost > view.scale.capacity { self.opens_in(now_ns, n)? } else { 0 };
        let (tat, short) = gcra::book(view.word.tat, view.now, cost, view.scale.capacity);
        Some((tat, view.scale.ns(short).max(opens_in)))
    }

    /// Books `n` tokens; `Ok` is the wait and the ticket, `Err` the wait it would have taken.
    pub(super) fn reserve(&self, now_ns: u64, n: u32, max_wait_ns: u64) -> Result<(u64, Ticket), u64> {
        // Read before the word, see `raise_tail`.
        let given_back = self.given_back();
        let booked = self.update(now_ns, |view| {
            let Some((tat, wait)) = self.booked(view, now_ns, n) else { return Err(Err(NEVER)) };
            if wait > max_wait_ns || tat > MAX_UNITS {
                return Err(Err(wait));
            }
            self.note_booked(now_ns, wait);
            // What needs no wait is due at once, however the clock steps: its ticket is one of nothing.
            let booking = if wait > 0 && n > 0 { self.bookings().number() << 32 | u64::from(n) } else { 0 };
            // A penalty goes on to the end of what is booked behind it.
            let new = Word { tat, penalty: view.word.penalty && view.in_penalty(), ..view.word };
            let ticket = Ticket { word: new.pack(), booking };
            if n == 0 {
                return Err(Ok((wait, ticket)));
            }
            self.note_due(view.word.tat);
            Ok((new, Ok((wait, ticket))))
        });
        // Not of 0 tokens: that left the word as it was, perhaps by a charge that waited for nothing.
        if let Some(Ok((1.., ticket))) = booked
            && n > 0
        {
            self.raise_tail(Word::unpack(ticket.word).tat, given_back);
        }
        booked.unwrap_or(Err(GAVE_UP_NS))
    }

    /// Gives back of a booking what was not booked behind it and is still out (the rule of Go's x/time/rate). Once: the
    /// ticket is void before the exchange that gives back.
    ///
    /// Who booked behind it was told a time, and keeps it: to give back all would book others at that time as well,
    /// together more than the burst. So the last booking comes back whole, and leaves no trace: then the one before it
    /// does. Any other may leave bookings beyond the lowered word, and the next cancel must see them.
    ///
    /// The clock is read after the word: by the reading of a late thread, what is due may seem not to be, and to give
    /// it back would lower the word of a bucket that has been full since. A clock that stepped back says the same wrong
    /// thing, so what [was due](BucketState::was_due) once stays due.
    pub(super) fn cancel(&self, now_ns: u64, ticket: Ticket) -> bool {
        let (booked, n, number) = (Word::unpack(ticket.word), ticket.booking as u32, ticket.booking >> 32);
        // The era in which this call claimed the ticket, and the generation, which has more bits.
        let claimed = Cell::new(None);
        let present = || self.clock().now().max(now_ns);
        let lowered = self.update_by(present, |view| {
            // Not x/time/rate's last event, which forgets bookings beyond a lowered level: a chain of cancels could put
            // more than the burst on one instant.
            let furthest = self.overhang().max(view.word.tat);
            let due = booked.tat.saturating_sub(view.scale.capacity) <= view.now.units
                || claimed.get().is_none() && booked.tat <= self.was_due(view.word.tat);
            // After what is noted of bookings.
            let Some(era) = self.bookings().era().map(|era| (era, self.generation())) else { return Err(None) };
            let valid = claimed.get().map_or_else(|| !self.bookings().is_void(number), |claimed| claimed == era);
            // The slot: a booking may take its number while the quota changes.
            let current = booked.slot == view.word.slot && valid;
            if !current || due || view.in_penalty() {
                return Err(None);
            }
            if view.word.tat < booked.tat {
                // Given back before: by a refund or another cancel.
                return Err(None);
            }
            let back = view.scale.cost(n).saturating_sub(furthest - booked.tat);
            if back == 0 || !(claimed.get().is_some() || self.bookings().claim(number)) {
                return Err(None);
            }
            claimed.set(Some(era));
            self.note_giving_back();
            if view.word.tat != booked.tat || back < view.scale.cost(n) {
                self.note_overhang(view.word.tat);
            }
            let tat = view.word.tat.saturating_sub(back);
            self.note_lower(view.word.tat, tat);
            Ok((Word { tat, ..view.word }, Some(tat)))
        });
        lowered.flatten().map(|tat| self.lower_tail(tat)).is_some()
    }
}
