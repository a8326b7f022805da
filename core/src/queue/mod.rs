//! Bounded queue with watermarks.
//!
//! | file | idea |
//! |---|---|
//! | `ring.rs`, `ring_fork.rs` | the slots; what a child of fork makes of its copy of them |
//! | `shelf.rs` | what holds the items instead where they have lanes, or come out by either end |
//! | `judge.rs`, `codel.rs` | which items are dropped as they come to the front; when a lane is overloaded |
//! | `rules.rs`, `waiting.rs` | push and pop of a queue with such rules; the forms that wait |
//! | `marks.rs`, `state.rs` | the two words, the depths that matter, who waits |
//! | `listener.rs` | one who waits |
//! | `config.rs`, `options.rs`, `error.rs` | settings; what a push says; why a push or a pop gave nothing |

mod codel;
mod config;
mod error;
mod judge;
mod listener;
#[cfg(all(test, loom))]
mod loom_tests;
mod marks;
mod options;
mod ring;
mod rules;
mod shelf;
mod state;
mod waiting;

pub use config::{Discipline, OnFull, QueueConfig, SETTINGS};
pub use error::{PopError, PushError, PushErrorKind};
pub use judge::DropReason;
pub use listener::Listener;
pub use options::{Place, PushOptions};
pub use rules::Taken;
pub use state::Interest;

use crate::sync::{Arc, Ordering};
use crate::{Clock, ConfigError};
use judge::{Judge, Times};
use marks::{CLOSED, sequence};
use ring::{DROPPED, REJECTED, Ring};
use rules::Hook;
use shelf::Shelf;
use state::QueueState;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::Waker;
use std::time::Duration;

/// Counts since the queue was made. Each is exact; taken together while others push and pop, they may be of slightly
/// different moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Items held now.
    pub depth: usize,
    /// Whether pushes are accepted now.
    pub accepting: bool,
    /// Items accepted.
    pub pushed: u64,
    /// Items popped or drained.
    pub popped: u64,
    /// Pushes refused, full or closed; a waiting form counts once, at its deadline.
    pub rejected: u64,
    /// Items dropped, for whatever reason: `pushed` is `popped`, `dropped` and `depth`, at any moment.
    pub dropped: u64,
    /// Of these, by their [reasons](DropReason).
    pub dropped_by: [u64; DropReason::ALL.len()],
    /// The least delay of the interval that ended last, of the lane where it is the longest; `None` without a
    /// discipline that measures it, and before the first.
    pub least_delay: Option<Duration>,
    /// Whether that is overload.
    pub overloaded: bool,
}

/// A bounded multi-producer, multi-consumer FIFO with watermarks.
///
/// A push that brings the depth to the high watermark closes the door; it opens again when a pop brings the depth below
/// the low one. Nothing accepted is ever lost: a push that races a close is either refused or drained.
///
/// Thread safety: every method may be called from any thread at any time. Pushing and popping take no lock and allocate
/// nothing; they may wait for a peer that is between its claim of a slot and its publish (a few instructions). A lock
/// is taken only to wait, and to wake somebody who waits. Waiters are woken in the order of their arrival, but a push
/// or pop that did not wait may come first. After a fork the child has an independent copy of what was in the queue at
/// that moment, without the parent's waiters; an item that another thread was pushing or popping just then is the
/// parent's alone.
///
/// Source: D. Vyukov's bounded MPMC queue as in crossbeam's `ArrayQueue`; the close, the hysteresis and the
/// announcement of waiters share its head and tail words.
///
/// ```
/// use tidegate::queue::{BoundedQueue, PushErrorKind, QueueConfig};
///
/// let queue = BoundedQueue::new(QueueConfig::new(10)).unwrap();
/// (0..8).for_each(|n| assert!(queue.try_push(n).is_ok()));
/// assert_eq!(queue.try_push(8).unwrap_err().kind, PushErrorKind::Full); // shut at 80 %
/// (0..4).for_each(|n| assert_eq!(queue.try_pop(), Ok(n)));
/// assert!(queue.is_accepting()); // open again below 50 %
/// assert_eq!(queue.drain(), [4, 5, 6, 7]);
/// ```
pub struct BoundedQueue<T> {
    ring: Ring<T>,
    /// Holds the items, and the ring none, where lanes or the discipline ask for it.
    shelf: Option<Box<Shelf<T>>>,
    judge: Judge,
    on_drop: Option<Hook<T>>,
    config: QueueConfig,
    clock: Clock,
}

