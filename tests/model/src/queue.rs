//! Bounded queue with watermarks, lanes and disciplines, as a deque for each lane and two flags.

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

/// Why an item was dropped: `oldest`, `age`, `codel`, `deadline` or `closed`.
pub type Reason = &'static str;

/// What a queue does beyond first in, first out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether overload drops what waited longer than twice the target.
    pub codel: bool,
    /// Whether overload serves the newest first.
    pub lifo: bool,
    /// The tolerated delay.
    pub target: u64,
    /// How often overload is judged.
    pub interval: u64,
    /// Lanes, the most urgent first.
    pub lanes: usize,
    /// What waited longer is dropped.
    pub max_age: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self { codel: false, lifo: false, target: 5_000_000, interval: 100_000_000, lanes: 1, max_age: u64::MAX }
    }
}

/// folly's Codel, step by step as `Codel.cpp` has it.
#[derive(Clone, Debug)]
struct Codel {
    min_delay: u64,
    interval_end: u64,
    reset: bool,
    overloaded: bool,
    /// The least delay of the interval that ended last.
    last: Option<u64>,
}

impl Codel {
    fn overdue(&mut self, rules: &Rules, delay: u64, now: u64) -> bool {
        // folly's clock never steps back; an end that no reading of this clock can have set is over.
        let is_over = now > self.interval_end || self.interval_end > now + rules.interval;
        if is_over && !self.reset {
            self.reset = true;
            self.interval_end = now + rules.interval;
            self.overloaded = self.min_delay > rules.target;
            self.last = Some(self.min_delay);
        }
        if self.reset {
            self.reset = false;
            self.min_delay = delay;
            return false;
        }
        self.min_delay = self.min_delay.min(delay);
        self.overloaded && delay > 2 * rules.target
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    item: i64,
    pushed: u64,
    due: u64,
}

/// A queue that one thread uses.
#[derive(Clone, Debug)]
pub struct Queue {
    lanes: Vec<VecDeque<Entry>>,
    codels: Vec<Codel>,
    rules: Rules,
    capacity: usize,
    /// Depths at which pushes stop, and below which they go on; none when the high watermark is the capacity.
    watermarks: Option<(usize, usize)>,
    drop_oldest: bool,
    rejecting: bool,
    closed: bool,
    popped: u64,
    served: u64,
    dropped: Vec<Reason>,
}

impl Queue {
    /// An empty queue; watermarks are fractions of the capacity.
    pub fn new(capacity: usize, high: f64, low: f64, drop_oldest: bool, rules: Rules) -> Self {
        // A hair below, so that 0.55 × 100 = 55.00000000000001 means 55.
        let depth = |fraction: f64| ((fraction * capacity as f64 - 1e-9).ceil() as usize).max(1);
        let watermarks = (high < 1.0).then(|| (depth(high), depth(low)));
        let codel = Codel { min_delay: 0, interval_end: 0, reset: true, overloaded: false, last: None };
        Self {
            lanes: vec![VecDeque::new(); rules.lanes],
            codels: vec![codel; rules.lanes],
            rules,
            capacity,
            watermarks,
            drop_oldest,
            rejecting: false,
            closed: false,
            popped: 0,
            served: 0,
            dropped: Vec::new(),
        }
    }

    /// Puts an item in at `now`; it is of use until `due`.
    pub fn try_push(&mut self, now: u64, item: i64, lane: usize, due: u64) -> Push {
        if self.closed {
            return Push::Closed;
        }
        let full = self.depth() == self.capacity;
        if !self.drop_oldest && (full || self.rejecting) {
            return Push::Full;
        }
        let mut dropped = None;
        if full {
            self.dropped.push("oldest");
            let least = self.lanes.iter().rposition(|lane| !lane.is_empty()).expect("it is full");
            if least < lane {
                // Nothing makes room for what is less urgent.
                return Push::Taken(Some(item));
            }
            dropped = self.lanes[least].pop_front().map(|oldest| oldest.item);
        }
        self.lanes[lane].push_back(Entry { item, pushed: now, due });
        if self.watermarks.is_some_and(|(high, _)| self.depth() >= high) {
            self.rejecting = true;
        }
        Push::Taken(dropped)
    }

