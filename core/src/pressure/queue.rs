//! Bounded queue with watermarks.

use crate::{Clock, ConfigError};
use std::marker::PhantomData;
use std::task::Waker;
use std::time::Duration;

/// What a push onto a full queue does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum OnFull {
    /// Refuses the new item (also while the queue is above its high watermark and has not yet fallen below the low one).
    #[default]
    Reject = 0,
    /// Takes the new item and hands back the oldest; watermarks then only steer `is_accepting`.
    DropOldest = 1,
}

/// Settings of a [`BoundedQueue`].
#[derive(Clone, Debug, PartialEq)]
pub struct QueueConfig {
    /// The most items held, 1 ..= 2^24.
    pub capacity: usize,
    /// Fraction of the capacity at which pushes start to be refused, low < high ≤ 1; 1.0 turns watermarks off. Default 0.8.
    pub high_watermark: f64,
    /// Fraction below which pushes are accepted again. Default 0.5.
    pub low_watermark: f64,
    /// Default [`OnFull::Reject`].
    pub on_full: OnFull,
    /// Whether items carry the time of their push, so that pops can tell their sojourn. Default false.
    pub sojourn: bool,
}

impl QueueConfig {
    /// The defaults for a queue of `capacity` items.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, high_watermark: 0.8, low_watermark: 0.5, on_full: OnFull::Reject, sojourn: false }
    }
}

/// Why a push was refused; the item comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushError<T> {
    /// The item that was not taken.
    pub item: T,
    /// Why.
    pub kind: PushErrorKind,
}

/// Why a push was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushErrorKind {
    /// Full, or above the high watermark and not yet below the low one. After a waiting form: still so at the deadline.
    Full,
    /// Closed.
    Closed,
}

/// Why a pop gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PopError {
    /// Empty (after a waiting form: still so at the deadline).
    Empty,
    /// Closed, and everything that was accepted has been popped.
    Closed,
}

/// What a [`Listener`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Room for a push (or the close).
    Push,
    /// An item to pop (or the close).
    Pop,
}

/// A registered waiter: its waker is called once when the interest may be satisfied. Dropping it takes the
/// registration back (it owns what it needs of the queue), and passes a wake-up that it already consumed on to the next waiter, so none is lost.
#[derive(Debug)]
pub struct Listener(());

impl Listener {
    /// Whether the waker has been called.
    pub fn is_notified(&self) -> bool {
        todo!()
    }
}

/// Counts since the queue was made.
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
    /// Pushes refused.
    pub rejected: u64,
    /// Items handed back by `DropOldest`.
    pub dropped: u64,
}

/// A bounded multi-producer, multi-consumer FIFO with watermarks.
#[derive(Debug)]
pub struct BoundedQueue<T> {
    clock: Clock,
    items: PhantomData<T>,
}

impl<T> BoundedQueue<T> {
    /// An empty queue on the monotonic clock.
    pub fn new(config: QueueConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, Clock::monotonic())
    }

    /// An empty queue on `clock` (read for sojourn times only; waiting uses the machine's time).
    pub fn with_clock(config: QueueConfig, clock: Clock) -> Result<Self, ConfigError> {
        let _ = config;
        Ok(Self { clock, items: PhantomData })
    }

    /// Its settings.
    pub fn config(&self) -> &QueueConfig {
        todo!()
    }

    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Puts `item` in without waiting. With [`OnFull::DropOldest`] the item that had to go comes back in `Some`.
    pub fn try_push(&self, item: T) -> Result<Option<T>, PushError<T>> {
        let _ = item;
        todo!()
    }

    /// [`try_push`](Self::try_push) at `now`.
    pub fn try_push_at(&self, now: u64, item: T) -> Result<Option<T>, PushError<T>> {
        let _ = (now, item);
        todo!()
    }

    /// Takes the oldest item without waiting.
    pub fn try_pop(&self) -> Result<T, PopError> {
        todo!()
    }

    /// [`try_pop`](Self::try_pop) with the nanoseconds the item spent here (0 unless `sojourn` is on).
    pub fn try_pop_timed(&self) -> Result<(T, u64), PopError> {
        todo!()
    }

    /// [`try_pop_timed`](Self::try_pop_timed) at `now`.
    pub fn try_pop_timed_at(&self, now: u64) -> Result<(T, u64), PopError> {
        let _ = now;
        todo!()
    }

    /// Puts `item` in, blocking this thread up to `timeout` (`None`: for ever) for room.
    pub fn push(&self, item: T, timeout: Option<Duration>) -> Result<Option<T>, PushError<T>> {
        let _ = (item, timeout);
        todo!()
    }

    /// Takes the oldest item, blocking this thread up to `timeout` (`None`: for ever).
    pub fn pop(&self, timeout: Option<Duration>) -> Result<T, PopError> {
        let _ = timeout;
        todo!()
    }

    /// Registers `waker`; if the interest is already satisfied it is called at once. The building block of waiting
    /// forms in other runtimes: try, listen, try again, wait.
    pub fn listen(&self, interest: Interest, waker: &Waker) -> Listener {
        let _ = (interest, waker);
        todo!()
    }

    /// Refuses pushes from now on and wakes all waiters; what was accepted can still be popped.
    pub fn close(&self) {
        todo!()
    }

    /// Closes, and takes out everything that was accepted.
    pub fn drain(&self) -> Vec<T> {
        todo!()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        todo!()
    }

    /// Whether a push would be accepted as far as watermarks and the close go.
    pub fn is_accepting(&self) -> bool {
        todo!()
    }

    /// Items held now.
    pub fn depth(&self) -> usize {
        todo!()
    }

    /// Counts since the queue was made.
    pub fn stats(&self) -> QueueStats {
        todo!()
    }
}
