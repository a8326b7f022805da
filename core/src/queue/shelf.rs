//! Items by lane, each lane open at both ends: what lanes and `adaptive_lifo` need in place of the ring.
//!
//! One turn guards all of it, for the few instructions of a claim and its publish: a thread that comes meanwhile waits
//! as it would for a slot of the ring that is claimed and not published. Nothing foreign runs within a turn: no waker,
//! no clock, no destructor of an item. Claims are made in the words that the ring uses, so that close, hysteresis and
//! waiters are the same code.
//!
//! A fork may copy a turn that a thread of the parent had taken. Links are then of no use, but each node says by itself
//! whether it holds an item, and which: the child's first turn links them anew.
#![allow(unsafe_code)] // Items move in and out of uninitialised nodes; the turn says whose they are.

use super::config::CAPACITY;
use super::error::{PopError, PushError, PushErrorKind};
use super::judge::{DropReason, Judge, NEVER, Times};
use super::marks::{CLOSED, ONE, REJECTING, WAITING, sequence};
use super::options::Place;
use super::state::{Interest, QueueState};
use crate::ConfigError;
use crate::memory::boxed;
use crate::sync::{Arc, AtomicU32, AtomicU64, Backoff, Ordering, UnsafeCell, load_for_cas};
use crate::sys::generation;
use std::mem::MaybeUninit;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// No node.
const NONE: u32 = u32::MAX;
/// One pop of so many is of a lower lane in any case.
const FLOOR: u64 = 20;

struct Node<T> {
    /// 0: empty. Otherwise one more than the number of the push whose item it holds. Written after the item is in, and
    /// before it may be overwritten.
    order: AtomicU64,
    item: MaybeUninit<T>,
    times: Times,
    lane: u8,
    /// Towards the oldest of its lane.
    older: u32,
    /// Towards the newest; of an empty node: the next empty one.
    newer: u32,
}

#[derive(Clone, Copy)]
struct Lane {
    oldest: u32,
    newest: u32,
}

struct Lanes<T> {
    nodes: Box<[Node<T>]>,
    lanes: Box<[Lane]>,
    /// The first empty node.
    empty: u32,
    /// Items handed out by turns.
    served: u64,
}

/// The lanes of a queue, and the state that counts what is in them.
pub(super) struct Shelf<T> {
    /// 0, or the generation of the process of the thread whose turn it is.
    turn: AtomicU32,
    inside: UnsafeCell<Lanes<T>>,
    state: Arc<QueueState>,
    /// 1: some item has had a deadline.
    has_deadlines: AtomicU64,
}

// SAFETY: `inside` is reached by the holder of the turn alone, and items are moved in by one thread and out by one.
unsafe impl<T: Send> Send for Shelf<T> {}
// SAFETY: as above; `&Shelf` gives out no `&T`.
unsafe impl<T: Send> Sync for Shelf<T> {}
// No foreign code runs within a turn, so a panic finds the lanes in order.
impl<T> UnwindSafe for Shelf<T> {}
impl<T> RefUnwindSafe for Shelf<T> {}

/// What a look brought out: the item with its times, and why it is dropped.
pub(super) type Looked<T> = (T, Times, Option<DropReason>);

impl<T> Shelf<T> {
    /// Errors: `capacity` when there is no memory for so many.
    pub(super) fn new(state: Arc<QueueState>, lanes: usize) -> Result<Self, ConfigError> {
        let capacity = state.marks.capacity;
        let nodes = boxed(&CAPACITY, capacity, |n| Node {
            order: AtomicU64::new(0),
            item: MaybeUninit::uninit(),
            times: Times { pushed: 0, due: NEVER },
            lane: 0,
            older: NONE,
            newer: if n + 1 == capacity { NONE } else { n as u32 + 1 },
        })?;
        let lanes = vec![Lane { oldest: NONE, newest: NONE }; lanes].into_boxed_slice();
        Ok(Self {
            turn: AtomicU32::new(0),
            inside: UnsafeCell::new(Lanes { nodes, lanes, empty: 0, served: 0 }),
            state,
            has_deadlines: AtomicU64::new(0),
        })
    }

