//! The two words of a queue, and all that can be read from them: accepting or not, satisfied or not, whom to wake.
//!
//! Locks are taken here only: by those who wait, and by those who have somebody to wake.

use super::error::{PopError, PushErrorKind};
use super::marks::{CLOSED, Marks, REJECTING, WAITING, sequence};
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, load_for_cas};
use crate::sys::PerProcess;
use crate::wait::WaitList;
use crossbeam_utils::CachePadded;
use std::sync::PoisonError;

/// The pushers' end.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) word: AtomicU64,
    /// The head's sequence number as some push last saw it. A push that finds enough room behind it need not read the
    /// head, which the poppers are busy writing.
    pub(super) head_seen: AtomicU64,
}

/// What a [`Listener`](super::Listener) waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Room for a push (or the close).
    Push,
    /// An item to pop (or the close).
    Pop,
}

/// Those who wait to push, and those who wait to pop.
#[derive(Debug, Default)]
pub(super) struct Waiters([WaitList; 2]);

impl Waiters {
    pub(super) fn of(&mut self, interest: Interest) -> &mut WaitList {
        &mut self.0[interest as usize]
    }
}

/// What a queue shares with its listeners, whatever its items are.
#[derive(Debug)]
pub(super) struct QueueState {
    pub(super) head: CachePadded<AtomicU64>,
    pub(super) tail: CachePadded<Tail>,
    pub(super) marks: Marks,
    waiters: CachePadded<PerProcess<Mutex<Waiters>>>,
}

impl QueueState {
    pub(super) fn new(marks: Marks) -> Self {
        Self {
            head: CachePadded::new(AtomicU64::new(0)),
            tail: CachePadded::new(Tail { word: AtomicU64::new(0), head_seen: AtomicU64::new(0) }),
            marks,
            waiters: CachePadded::new(PerProcess::new()),
        }
    }

    /// Head and tail as they stood at one moment.
    pub(super) fn snapshot(&self) -> (u64, u64) {
        loop {
            // Acquire: the head is read after it.
            let tail = self.tail.word.load(Ordering::Acquire);
            // Acquire: the tail is read again after it.
            let head = self.head.load(Ordering::Acquire);
            // Relaxed: an equal word means that the head was read while the tail stood still (sequence numbers never
            // come back).
            if self.tail.word.load(Ordering::Relaxed) == tail {
                return (head, tail);
            }
        }
    }

    /// Items held: claims beyond the capacity (drop-oldest pushes that still evict) do not count yet.
    pub(super) fn depth(&self, head: u64, tail: u64) -> u64 {
        sequence(tail).saturating_sub(sequence(head)).min(self.marks.capacity)
    }

    /// Whether pushes are welcome in this state. A rejecting bit below the low mark is a late one: whoever meets it
    /// clears it.
    pub(super) fn accepts(&self, head: u64, tail: u64) -> bool {
        let depth = self.depth(head, tail);
        tail & CLOSED == 0 && (tail & REJECTING == 0 || depth < self.marks.low) && depth < self.marks.capacity
    }

    /// Why a push must be refused in the state `tail` with one of the refuse bits set; `None`: look again.
    #[cold]
    pub(super) fn refusal(&self, tail: u64) -> Option<PushErrorKind> {
        if tail & CLOSED != 0 {
            return Some(PushErrorKind::Closed);
        }
        // Relaxed: later than `tail` (whose load was an Acquire), so the depth between them is no more than it was
        // then.
        let head = self.head.load(Ordering::Relaxed);
        if sequence(tail).wrapping_sub(sequence(head)) < self.marks.low {
            self.make_room(head);
            return None;
        }
        Some(PushErrorKind::Full)
    }

    /// Why there is nothing to pop although the slot at `head` is empty; `None`: its item is on the way.
    #[cold]
    pub(super) fn emptiness(&self, head: u64) -> Option<PopError> {
        // Acquire: the tail as of now, after the look at the slot. The tail never falls behind the head, so equal means
        // empty.
        let tail = self.tail.word.load(Ordering::Acquire);
        if sequence(tail) != sequence(head) {
            return None;
        }
        // The closed bit came with the same load: nothing can be accepted after it.
        Some(if tail & CLOSED != 0 { PopError::Closed } else { PopError::Empty })
    }

    /// After a pop that moved the head to `head`: hysteresis and waiting pushers.
    #[inline(always)]
    pub(super) fn popped(&self, head: u64) {
        // Relaxed: at least as new as the push of the popped item. A rejecting bit that it misses is cleared by whoever
        // meets it; a pusher that met it and sleeps has either seen this head, or left its announcement in it.
        let tail = self.tail.word.load(Ordering::Relaxed);
        if (tail & REJECTING) | (head & WAITING) != 0 {
            self.make_room(head);
        }
    }

