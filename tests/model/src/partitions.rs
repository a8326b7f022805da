//! A concurrency limit with partitions, as a list of permits and what each partition demands.

use crate::concurrency::Permit;

/// Times are counted in so many nanoseconds.
const UNIT: u64 = 1 << 14;
/// A demand fades within so many of them.
const SPAN: u64 = 5_000_000_000 / UNIT;

/// What stands for one partition.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Billionths of the limit.
    pub share: u64,
    /// 0 comes first.
    pub rank: usize,
    /// When it was last refused, and how many places it has been in need of.
    demand: (u64, u64),
    /// Counts.
    pub admitted: u64,
    /// Counts.
    pub denied: u64,
}

/// A limiter that one thread uses.
#[derive(Clone, Debug)]
pub struct Limiter {
    limit: u64,
    /// The rank of calls without a partition.
    last: usize,
    partitions: Vec<Partition>,
    held: Vec<(Permit, Option<usize>)>,
    number: Permit,
}

impl Limiter {
    /// At most `limit` at once; `shares` of it, and the partitions that come first.
    pub fn new(limit: u64, shares: &[f64], priority: &[usize]) -> Self {
        let rank = |index| priority.iter().position(|&first| first == index).unwrap_or(priority.len());
        let partition = |(index, share): (usize, &f64)| {
            let share = (share * 1e9).round() as u64;
            Partition { share, rank: rank(index), demand: (0, 0), admitted: 0, denied: 0 }
        };
        let partitions = shares.iter().enumerate().map(partition).collect();
        Self { limit, last: priority.len(), partitions, held: Vec::new(), number: 0 }
    }

    /// Places that a partition is guaranteed.
    pub fn guaranteed(&self, of: usize) -> u64 {
        (self.partitions[of].share + 1) * self.limit / 1_000_000_000
    }

    /// Places that it has.
    pub fn has(&self, of: usize) -> u64 {
        self.held.iter().filter(|(_, whose)| *whose == Some(of)).count() as u64
    }

    /// What a partition may demand of calls with that rank.
    fn may_demand(&self, of: usize, rank: usize) -> u64 {
        if self.partitions[of].rank < rank { self.limit } else { self.guaranteed(of) }
    }

    /// What is left of its demand.
    fn demand(&self, of: usize, now: u64) -> u64 {
        let (told, places) = self.partitions[of].demand;
        let age = (now / UNIT).abs_diff(told);
        if age >= SPAN { 0 } else { places - places * age / SPAN }
    }

    /// Places kept for a partition beside those that it has.
    pub fn called_back(&self, of: usize, now: u64) -> u64 {
        self.demand(of, now).min(self.may_demand(of, self.last)).saturating_sub(self.has(of))
    }

    /// Whether a call would get a permit.
    pub fn has_room_for(&self, of: Option<usize>, now: u64) -> bool {
        let free = self.limit.saturating_sub(self.held.len() as u64);
        let rank = of.map_or(self.last, |of| self.partitions[of].rank);
        let kept =
            |other: usize| self.demand(other, now).min(self.may_demand(other, rank)).saturating_sub(self.has(other));
        let kept: u64 = (0..self.partitions.len()).filter(|&other| Some(other) != of).map(kept).sum();
        let is_owner = of.is_some_and(|of| self.has(of) < self.guaranteed(of));
        free > 0 && (is_owner || free > kept)
    }

    /// A permit or none.
    pub fn try_acquire(&mut self, of: Option<usize>, now: u64) -> Option<Permit> {
        if self.has_room_for(of, now) {
            self.number += 1;
            self.held.push((self.number, of));
            of.into_iter().for_each(|of| self.partitions[of].admitted += 1);
            return Some(self.number);
        }
        if let Some(of) = of {
            self.partitions[of].denied += 1;
            let most = self.may_demand(of, self.last);
            if self.has(of) < most {
                let places = (self.demand(of, now).max(self.has(of)) + 1).min(most);
                self.partitions[of].demand = (now / UNIT, places);
            }
        }
        None
    }

    /// Another limit.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Whether it was held.
    pub fn release(&mut self, permit: Permit) -> bool {
        let before = self.held.len();
        self.held.retain(|(held, _)| *held != permit);
        self.held.len() < before
    }

    /// The partitions.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Permits held.
    pub fn in_use(&self) -> usize {
        self.held.len()
    }
}
