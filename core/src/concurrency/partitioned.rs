//! Calls of partitions, and what a limiter tells of them.

use super::lending::{self, Asked};
use super::wait_queue::{ADMITTED, REFUSED, WOULD_DENY};
use super::{ConcurrencyGuard, ConcurrencyLimiter, ConcurrencyPermit, Partition, Partitions};
use crate::mode::Mode;
use crate::{ConfigError, ConfigErrorKind};

/// A partition now, and its counts since the limiter was made.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PartitionStats {
    /// Its name.
    pub name: String,
    /// Its share of the limit.
    pub share: f64,
    /// The places that it is guaranteed of the limit in force.
    pub guaranteed: u32,
    /// Permits that it holds now.
    pub in_use: u32,
    /// Places beside those that are kept for it now, as calls of it have been refused: nobody else has more of what is
    /// free.
    pub called_back: u32,
    /// Calls admitted.
    pub admitted: u64,
    /// Calls that got no permit, at once or after a wait.
    pub denied: u64,
    /// Calls admitted by a dry run that would have been denied.
    pub would_deny: u64,
}

impl ConcurrencyLimiter {
    /// The partition of this name, for the calls that belong to it.
    ///
    /// Errors: there is none.
    pub fn partition(&self, name: &str) -> Result<Partition, ConfigError> {
        self.config.partitions.find(name)
    }

    /// The partition with this [number](Partition::number), for who crosses a border with numbers.
    ///
    /// Errors: there is none.
    pub fn partition_numbered(&self, number: u32) -> Result<Partition, ConfigError> {
        let count = self.config.partitions.len();
        match usize::try_from(number) {
            Ok(number) if number <= count => Ok(Partition::numbered(number)),
            _ => {
                let message = format!("{number} is the number of none; there are {count}, counted from 1 (0: none)");
                Err(ConfigError::out_of_range("partition", message))
            }
        }
    }

    /// [`try_acquire`](Self::try_acquire) for a call of `partition`: within its guarantee it is refused only while
    /// others hold what was lent to them; after that refusal what becomes free is kept for it.
    pub fn try_acquire_in(&self, partition: Partition) -> Option<ConcurrencyPermit> {
        if self.is_plain {
            return self.try_acquire();
        }
        self.try_decide(partition)
    }

    /// Word and cell of a permit for a call without a partition, of a limit that is not plain.
    #[inline(never)]
    pub(super) fn try_acquire_apart(&self) -> Option<(u64, u64)> {
        self.try_decide(Partition::default()).map(|permit| (permit.word, permit.cell))
    }

    fn try_decide(&self, partition: Partition) -> Option<ConcurrencyPermit> {
        if self.config.mode == Mode::Disabled {
            return Some(ConcurrencyPermit::default());
        }
        let shared = &self.shared;
        let asked = shared.asked();
        if let Some(permit) = shared.attempt_in(partition, Asked::Once) {
            shared.counts.add(ADMITTED, 1);
            shared.count_in(lending::ADMITTED, partition);
            return Some(shared.stamped(permit, asked));
        }
        let dry_run = self.config.mode == Mode::DryRun;
        shared.counts.add(if dry_run { WOULD_DENY } else { REFUSED }, 1);
        shared.count_in(if dry_run { lending::WOULD_DENY } else { lending::DENIED }, partition);
        shared.saturated();
        dry_run.then(ConcurrencyPermit::default)
    }

    /// [`try_enter`](Self::try_enter) for a call of `partition`.
    pub fn try_enter_in(&self, partition: Partition) -> Option<ConcurrencyGuard<'_>> {
        self.try_acquire_in(partition).map(|permit| self.guard(permit))
    }

    /// Changes the shares of its partitions, for all who share it. Calls under way keep their places; what a partition
    /// has beyond its new share is lent, and called back as ever.
    ///
    /// Thread safety: waits for others that change shares. Errors: other names than it was made with; a share outside
    /// its range, or all of them above 1 together; those of the arena's lock.
    pub fn set_shares<N: AsRef<str>>(&self, shares: impl IntoIterator<Item = (N, f64)>) -> Result<(), ConfigError> {
        let own = &self.config.partitions;
        let mut given: Vec<(N, f64)> = shares.into_iter().collect();
        // In its own order, by which calls know them.
        let place = |name: &str| own.names().position(|other| other == name);
        given.sort_by_key(|(name, _)| place(name.as_ref()).unwrap_or(usize::MAX));
        let new = Partitions::new(given)?;
        if !own.names().eq(new.names()) {
            let names = |all: &Partitions| all.names().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            let message = match own.is_empty() {
                true => "the limit was made without partitions, and stays so".to_owned(),
                false => format!("are {}, and stay those; {} are given", names(own), names(&new)),
            };
            return Err(ConfigError::new(ConfigErrorKind::Conflict, "partitions", message));
        }
        let new = new.with_priority(own.priority())?;
        if let Some(lending) = &self.shared.lending {
            let held = lending.changes.lock()?;
            lending.declare(&new);
            drop(held);
            self.shared.notify_waiters();
        }
        Ok(())
    }

    /// The shares in force.
    pub fn shares(&self) -> Vec<(String, f64)> {
        let declared = self.shared.lending.as_ref().map_or(self.config.partitions, |lending| lending.declared());
        declared.shares().map(|(name, share)| (name.to_owned(), share)).collect()
    }

    /// The partitions, in the order in which they were declared; none of a limit without.
    pub fn partition_stats(&self) -> Vec<PartitionStats> {
        let shared = &self.shared;
        let Some(lending) = &shared.lending else { return Vec::new() };
        let (limit, now, taken) = (self.limit(), self.clock.now(), shared.places.taken(shared.places.rule()));
        let stats = |(index, (name, share)): (usize, (&str, f64))| {
            let partition = Partition::numbered(index + 1);
            let in_use = taken.of[index + 1];
            let is_waited_for = |number| shared.is_waited_for_in(number);
            let (guaranteed, called_back) = lending.told(limit, partition, in_use, now, is_waited_for);
            let [admitted, denied, would_deny] =
                [lending::ADMITTED, lending::DENIED, lending::WOULD_DENY].map(|what| lending.counted(what, partition));
            let name = name.to_owned();
            PartitionStats { name, share, guaranteed, in_use, called_back, admitted, denied, would_deny }
        };
        lending.declared().shares().enumerate().map(stats).collect()
    }
}
