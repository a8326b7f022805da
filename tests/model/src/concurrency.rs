//! Concurrency limit, as a set of permits and a line of those who wait for one.

use std::collections::{BTreeSet, HashSet, VecDeque};

/// A permit: the number of the admission that gave it, 0 for nobody's.
pub type Permit = u64;

/// Who waits, by the number of its arrival.
pub type Waiter = u64;

/// What it does with its decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Decides.
    Enforce,
    /// Refuses nothing.
    DryRun,
    /// Touches nothing.
    Disabled,
}

/// Who of those that wait is served first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Who has waited longest.
    #[default]
    Fifo,
    /// Who came last.
    Lifo,
}

/// Counts since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the format's README documents them")]
pub struct Counts {
    pub admitted: u64,
    pub denied: u64,
    pub would_deny: u64,
}

/// A limiter that one thread uses.
#[derive(Clone, Debug)]
pub struct Limiter {
    limit: usize,
    /// How many may wait.
    max_waiting: usize,
    order: Order,
    mode: Mode,
    held: HashSet<Permit>,
    /// In the order of arrival.
    line: VecDeque<Waiter>,
    /// Waiters that have been given a permit and have not taken it.
    granted: BTreeSet<(Waiter, Permit)>,
    number: u64,
    counts: Counts,
}

impl Limiter {
    /// At most `limit` at once.
    pub fn new(limit: usize, mode: Mode) -> Self {
        Self {
            limit,
            max_waiting: usize::MAX,
            order: Order::Fifo,
            mode,
            held: HashSet::new(),
            line: VecDeque::new(),
            granted: BTreeSet::new(),
            number: 0,
            counts: Counts::default(),
        }
    }

    /// At most so many wait.
    pub fn with_max_waiting(self, max_waiting: usize) -> Self {
        Self { max_waiting, ..self }
    }

    /// They are served in that order.
    pub fn with_order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn admit(&mut self) -> Option<Permit> {
        (self.held.len() < self.limit).then(|| {
            let permit = self.next();
            self.held.insert(permit);
            permit
        })
    }

    /// A permit or none.
    pub fn try_acquire(&mut self) -> Option<Permit> {
        if self.mode == Mode::Disabled {
            return Some(0);
        }
        let permit = self.admit();
        match (permit, self.mode) {
            (Some(_), _) => self.counts.admitted += 1,
            (None, Mode::DryRun) => {
                self.counts.would_deny += 1;
                return Some(0);
            }
            (None, _) => self.counts.denied += 1,
        }
        permit
    }

    /// Whether it was held.
    pub fn release(&mut self, permit: Permit) -> bool {
        let held = self.held.remove(&permit);
        self.serve();
        held
    }

    fn serve(&mut self) {
        while self.held.len() < self.limit {
            let next = match self.order {
                Order::Fifo => self.line.pop_front(),
                Order::Lifo => self.line.pop_back(),
            };
            let Some(waiter) = next else { return };
            let permit = self.admit().expect("there is room");
            self.granted.insert((waiter, permit));
        }
    }

    /// Joins the line (in the mode that decides); none: as many wait as may.
    pub fn wait(&mut self) -> Option<Waiter> {
        if self.line.len() >= self.max_waiting {
            self.counts.denied += 1;
            return None;
        }
        let waiter = self.next();
        self.line.push_back(waiter);
        self.serve();
        Some(waiter)
    }

    /// The permit that the waiter was given, once.
    pub fn take(&mut self, waiter: Waiter) -> Option<Permit> {
        let &(_, permit) = self.granted.iter().find(|(who, _)| *who == waiter)?;
        self.granted.remove(&(waiter, permit));
        self.counts.admitted += 1;
        Some(permit)
    }

    /// A waiter that has taken nothing gives up.
    pub fn give_up(&mut self, waiter: Waiter) {
        self.counts.denied += 1;
        self.line.retain(|&who| who != waiter);
        if let Some(&(_, permit)) = self.granted.iter().find(|(who, _)| *who == waiter) {
            self.granted.remove(&(waiter, permit));
            self.release(permit);
        }
    }

    /// Another limit; what is held stays.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.serve();
    }

    /// Whether no permit is free.
    pub fn is_full(&self) -> bool {
        self.held.len() >= self.limit
    }

    /// The limit.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Permits held.
    pub fn in_use(&self) -> usize {
        self.held.len()
    }

    /// Counts.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