    /// Takes the next item at `now`; what is dropped before it goes to `drops`.
    pub fn try_pop(&mut self, now: u64, drops: &mut Vec<(i64, Reason)>) -> Pop {
        while let Some(lane) = self.next_lane() {
            let oldest = self.lanes[lane][0];
            let mut verdict = self.expired(&oldest, now);
            let delay = now.saturating_sub(oldest.pushed);
            if self.rules.codel && self.codels[lane].overdue(&self.rules, delay, now) {
                verdict = verdict.or(Some("codel"));
            }
            let newest_first = verdict.is_none() && self.rules.lifo && self.codels[lane].overloaded;
            let entry = if newest_first {
                let newest = self.lanes[lane].pop_back().expect("it has one");
                verdict = self.expired(&newest, now);
                newest
            } else {
                self.lanes[lane].pop_front().expect("it has one")
            };
            self.left();
            match verdict {
                Some(reason) => {
                    self.dropped.push(reason);
                    drops.push((entry.item, reason));
                }
                None => {
                    self.popped += 1;
                    self.served += 1;
                    return Pop::Item(entry.item, now.saturating_sub(entry.pushed));
                }
            }
        }
        if self.closed { Pop::Closed } else { Pop::Empty }
    }

    /// The most urgent lane that has an item. The pops 19, 39, 59, … (from 0) are each of a lower lane, from the last
    /// up and round again; if that is empty, of the last that is not.
    fn next_lane(&self) -> Option<usize> {
        let has_item = |lane: &usize| !self.lanes[*lane].is_empty();
        let lowest = self.lanes.len() - 1;
        if lowest > 0 && self.served % 20 == 19 {
            let round: Vec<usize> = (1..=lowest).rev().collect();
            let turn = round[(self.served / 20) as usize % round.len()];
            if has_item(&turn) {
                return Some(turn);
            }
            return (0..=lowest).rev().find(has_item);
        }
        (0..=lowest).find(has_item)
    }

    fn expired(&self, entry: &Entry, now: u64) -> Option<Reason> {
        if now > entry.due {
            Some("deadline")
        } else if now.saturating_sub(entry.pushed) > self.rules.max_age {
            Some("age")
        } else {
            None
        }
    }

    /// After an item left.
    fn left(&mut self) {
        if self.watermarks.is_some_and(|(_, low)| self.depth() < low) {
            self.rejecting = false;
        }
    }

    /// Items held.
    pub fn depth(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    /// Whether a push would find room and no watermark in its way.
    pub fn is_accepting(&self) -> bool {
        !self.closed && !self.rejecting && self.depth() < self.capacity
    }

    /// The least delay of the interval that ended last, of the lane where it is the longest, and whether a lane is
    /// overloaded. Nobody waits in an empty queue.
    pub fn load(&self) -> (Option<u64>, bool) {
        let least = self.codels.iter().filter_map(|codel| codel.last).max();
        if least.is_some() && self.depth() == 0 {
            return (Some(0), false);
        }
        (least, self.codels.iter().any(|codel| codel.overloaded))
    }

    /// Items popped or drained, and items dropped for a reason.
    pub fn counts(&self, reason: Reason) -> (u64, u64) {
        (self.popped, self.dropped.iter().filter(|dropped| **dropped == reason).count() as u64)
    }

    /// No more pushes.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Closes, and gives everything out, lane by lane, oldest first.
    pub fn drain(&mut self) -> Vec<i64> {
        let items = self.rest();
        self.popped += items.len() as u64;
        items
    }

    /// Closes, and drops everything, lane by lane, oldest first.
    pub fn discard(&mut self) -> Vec<i64> {
        let items = self.rest();
        self.dropped.extend(items.iter().map(|_| "closed"));
        items
    }

    fn rest(&mut self) -> Vec<i64> {
        self.closed = true;
        self.lanes.iter_mut().flat_map(|lane| lane.drain(..)).map(|entry| entry.item).collect()
    }
}
