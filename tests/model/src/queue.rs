//! Bounded queue with watermarks, as a deque and two flags.

use std::collections::VecDeque;

/// The answer of [`Queue::try_push`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// Taken; the oldest item when it had to go.
    Taken(Option<i64>),
    /// Refused for want of room.
    Full,
    /// Refused for ever.
    Closed,
}

/// The answer of [`Queue::try_pop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pop {
    /// An item and the nanoseconds it spent in the queue.
    Item(i64, u64),
    /// Nothing there now.
    Empty,
    /// Nothing there, and nothing will come.
    Closed,
}

/// A queue that one thread uses.
#[derive(Clone, Debug)]
pub struct Queue {
    items: VecDeque<(i64, u64)>,
    capacity: usize,
    /// Depths at which pushes stop, and below which they go on; none when the high watermark is the capacity.
    watermarks: Option<(usize, usize)>,
    drop_oldest: bool,
    rejecting: bool,
    closed: bool,
}

impl Queue {
    /// An empty queue; watermarks are fractions of the capacity.
    pub fn new(capacity: usize, high: f64, low: f64, drop_oldest: bool) -> Self {
        // A hair below, so that 0.55 × 100 = 55.00000000000001 means 55.
        let depth = |fraction: f64| ((fraction * capacity as f64 - 1e-9).ceil() as usize).max(1);
        let watermarks = (high < 1.0).then(|| (depth(high), depth(low)));
        Self { items: VecDeque::new(), capacity, watermarks, drop_oldest, rejecting: false, closed: false }
    }

    /// Puts an item in at `now`.
    pub fn try_push(&mut self, now: u64, item: i64) -> Push {
        if self.closed {
            return Push::Closed;
        }
        let full = self.items.len() == self.capacity;
        if !self.drop_oldest && (full || self.rejecting) {
            return Push::Full;
        }
        let dropped = if full { self.items.pop_front().map(|(oldest, _)| oldest) } else { None };
        self.items.push_back((item, now));
        if self.watermarks.is_some_and(|(high, _)| self.items.len() >= high) {
            self.rejecting = true;
        }
        Push::Taken(dropped)
    }

    /// Takes the oldest item at `now`.
    pub fn try_pop(&mut self, now: u64) -> Pop {
        let Some((item, pushed)) = self.items.pop_front() else {
            return if self.closed { Pop::Closed } else { Pop::Empty };
        };
        if self.watermarks.is_some_and(|(_, low)| self.items.len() < low) {
            self.rejecting = false;
        }
        Pop::Item(item, now.saturating_sub(pushed))
    }

    /// Items held.
    pub fn depth(&self) -> usize {
        self.items.len()
    }

    /// Whether a push would find room and no watermark in its way.
    pub fn is_accepting(&self) -> bool {
        !self.closed && !self.rejecting && self.items.len() < self.capacity
    }

    /// No more pushes.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Closes, and gives everything out, oldest first.
    pub fn drain(&mut self) -> Vec<i64> {
        self.closed = true;
        self.items.drain(..).map(|(item, _)| item).collect()
    }
}
