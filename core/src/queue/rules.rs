//! Push and pop of a queue whose items have lanes, deadlines or a discipline; what becomes of items that are dropped.

use super::BoundedQueue;
use super::error::{PopError, PushError, PushErrorKind};
use super::judge::{DropReason, NEVER};
use super::options::{Place, PushOptions};
use super::ring::{DROPPED, REJECTED};

/// Called with what is dropped.
pub(super) type Hook<T> = Box<dyn Fn(T, DropReason) + Send + Sync>;

/// What [`take`](BoundedQueue::take) took out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// The next item, and the nanoseconds it spent in the queue (0 unless `sojourn` is on).
    Item(T, u64),
    /// An item that is dropped; look again for the next one.
    Dropped(T, DropReason),
}

impl<T> BoundedQueue<T> {
    /// Has `called` called with each item that is dropped, by the thread whose push or pop finds it, before that goes
    /// on: the queue is free for other threads meanwhile, and what panics there loses no other item. Without it, what
    /// has to go for a push comes back from that push, and what else is dropped is dropped.
    #[must_use]
    pub fn on_drop(mut self, called: impl Fn(T, DropReason) + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Box::new(called));
        self
    }

    /// [`try_push`](Self::try_push) into a lane, or with a deadline.
    ///
    /// Errors: as there, and [`PushErrorKind::NoLane`].
    pub fn try_push_with(&self, item: T, options: PushOptions) -> Result<Option<T>, PushError<T>> {
        self.try_push_in(item, options.place(|| self.now()))
    }

    /// [`try_push_with`](Self::try_push_with) at `now` (nanoseconds of the queue's clock).
    pub fn try_push_with_at(&self, now: u64, item: T, options: PushOptions) -> Result<Option<T>, PushError<T>> {
        self.try_push_in_at(now, item, options.place(|| now))
    }

    #[doc(hidden)]
    #[inline(never)]
    pub fn try_push_in(&self, item: T, place: Place) -> Result<Option<T>, PushError<T>> {
        self.counted(self.put(item, place, || self.now()))
    }

    #[doc(hidden)]
    #[inline(never)]
    pub fn try_push_in_at(&self, now: u64, item: T, place: Place) -> Result<Option<T>, PushError<T>> {
        self.counted(self.put(item, place, || now))
    }

    /// [`try_push`](Self::try_push) for waiting forms in other runtimes: a push that looks more than once is refused
    /// once, so a full queue is not counted here.
    #[doc(hidden)]
    #[inline]
    pub fn look_push(&self, item: T, place: Place) -> Result<Option<T>, PushError<T>> {
        match self.put(item, place, || self.now()) {
            Err(full) if full.kind == PushErrorKind::Full => Err(full),
            done => self.counted(done),
        }
    }

    pub(super) fn put(&self, item: T, place: Place, now: impl FnOnce() -> u64) -> Result<Option<T>, PushError<T>> {
        if place.lane >= self.config.lanes {
            return Err(PushError { item, kind: PushErrorKind::NoLane });
        }
        let Some(shelf) = &self.shelf else {
            self.ring.settle();
            if place.due != NEVER {
                return self.ring.push_with_deadline(item, now, place.due);
            }
            return self.ring.push(item, now);
        };
        let is_timed = self.config.sojourn || self.judge.is_by_age();
        let done = shelf.push(item, if is_timed { now() } else { 0 }, place);
        if let Ok(Some(_)) = done {
            self.count(DropReason::Oldest);
        }
        done
    }

    /// Takes out the next item, or one that is dropped before it: [`try_pop`](Self::try_pop) for those who give dropped
    /// items back themselves, one at a time.
    ///
    /// Errors: as there.
    #[inline]
    pub fn take(&self) -> Result<Taken<T>, PopError> {
        let now = if self.config.sojourn && self.ring.is_plain() { self.now() } else { 0 };
        match self.ring.pop_at_once::<true>() {
            Some((item, times)) => Ok(Taken::Item(item, self.sojourn(now, times))),
            None => self.take_by_rules(|| self.now()),
        }
    }

    /// [`take`](Self::take) at `now` (nanoseconds of the queue's clock).
    pub fn take_at(&self, now: u64) -> Result<Taken<T>, PopError> {
        self.take_by_rules(|| now)
    }

    #[inline]
    fn take_by_rules(&self, now: impl Fn() -> u64) -> Result<Taken<T>, PopError> {
        let ((item, times, verdict), now) = match &self.shelf {
            Some(shelf) => {
                let reads_clock = self.config.sojourn || self.judge.is_by_age() || shelf.has_deadlines();
                let now = if reads_clock { now() } else { 0 };
                (shelf.take(now, &self.judge)?, now)
            }
            None => {
                self.ring.settle();
                let (item, times) = self.ring.pop::<true>()?;
                let reads_clock = self.config.sojourn || self.judge.is_by_age() || times.due != NEVER;
                let now = if reads_clock { now() } else { 0 };
                ((item, times, self.judge.oldest(0, now, times)), now)
            }
        };
        Ok(match verdict {
            None => Taken::Item(item, self.sojourn(now, times)),
            Some(reason) => {
                self.count(reason);
                Taken::Dropped(item, reason)
            }
        })
    }

    /// [`try_pop`](Self::try_pop) where there is more to do. Its result has to be taken apart: one that is passed on
    /// whole would go through memory on the common way too.
    #[inline(never)]
    pub(super) fn pop_with_care(&self) -> Result<(T, u64), PopError> {
        self.pop_by_rules(|| self.now())
    }

    /// The next item, with what is dropped before it given to its owner.
    #[inline]
    pub(super) fn pop_by_rules(&self, now: impl Fn() -> u64) -> Result<(T, u64), PopError> {
        loop {
            match self.take_by_rules(&now)? {
                Taken::Item(item, sojourn) => return Ok((item, sojourn)),
                Taken::Dropped(item, reason) => self.give_back(item, reason),
            }
        }
    }

    /// The oldest item of the most urgent lane, whatever its age: the next of [`drain`](Self::drain), which closes
    /// first.
    #[doc(hidden)]
    pub fn take_first(&self) -> Result<T, PopError> {
        match &self.shelf {
            Some(shelf) => shelf.take_first().map(|(item, ..)| item),
            None => {
                self.ring.settle();
                self.ring.pop::<false>().map(|(item, _)| item)
            }
        }
    }

    /// Closes, and drops everything that was accepted and not popped ([`DropReason::Closed`]); tells how many items.
    pub fn discard(&self) -> usize {
        self.close();
        let mut count = 0;
        while let Some(item) = self.discard_next() {
            self.give_back(item, DropReason::Closed);
            count += 1;
        }
        count
    }

    /// Of a closed queue: one item, dropped because of that.
    #[doc(hidden)]
    pub fn discard_next(&self) -> Option<T> {
        let item = self.take_first().ok()?;
        self.count(DropReason::Closed);
        Some(item)
    }

    fn count(&self, reason: DropReason) {
        self.ring.counts().add(DROPPED + reason as usize, 1);
    }

    fn give_back(&self, item: T, reason: DropReason) {
        match &self.on_drop {
            Some(called) => called(item, reason),
            None => drop(item),
        }
    }

    #[cold]
    pub(super) fn counted_with_care(&self, result: Result<Option<T>, PushError<T>>) -> Result<Option<T>, PushError<T>> {
        match (result, &self.on_drop) {
            (Ok(Some(oldest)), Some(called)) => {
                called(oldest, DropReason::Oldest);
                Ok(None)
            }
            (Err(refused), _) => {
                self.ring.counts().add(REJECTED, 1);
                Err(refused)
            }
            (done, _) => done,
        }
    }
}