    /// The words, in order also where a thread of the parent of this process was about to change them.
    pub(super) fn state(&self) -> &Arc<QueueState> {
        // Relaxed: a turn of another generation ends by this process alone, in `in_turn`.
        let turn = self.turn.load(Ordering::Relaxed);
        if turn != 0 && turn != generation() {
            self.in_turn(|_| ());
        }
        &self.state
    }

    pub(super) fn has_deadlines(&self) -> bool {
        // Relaxed: set before the item with the first deadline is in.
        self.has_deadlines.load(Ordering::Relaxed) != 0
    }

    /// Runs `work`, which must not call anything foreign, while no other thread of the process is inside.
    fn in_turn<R>(&self, work: impl FnOnce(&mut Lanes<T>) -> R) -> R {
        let own = generation();
        let backoff = Backoff::new();
        let inherited = loop {
            // Acquire: what the turn before wrote is seen.
            match self.turn.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break false,
                // Of a thread before the fork, which is not in this process: one of its threads takes it over.
                Err(other) if other != own => {
                    if self.turn.compare_exchange(other, own, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                        break true;
                    }
                }
                Err(_) => backoff.snooze(),
            }
        };
        /// Also after a panic, which would be a bug here: nobody is to wait for ever because of it.
        struct End<'a>(&'a AtomicU32);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                // Release: pairs with the exchange.
                self.0.store(0, Ordering::Release);
            }
        }
        let _end = End(&self.turn);
        self.inside.with_mut(|inside| {
            // SAFETY: the exchange above made this thread the only one inside until `_end` is dropped.
            let lanes = unsafe { &mut *inside };
            if inherited {
                lanes.link_anew(&self.state);
            }
            work(lanes)
        })
    }

    /// Puts an item in, and wakes a waiting popper. What had to go for it comes back.
    pub(super) fn push(&self, item: T, pushed: u64, place: Place) -> Result<Option<T>, PushError<T>> {
        if place.due != NEVER {
            // Relaxed: seen by whoever finds the item.
            self.has_deadlines.store(1, Ordering::Relaxed);
        }
        let times = Times { pushed, due: place.due };
        let mut item = Some(item);
        loop {
            let claimed = self.in_turn(|lanes| {
                let (tail, is_full) = self.claim()?;
                let item = item.take().expect("it is put in once");
                let dropped = if is_full { lanes.make_room(place.lane) } else { Room::There };
                if is_full {
                    // AcqRel: as a pop's.
                    self.state.head.fetch_add(ONE, Ordering::AcqRel);
                }
                let dropped = match dropped {
                    Room::NotForThis => Some(item),
                    Room::There => lanes.put(sequence(tail) + 1, item, times, place.lane),
                    Room::Of(oldest) => lanes.put(sequence(tail) + 1, item, times, place.lane).or(Some(oldest)),
                };
                Ok((tail, dropped))
            });
            let kind = match claimed {
                Ok((tail, dropped)) => {
                    if tail & WAITING != 0 {
                        self.state.notify(Interest::Pop, 1);
                    }
                    return Ok(dropped);
                }
                Err(Stop::Full) => Some(PushErrorKind::Full),
                Err(Stop::Marked(tail)) => self.state.refusal(tail),
            };
            if let Some(kind) = kind {
                return Err(PushError { item: item.expect("it was not put in"), kind });
            }
        }
    }

    /// In a turn: the tail as it was before the claim, and whether another item must go.
    fn claim(&self) -> Result<(u64, bool), Stop> {
        let (state, marks) = (&*self.state, self.state.marks);
        let mut tail = load_for_cas(&state.tail.word);
        loop {
            if tail & marks.refuse != 0 {
                return Err(Stop::Marked(tail));
            }
            // Relaxed: it moves in turns only.
            let depth = sequence(tail) + 1 - sequence(state.head.load(Ordering::Relaxed));
            let is_full = depth > marks.capacity;
            if is_full && !marks.drop_oldest {
                return Err(Stop::Full);
            }
            let next = (tail + ONE) | if depth >= marks.high { REJECTING } else { 0 };
            // AcqRel: a close or a drain sees what came before the claims it finds. The word carries closed, rejecting
            // and the announcement of waiting poppers, so none of them can be missed.
            match state.tail.word.compare_exchange(tail, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok((tail, is_full)),
                Err(now) => tail = now,
            }
        }
    }

    /// Takes one item out: the one to be served at `now`, or one that is dropped before it.
    pub(super) fn take(&self, now: u64, judge: &Judge) -> Result<Looked<T>, PopError> {
        self.take_by(|lanes| {
            let lane = lanes.lane_to_serve()?;
            let Lane { oldest, newest } = lanes.lanes[lane];
            let (node, verdict) = match judge.oldest(lane, now, lanes.nodes[oldest as usize].times) {
                None if judge.is_newest_first(lane) => (newest, judge.expired(now, lanes.nodes[newest as usize].times)),
                verdict => (oldest, verdict),
            };
            lanes.served += u64::from(verdict.is_none());
            Some((node, verdict))
        })
    }

    /// Takes the oldest item of the most urgent lane out, whatever its age.
    pub(super) fn take_first(&self) -> Result<Looked<T>, PopError> {
        self.take_by(|lanes| {
            let lane = lanes.lanes.iter().find(|lane| lane.oldest != NONE)?;
            Some((lane.oldest, None))
        })
    }

    fn take_by(
        &self,
        choose: impl FnOnce(&mut Lanes<T>) -> Option<(u32, Option<DropReason>)>,
    ) -> Result<Looked<T>, PopError> {
        let (head, (item, times), verdict) = self.in_turn(|lanes| {
            let Some((node, verdict)) = choose(lanes) else {
                // Acquire: the closed bit as of now. All claims before it are published, for this is a turn.
                let tail = self.state.tail.word.load(Ordering::Acquire);
                return Err(if tail & CLOSED != 0 { PopError::Closed } else { PopError::Empty });
            };
            let taken = lanes.take(node);
            // AcqRel: pushers that read the new head see what came before. The word carries the announcement of waiting
            // pushers, so it cannot be missed.
            let head = self.state.head.fetch_add(ONE, Ordering::AcqRel) + ONE;
            Ok((head, taken, verdict))
        })?;
        self.state.popped(head);
        Ok((item, times, verdict))
    }
}