    /// Clears the rejecting bit if the depth behind `head` is below the low mark, and lets waiting pushers in.
    ///
    /// No wake-up is lost, whatever this thread's view of the tail: an older one makes the depth smaller. If it is
    /// below the low mark, the CAS brings the newest tail. If it is not, the bit stands, and who clears it later does
    /// so with a later head, which has the announcement of every pusher that sleeps because of it.
    #[cold]
    fn make_room(&self, head: u64) {
        let mut tail = load_for_cas(&self.tail.word);
        let waiting = head & WAITING != 0;
        loop {
            if tail & REJECTING == 0 {
                if waiting {
                    self.notify(Interest::Push, 1);
                }
                return;
            }
            if sequence(tail).wrapping_sub(sequence(head)) >= self.marks.low {
                return;
            }
            // AcqRel: who pushes into the room sees what led to it. The word holds the sequence number, so this is no
            // newer bit.
            match self.tail.word.compare_exchange_weak(tail, tail & !REJECTING, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    if waiting {
                        let room = self.marks.high.min(self.marks.capacity) - self.depth(head, tail);
                        self.notify(Interest::Push, room);
                    }
                    return;
                }
                Err(now) => tail = now,
            }
        }
    }

    /// Refuses pushes from now on and wakes everybody.
    pub(super) fn close(&self) {
        // AcqRel: what happened before the close is seen by whoever finds it; every claim is before or after it in this
        // word.
        self.tail.word.fetch_or(CLOSED, Ordering::AcqRel);
        self.notify(Interest::Push, u64::MAX);
        self.notify(Interest::Pop, u64::MAX);
    }

    /// The word in which those who wait for `interest` announce themselves: the one that the other side must CAS.
    fn announcements(&self, interest: Interest) -> &AtomicU64 {
        match interest {
            Interest::Push => &self.head,
            Interest::Pop => &self.tail.word,
        }
    }

    /// Whether a try would now end otherwise than by `Full` or `Empty`.
    fn satisfied(&self, interest: Interest) -> bool {
        let (head, tail) = self.snapshot();
        match interest {
            Interest::Push => tail & CLOSED != 0 || self.marks.drop_oldest || self.accepts(head, tail),
            Interest::Pop => tail & CLOSED != 0 || sequence(tail) != sequence(head),
        }
    }

    pub(super) fn waiters(&self) -> MutexGuard<'_, Waiters> {
        // A waker's panic cannot leave the lists half changed: wakers are cloned, called and dropped outside the lock.
        self.waiters.get().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a waiter in the list, unless there is nothing to wait for.
    pub(super) fn register(&self, interest: Interest, waker: std::task::Waker) -> Option<u64> {
        let id = {
            let mut waiters = self.waiters();
            let id = waiters.of(interest).add(waker);
            // AcqRel: every later claim on that word finds the bit; the look at the state below sees every earlier one.
            self.announcements(interest).fetch_or(WAITING, Ordering::AcqRel);
            id
        };
        if self.satisfied(interest) && self.withdraw(interest, id) { None } else { Some(id) }
    }

    /// Takes a waiter out of the list; false: it has been notified.
    pub(super) fn withdraw(&self, interest: Interest, id: u64) -> bool {
        let waker = {
            let mut waiters = self.waiters();
            let waker = waiters.of(interest).remove(id);
            self.settle(interest, waiters.of(interest));
            waker
        };
        // The waker is dropped here, outside the lock: that may run foreign code.
        waker.is_some()
    }

    /// Passes on a wake-up that its receiver did not use, if it still is worth one.
    pub(super) fn pass_on(&self, interest: Interest) {
        if self.satisfied(interest) {
            self.notify(interest, 1);
        }
    }

    /// Wakes up to `most` waiters, longest waiting first, one at a time, so that a panic in a waker loses no other's.
    #[cold]
    pub(super) fn notify(&self, interest: Interest, most: u64) {
        for _ in 0..most {
            let waker = {
                let mut waiters = self.waiters();
                let waker = waiters.of(interest).next();
                self.settle(interest, waiters.of(interest));
                waker
            };
            match waker {
                Some((_, waker)) => waker.wake(),
                None => return,
            }
        }
    }

    /// Takes the announcement back when nobody is left; under the lock, so that it never hides a waiter.
    fn settle(&self, interest: Interest, waiting: &WaitList) {
        if waiting.is_empty() {
            // Relaxed: the bit only says that the list is worth a look, and the list has its lock.
            self.announcements(interest).fetch_and(!WAITING, Ordering::Relaxed);
        }
    }
}