// What is called with dropped items is called when all is in order.
impl<T> UnwindSafe for BoundedQueue<T> {}
impl<T> RefUnwindSafe for BoundedQueue<T> {}

impl<T> BoundedQueue<T> {
    /// An empty queue on the monotonic clock.
    ///
    /// Errors: a [`ConfigError`] that names the field, for a capacity outside 1 ..= 2^24 or watermarks that are no
    /// fractions with low < high.
    pub fn new(config: QueueConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, Clock::monotonic())
    }

    /// An empty queue on `clock` (read for sojourn times only; waiting uses the machine's time). Errors: as
    /// [`new`](Self::new).
    pub fn with_clock(config: QueueConfig, clock: Clock) -> Result<Self, ConfigError> {
        let marks = config.marks()?;
        let state = Arc::new(QueueState::new(marks));
        let timed = config.sojourn || config.judges_age();
        let (shelf, ring) = if config.needs_shelf() {
            let shelf = Shelf::new(state, config.lanes)?;
            // With words of its own: those of the shelf tell of items that it does not hold.
            (Some(Box::new(shelf)), Ring::new(Arc::new(QueueState::new(marks)), 0, false, false)?)
        } else {
            let plain = config.is_plain();
            (None, Ring::new(state, marks.capacity, timed, plain)?)
        };
        let judge = Judge::new(&config);
        Ok(Self { ring, shelf, judge, on_drop: None, config, clock })
    }

    /// Its settings.
    pub fn config(&self) -> &QueueConfig {
        &self.config
    }

    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Puts `item` in without waiting. With [`OnFull::DropOldest`] the item that had to go comes back in `Some`, or
    /// goes to what [`on_drop`](Self::on_drop) was given.
    ///
    /// Errors: the item with [`PushErrorKind::Full`] or [`PushErrorKind::Closed`].
    #[inline(always)]
    pub fn try_push(&self, item: T) -> Result<Option<T>, PushError<T>> {
        match self.ring.push_at_once(item, || self.now()) {
            Ok(()) => Ok(None),
            Err(item) => self.try_push_in(item, Place::default()),
        }
    }

    /// [`try_push`](Self::try_push) at `now` (nanoseconds of the queue's clock; used for the item's age).
    #[inline(always)]
    pub fn try_push_at(&self, now: u64, item: T) -> Result<Option<T>, PushError<T>> {
        match self.ring.push_at_once(item, || now) {
            Ok(()) => Ok(None),
            Err(item) => self.try_push_in_at(now, item, Place::default()),
        }
    }

    /// Takes the next item without waiting: the oldest, unless lanes or the discipline say otherwise. What is dropped
    /// before it goes to what [`on_drop`](Self::on_drop) was given.
    ///
    /// Errors: [`PopError::Empty`]; [`PopError::Closed`] once it is closed and everything is out.
    #[inline(always)]
    pub fn try_pop(&self) -> Result<T, PopError> {
        match self.ring.pop_at_once::<false>() {
            Some((item, _)) => Ok(item),
            None => self.pop_with_care().map(|(item, _)| item),
        }
    }

    /// [`try_pop`](Self::try_pop) with the nanoseconds the item spent here (0 unless `sojourn` is on).
    #[inline(always)]
    pub fn try_pop_timed(&self) -> Result<(T, u64), PopError> {
        let now = if self.config.sojourn && self.ring.is_plain() { self.now() } else { 0 };
        match self.ring.pop_at_once::<true>() {
            Some((item, times)) => Ok((item, self.sojourn(now, times))),
            None => self.pop_by_rules(|| self.now()),
        }
    }

    /// [`try_pop_timed`](Self::try_pop_timed) at `now` (nanoseconds of the queue's clock). A `now` before the push
    /// gives 0.
    #[inline(always)]
    pub fn try_pop_timed_at(&self, now: u64) -> Result<(T, u64), PopError> {
        match self.ring.pop_at_once::<true>() {
            Some((item, times)) => Ok((item, self.sojourn(now, times))),
            None => self.pop_by_rules(|| now),
        }
    }

    #[inline(always)]
    fn sojourn(&self, now: u64, times: Times) -> u64 {
        if self.config.sojourn { now.saturating_sub(times.pushed) } else { 0 }
    }

    /// Registers `waker`; if the interest is already satisfied it is called at once. The building block of waiting
    /// forms in other runtimes: try, listen, try again when woken, drop the listener when done.
    pub fn listen(&self, interest: Interest, waker: &Waker) -> Listener {
        let listener = Listener::new(self.state(), interest, waker);
        if listener.was_satisfied() {
            waker.wake_by_ref();
        }
        listener
    }

    /// Refuses pushes from now on and wakes all waiters; what was accepted can still be popped. A second close does
    /// nothing.
    pub fn close(&self) {
        self.state().close();
    }

    /// Closes, and takes out everything that was accepted and not popped, by lanes, oldest first, whatever its age.
    /// Waits for pushes that are between their claim and their publish.
    pub fn drain(&self) -> Vec<T> {
        self.close();
        std::iter::from_fn(|| self.take_first().ok()).collect()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        // Acquire: who sees the close sees what happened before it.
        self.state().tail.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Whether pushes are welcome: not closed, not between the watermarks on the way down, and below the capacity.
    pub fn is_accepting(&self) -> bool {
        let (head, tail) = self.state().snapshot();
        self.state().accepts(head, tail)
    }

    /// Items held now.
    pub fn depth(&self) -> usize {
        let (head, tail) = self.state().snapshot();
        self.state().depth(head, tail) as usize
    }

    /// The part of the capacity that is in use, 0 to 1.
    pub fn fill(&self) -> f64 {
        self.depth() as f64 / self.config.capacity as f64
    }

    /// How long everybody waits at least, as of the interval that ended last: [`QueueStats::least_delay`], and zero
    /// while it is empty.
    pub fn least_delay(&self) -> Option<Duration> {
        self.load().0
    }

    /// Whether it is overloaded: in an interval after one in which nobody waited less than the target.
    pub fn is_overloaded(&self) -> bool {
        self.load().1
    }

    fn load(&self) -> (Option<Duration>, bool) {
        let (least, overloaded) = self.judge.load();
        // Nobody waits: what was measured before is over.
        if least.is_some() && self.depth() == 0 {
            return (Some(Duration::ZERO), false);
        }
        (least.map(Duration::from_nanos), overloaded)
    }

    /// Counts since the queue was made.
    pub fn stats(&self) -> QueueStats {
        let state = self.state();
        let dropped_by = DropReason::ALL.map(|reason| self.ring.counts().sum(DROPPED + reason as usize));
        let dropped = dropped_by.iter().sum();
        let (head, tail) = state.snapshot();
        let (least_delay, overloaded) = self.load();
        QueueStats {
            depth: state.depth(head, tail) as usize,
            accepting: state.accepts(head, tail),
            pushed: sequence(tail),
            popped: sequence(head).saturating_sub(dropped),
            rejected: self.ring.counts().sum(REJECTED),
            dropped,
            dropped_by,
            least_delay,
            overloaded,
        }
    }

    /// The words that say how it stands, in order also in a child of fork.
    fn state(&self) -> &Arc<QueueState> {
        match &self.shelf {
            Some(shelf) => shelf.state(),
            None => self.ring.state(),
        }
    }

    /// Out of line: it is for sojourn times only, and would crowd the path without them.
    #[inline(never)]
    fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Counts a refusal; what had to go goes to its owner, if there is one to be told.
    #[inline]
    fn counted(&self, result: Result<Option<T>, PushError<T>>) -> Result<Option<T>, PushError<T>> {
        match result {
            Ok(None) => Ok(None),
            done => self.counted_with_care(done),
        }
    }
}

impl<T> fmt::Debug for BoundedQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedQueue")
            .field("config", &self.config)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