/// Why a push claimed nothing.
enum Stop {
    /// By the bits of this tail.
    Marked(u64),
    Full,
}

/// Where the item of a push goes that found no room.
enum Room<T> {
    There,
    /// In place of this one.
    Of(T),
    /// Nowhere: all that wait are more urgent.
    NotForThis,
}

impl<T> Lanes<T> {
    /// The lane of the next pop, if there is an item: the most urgent, and each twentieth time one of the others in
    /// turn, the least urgent first, or the least urgent that has an item.
    fn lane_to_serve(&self) -> Option<usize> {
        let has_item = |lane: &usize| self.lanes[*lane].oldest != NONE;
        let lower = self.lanes.len() as u64 - 1;
        if lower > 0 && self.served % FLOOR == FLOOR - 1 {
            let turn = (lower - (self.served / FLOOR) % lower) as usize;
            return Some(turn).filter(has_item).or_else(|| (0..self.lanes.len()).rev().find(has_item));
        }
        (0..self.lanes.len()).find(has_item)
    }

    /// Takes the oldest of the least urgent lane out, unless that is more urgent than `lane`.
    fn make_room(&mut self, lane: usize) -> Room<T> {
        let least = (0..self.lanes.len()).rev().find(|lane| self.lanes[*lane].oldest != NONE);
        match least {
            Some(least) if least >= lane => Room::Of(self.take(self.lanes[least].oldest).0),
            _ => Room::NotForThis,
        }
    }

