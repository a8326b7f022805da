//! Bounded queue with watermarks.
//!
//! | file | idea |
//! |---|---|
//! | `ring.rs`, `ring_fork.rs` | the slots; what a child of fork makes of its copy of them |
//! | `marks.rs`, `state.rs` | the two words, the depths that matter, who waits |
//! | `listener.rs` | one who waits |
//! | `config.rs`, `error.rs` | settings; why a push or a pop gave nothing |

mod config;
mod error;
mod listener;
#[cfg(all(test, loom))]
mod loom_tests;
mod marks;
mod ring;
mod state;

pub use config::{OnFull, QueueConfig, SETTINGS};
pub use error::{PopError, PushError, PushErrorKind};
pub use listener::Listener;
pub use state::Interest;

use crate::sync::{Arc, Ordering};
use crate::wait::block;
use crate::{Clock, ConfigError};
use marks::{CLOSED, sequence};
use ring::{DROPPED, REJECTED, Ring};
use state::QueueState;
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
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
    /// Items handed back by `DropOldest`.
    pub dropped: u64,
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
    config: QueueConfig,
    clock: Clock,
}

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
        let state = Arc::new(QueueState::new(config.marks()?));
        Ok(Self { ring: Ring::new(state, config.sojourn)?, config, clock })
    }

    /// Its settings.
    pub fn config(&self) -> &QueueConfig {
        &self.config
    }

    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Puts `item` in without waiting. With [`OnFull::DropOldest`] the item that had to go comes back in `Some`.
    ///
    /// Errors: the item with [`PushErrorKind::Full`] or [`PushErrorKind::Closed`].
    #[inline(always)]
    pub fn try_push(&self, item: T) -> Result<Option<T>, PushError<T>> {
        self.counted(self.ring.push(item, || self.now()))
    }

    /// [`try_push`](Self::try_push) for waiting forms in other runtimes: a push that looks more than once is refused
    /// once, so a full queue is not counted here.
    #[doc(hidden)]
    #[inline]
    pub fn look_push(&self, item: T) -> Result<Option<T>, PushError<T>> {
        match self.ring.push(item, || self.now()) {
            Err(full) if full.kind == PushErrorKind::Full => Err(full),
            done => self.counted(done),
        }
    }

    /// [`try_push`](Self::try_push) at `now` (nanoseconds of the queue's clock; used for sojourn times only).
    #[inline(always)]
    pub fn try_push_at(&self, now: u64, item: T) -> Result<Option<T>, PushError<T>> {
        self.counted(self.ring.push(item, || now))
    }

    /// Takes the oldest item without waiting.
    ///
    /// Errors: [`PopError::Empty`]; [`PopError::Closed`] once it is closed and everything is out.
    #[inline(always)]
    pub fn try_pop(&self) -> Result<T, PopError> {
        self.ring.pop::<false>().map(|(item, _)| item)
    }

    /// [`try_pop`](Self::try_pop) with the nanoseconds the item spent here (0 unless `sojourn` is on).
    #[inline(always)]
    pub fn try_pop_timed(&self) -> Result<(T, u64), PopError> {
        self.try_pop_timed_at(if self.config.sojourn { self.now() } else { 0 })
    }

    /// [`try_pop_timed`](Self::try_pop_timed) at `now` (nanoseconds of the queue's clock). A `now` before the push
    /// gives 0.
    #[inline(always)]
    pub fn try_pop_timed_at(&self, now: u64) -> Result<(T, u64), PopError> {
        let (item, pushed) = self.ring.pop::<true>()?;
        Ok((item, if self.config.sojourn { now.saturating_sub(pushed) } else { 0 }))
    }

    /// Puts `item` in, blocking this thread up to `timeout` (`None`: for ever) for room.
    ///
    /// Errors: the item with [`PushErrorKind::Full`] at the deadline, or [`PushErrorKind::Closed`].
    pub fn push(&self, item: T, timeout: Option<Duration>) -> Result<Option<T>, PushError<T>> {
        let mut slot = match self.ring.push(item, || self.now()) {
            Err(PushError { item, kind: PushErrorKind::Full }) if timeout != Some(Duration::ZERO) => Some(item),
            done => return self.counted(done),
        };
        let mut listener = None;
        let done = block(timeout, |context| self.poll_push(context, &mut listener, &mut slot));
        self.counted(done.unwrap_or_else(|| Err(PushError { item: given_back(slot), kind: PushErrorKind::Full })))
    }

    /// Takes the oldest item, blocking this thread up to `timeout` (`None`: for ever).
    ///
    /// Errors: [`PopError::Empty`] at the deadline; [`PopError::Closed`] once it is closed and everything is out.
    pub fn pop(&self, timeout: Option<Duration>) -> Result<T, PopError> {
        match self.try_pop() {
            Err(PopError::Empty) if timeout != Some(Duration::ZERO) => {}
            done => return done,
        }
        let mut listener = None;
        block(timeout, |context| self.poll_pop(context, &mut listener)).unwrap_or(Err(PopError::Empty))
    }

    /// [`push`](Self::push) for any async runtime, without a deadline (put the runtime's own around it).
    ///
    /// Cancel safe: dropped before it is ready, the item has not been accepted and is dropped with it.
    ///
    /// Errors: the item with [`PushErrorKind::Closed`].
    pub async fn push_async(&self, item: T) -> Result<Option<T>, PushError<T>> {
        let (mut slot, mut listener) = (Some(item), None);
        let done = poll_fn(|context| self.poll_push(context, &mut listener, &mut slot)).await;
        self.counted(done)
    }

    /// [`pop`](Self::pop) for any async runtime, without a deadline (put the runtime's own around it).
    ///
    /// Cancel safe: dropped before it is ready, it has taken nothing, and a wake-up that was meant for it goes to the
    /// next.
    ///
    /// Errors: [`PopError::Closed`] once it is closed and everything is out.
    pub async fn pop_async(&self) -> Result<T, PopError> {
        let mut listener = None;
        poll_fn(|context| self.poll_pop(context, &mut listener)).await
    }

    /// Registers `waker`; if the interest is already satisfied it is called at once. The building block of waiting
    /// forms in other runtimes: try, listen, try again when woken, drop the listener when done.
    pub fn listen(&self, interest: Interest, waker: &Waker) -> Listener {
        let listener = Listener::new(self.ring.state(), interest, waker);
        if listener.was_satisfied() {
            waker.wake_by_ref();
        }
        listener
    }

    /// Refuses pushes from now on and wakes all waiters; what was accepted can still be popped. A second close does
    /// nothing.
    pub fn close(&self) {
        self.ring.state().close();
    }

    /// Closes, and takes out everything that was accepted and not popped, oldest first. Waits for pushes that are
    /// between their claim and their publish.
    pub fn drain(&self) -> Vec<T> {
        self.close();
        std::iter::from_fn(|| self.try_pop().ok()).collect()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        // Acquire: who sees the close sees what happened before it.
        self.ring.state().tail.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Whether pushes are welcome: not closed, not between the watermarks on the way down, and below the capacity.
    pub fn is_accepting(&self) -> bool {
        let (head, tail) = self.ring.state().snapshot();
        self.ring.state().accepts(head, tail)
    }

    /// Items held now.
    pub fn depth(&self) -> usize {
        let (head, tail) = self.ring.state().snapshot();
        self.ring.state().depth(head, tail) as usize
    }

    /// Counts since the queue was made.
    pub fn stats(&self) -> QueueStats {
        let state = self.ring.state();
        let dropped = self.ring.counts().sum(DROPPED);
        let (head, tail) = state.snapshot();
        QueueStats {
            depth: state.depth(head, tail) as usize,
            accepting: state.accepts(head, tail),
            pushed: sequence(tail),
            popped: sequence(head).saturating_sub(dropped),
            rejected: self.ring.counts().sum(REJECTED),
            dropped,
        }
    }

    /// Out of line: it is for sojourn times only, and would crowd the path without them.
    #[inline(never)]
    fn now(&self) -> u64 {
        self.clock.now()
    }

    #[inline(always)]
    fn counted(&self, result: Result<Option<T>, PushError<T>>) -> Result<Option<T>, PushError<T>> {
        if result.is_err() {
            self.ring.counts().add(REJECTED, 1);
        }
        result
    }

    fn poll_push(
        &self,
        context: &mut Context<'_>,
        listener: &mut Option<Listener>,
        slot: &mut Option<T>,
    ) -> Poll<Result<Option<T>, PushError<T>>> {
        loop {
            let item = slot.take().expect("a finished push is not polled again");
            match self.ring.push(item, || self.now()) {
                Err(PushError { item, kind: PushErrorKind::Full }) => *slot = Some(item),
                done => return Poll::Ready(done),
            }
            if self.waits(Interest::Push, context, listener) {
                return Poll::Pending;
            }
        }
    }

    fn poll_pop(&self, context: &mut Context<'_>, listener: &mut Option<Listener>) -> Poll<Result<T, PopError>> {
        loop {
            match self.try_pop() {
                Err(PopError::Empty) => {}
                done => return Poll::Ready(done),
            }
            if self.waits(Interest::Pop, context, listener) {
                return Poll::Pending;
            }
        }
    }

    /// Registered, or still registered: the waker will be called. Otherwise it is time to try again.
    fn waits(&self, interest: Interest, context: &mut Context<'_>, listener: &mut Option<Listener>) -> bool {
        if listener.as_ref().is_some_and(|listener| listener.rearm(context.waker())) {
            return true;
        }
        let fresh = Listener::new(self.ring.state(), interest, context.waker());
        !listener.insert(fresh).was_satisfied()
    }
}

fn given_back<T>(slot: Option<T>) -> T {
    slot.expect("a push that is not done still has its item")
}

impl<T> fmt::Debug for BoundedQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedQueue")
            .field("config", &self.config)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
