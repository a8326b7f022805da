//! Which items are handed out, and which are dropped as they come to the front.

use super::codel::Codel;
use super::config::{Discipline, QueueConfig};
use crossbeam_utils::CachePadded;

/// Why an accepted item was not handed out. What is dropped goes to its owner all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum DropReason {
    /// It had to make room for a newer one, as `on_full` says.
    Oldest = 0,
    /// It waited longer than `max_age`.
    Age = 1,
    /// The queue is overloaded, and it waited longer than twice the target.
    Codel = 2,
    /// Its own deadline had passed.
    Deadline = 3,
    /// The queue was closed by `discard`.
    Closed = 4,
}

impl DropReason {
    /// Each, by its number.
    pub const ALL: [Self; 5] = [Self::Oldest, Self::Age, Self::Codel, Self::Deadline, Self::Closed];

    /// Its name in every binding.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oldest => "oldest",
            Self::Age => "age",
            Self::Codel => "codel",
            Self::Deadline => "deadline",
            Self::Closed => "closed",
        }
    }
}

/// No deadline.
pub(super) const NEVER: u64 = u64::MAX;

/// When an item came in, and until when it is of use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) pushed: u64,
    pub(super) due: u64,
}

/// The rules of a queue.
#[derive(Debug)]
pub(super) struct Judge {
    /// One a lane; none without a discipline.
    codels: Box<[CachePadded<Codel>]>,
    max_age: u64,
    newest_first: bool,
}

impl Judge {
    pub(super) fn new(config: &QueueConfig) -> Self {
        let lanes = if config.discipline == Discipline::Fifo { 0 } else { config.lanes };
        Self {
            codels: (0..lanes).map(|_| CachePadded::new(Codel::new(config))).collect(),
            max_age: config.max_age.map_or(u64::MAX, |age| age.as_nanos() as u64),
            newest_first: config.discipline == Discipline::AdaptiveLifo,
        }
    }

    /// Whether every item is judged by its age.
    pub(super) fn is_by_age(&self) -> bool {
        self.max_age != u64::MAX || !self.codels.is_empty()
    }

    /// Why the oldest item of `lane` is dropped at `now`. Each look counts as a delay of the lane.
    pub(super) fn oldest(&self, lane: usize, now: u64, times: Times) -> Option<DropReason> {
        let delay = now.saturating_sub(times.pushed);
        let overdue = self.codels.get(lane).is_some_and(|codel| codel.overdue(delay, now));
        self.expired(now, times).or(overdue.then_some(DropReason::Codel))
    }

    /// Why an item is dropped at `now` whatever the others' delays.
    pub(super) fn expired(&self, now: u64, times: Times) -> Option<DropReason> {
        if now > times.due {
            return Some(DropReason::Deadline);
        }
        (now.saturating_sub(times.pushed) > self.max_age).then_some(DropReason::Age)
    }

    /// Whether the newest item of `lane` is served now.
    pub(super) fn is_newest_first(&self, lane: usize) -> bool {
        self.newest_first && self.codels[lane].is_overloaded()
    }

    /// Of the lane that is worst off: the least delay of the interval that ended last, and whether it is overloaded.
    pub(super) fn load(&self) -> (Option<u64>, bool) {
        let least = self.codels.iter().filter_map(|codel| codel.least_delay()).max();
        (least, self.codels.iter().any(|codel| codel.is_overloaded()))
    }
}