    /// Puts an item in as the newest of its lane. It comes back without an empty node, of which there are as many as
    /// claims below the capacity.
    fn put(&mut self, order: u64, item: T, times: Times, lane: usize) -> Option<T> {
        let at = self.empty;
        let Some(node) = self.nodes.get_mut(at as usize) else { return Some(item) };
        self.empty = node.newer;
        node.item = MaybeUninit::new(item);
        (node.times, node.lane) = (times, lane as u8);
        // Release: the item is in before the node says so, also to a child of fork.
        node.order.store(order, Ordering::Release);
        self.append(at, lane);
        None
    }

    /// Makes a node the newest of its lane.
    fn append(&mut self, at: u32, lane: usize) {
        let before = std::mem::replace(&mut self.lanes[lane].newest, at);
        match self.nodes.get_mut(before as usize) {
            Some(before) => before.newer = at,
            None => self.lanes[lane].oldest = at,
        }
        let node = &mut self.nodes[at as usize];
        (node.older, node.newer) = (before, NONE);
    }

    /// Takes an item out of its node, which must hold one.
    fn take(&mut self, at: u32) -> (T, Times) {
        let node = &mut self.nodes[at as usize];
        // Relaxed: in a turn.
        assert!(node.order.load(Ordering::Relaxed) != 0, "a linked node holds an item");
        // SAFETY: the node says that it holds an item, and says so no more below, before anybody else looks.
        let item = unsafe { node.item.assume_init_read() };
        // Release: not before the item is out, also to a child of fork.
        node.order.store(0, Ordering::Release);
        let (times, lane, older, newer) = (node.times, node.lane as usize, node.older, node.newer);
        node.newer = std::mem::replace(&mut self.empty, at);
        match self.nodes.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.lanes[lane].oldest = newer,
        }
        match self.nodes.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.lanes[lane].newest = older,
        }
        (item, times)
    }

    /// In a child of fork, in a turn taken over from a thread of the parent: links all nodes by what they say, and
    /// counts them. An item that the thread was moving in or out is its own alone.
    #[cold]
    fn link_anew(&mut self, state: &QueueState) {
        // Relaxed, all: nobody else of this process has been here.
        let order = |node: &Node<T>| node.order.load(Ordering::Relaxed);
        self.lanes.fill(Lane { oldest: NONE, newest: NONE });
        self.empty = NONE;
        let mut full = Vec::new();
        for at in (0..self.nodes.len() as u32).rev() {
            let node = &mut self.nodes[at as usize];
            if order(node) == 0 {
                node.newer = std::mem::replace(&mut self.empty, at);
            } else {
                full.push(at);
            }
        }
        full.sort_unstable_by_key(|at| order(&self.nodes[*at as usize]));
        let (head, tail) = (state.head.load(Ordering::Relaxed), state.tail.word.load(Ordering::Relaxed));
        let first = sequence(head);
        for (at, order) in full.iter().zip(first + 1..) {
            self.nodes[*at as usize].order.store(order, Ordering::Relaxed);
            self.append(*at, self.nodes[*at as usize].lane as usize);
        }
        // Whoever waited was a thread of the parent.
        state.head.store(first * ONE, Ordering::Relaxed);
        let flags = tail & (CLOSED | REJECTING);
        state.tail.word.store(((first + full.len() as u64) * ONE) | flags, Ordering::Relaxed);
    }
}

impl<T> Drop for Shelf<T> {
    fn drop(&mut self) {
        /// Goes on dropping when an item's drop panics, as `Vec` does.
        struct Rest<'a, T>(&'a Shelf<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while let Ok(item) = self.0.take_first() {
                    drop(item);
                }
            }
        }
        let rest = Rest(self);
        while let Ok(item) = rest.0.take_first() {
            drop(item);
        }
    }
}
