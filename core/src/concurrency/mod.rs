//! Concurrency limit: how many calls may be under way at once.
//!
//! | file | idea |
//! |---|---|
//! | `permit_slots.rs` | one word a permit: taken and given back by one exchange; the limit |
//! | `partition.rs`, `lending.rs` | shares of a limit, as they are declared; lent and called back |
//! | `partitioned.rs` | calls of partitions |
//! | `adaptive/` | a limit that follows what calls report of themselves |
//! | `hint.rs` | where a thread looks first |
//! | `owners.rs` | whose permits are whose, and who is gone |
//! | `wait_queue.rs` | who waits, and who is served |
//! | `turns.rs` | whose turn it is among the lines of all processes |
//! | `listener.rs`, `waiting.rs` | one who waits, and the forms that do |
//! | `two_steps.rs` | a permit that is held before it is counted |

mod adaptive;
#[cfg(not(loom))]
mod arena;
mod config;
mod hint;
mod lending;
mod listener;
#[cfg(all(test, loom))]
mod loom_tests;
mod owners;
mod partition;
mod partitioned;
mod permit;
mod permit_slots;
mod stats;
mod turns;
mod two_steps;
mod wait_queue;
mod waiting;

pub use adaptive::{AdaptiveAlgorithm, AdaptiveConfig, Outcome, SETTINGS as ADAPTIVE_SETTINGS};
pub use config::{ConcurrencyConfig, SETTINGS, WaitOrder};
pub use listener::ConcurrencyListener;
pub use partition::{Partition, Partitions};
pub use partitioned::PartitionStats;
pub use permit::{ConcurrencyGuard, ConcurrencyPermit};
pub use stats::{ConcurrencyHolder, ConcurrencyStats};

use crate::memory::ObjectAllocator;
use crate::mode::Mode;
use crate::sync::Arc;
use crate::{Clock, ConfigError};
use std::time::Duration;
use wait_queue::{ADMITTED, REFUSED, Shared, WOULD_DENY};

/// At most so many calls at once: each holds a permit while it runs.
///
/// A permit is a word that names its owner. In a named scope, what a process held when it died comes back at the first
/// denial 10 ms or more after its death. A child of fork owns nothing of its parent's permits and has none of its
/// waiters; its copy of a limiter without a scope counts none of them from the first denial on.
///
/// Thread safety: all methods may be called from any thread at any time. Decisions take no lock; waiting forms do among
/// those who wait.
///
/// Source: a counting semaphore (E. W. Dijkstra, EWD 74), its count spread over words that name their owner.
///
/// ```
/// use tidegate::ConcurrencyLimiter;
///
/// let database = ConcurrencyLimiter::new(2)?;
/// let one = database.try_enter().expect("a first");
/// let two = database.try_enter().expect("a second");
/// assert!(database.try_enter().is_none());
/// drop(one);
/// let three = database.try_enter().expect("a place is free again");
/// assert_eq!(database.in_use(), 2);
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct ConcurrencyLimiter {
    shared: Arc<Shared>,
    config: ConcurrencyConfig,
    /// Whether a call without a partition is one like any other: the limit decides, and has no partitions.
    is_plain: bool,
    clock: Clock,
}

impl ConcurrencyLimiter {
    /// At most `limit` at once (1 to 4,096).
    ///
    /// Errors: `limit` outside its range.
    pub fn new(limit: u32) -> Result<Self, ConfigError> {
        Self::with_config(ConcurrencyConfig::new(limit), Clock::monotonic())
    }

    /// A limit that follows what calls report of themselves; see [`AdaptiveConfig`] and [`report`](Self::report).
    ///
    /// Errors: a setting outside its range; limits that contradict each other.
    ///
    /// ```
    /// use tidegate::ConcurrencyLimiter;
    /// use tidegate::concurrency::AdaptiveConfig;
    ///
    /// let service = ConcurrencyLimiter::adaptive(AdaptiveConfig::default())?;
    /// let permit = service.try_enter().expect("20 to begin with");
    /// assert!(permit.success());
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn adaptive(config: AdaptiveConfig) -> Result<Self, ConfigError> {
        Self::with_config(ConcurrencyConfig::adaptive(config), Clock::monotonic())
    }

    /// As `config` says. By `clock` it measures how long calls wait; who does not wait reads none.
    ///
    /// Errors: as [`new`](Self::new); `limit` above `max_limit`.
    pub fn with_config(config: ConcurrencyConfig, clock: Clock) -> Result<Self, ConfigError> {
        config.check()?;
        Self::in_room(&mut ObjectAllocator::of_process(false), config, clock)
    }

    fn in_room(room: &mut ObjectAllocator, config: ConcurrencyConfig, clock: Clock) -> Result<Self, ConfigError> {
        let shared = Arc::new(Shared::in_room(room, &config, clock.clone())?);
        let partitions = shared.lending.as_ref().map_or(config.partitions, |lending| lending.partitions);
        let is_plain = config.mode != Mode::Disabled && partitions.is_empty();
        Ok(Self { shared, config: ConcurrencyConfig { partitions, ..config }, is_plain, clock })
    }

    /// A permit, or `None` when the limit is reached. Give it back with [`release`](Self::release).
    // Always: a permit in memory is written in halves and read as one, which waits for the exchange before it.
    #[inline(always)]
    pub fn try_acquire(&self) -> Option<ConcurrencyPermit> {
        if !self.is_plain {
            // In parts, as everything that comes from out of line.
            return self.try_acquire_apart().map(|(word, cell)| ConcurrencyPermit { word, cell });
        }
        let asked = self.shared.asked();
        match self.shared.attempt() {
            Some(permit) => {
                self.count_admitted();
                Some(self.shared.stamped(permit, asked))
            }
            None => self.denied().then(ConcurrencyPermit::default),
        }
    }

    #[inline(always)]
    fn count_admitted(&self) {
        self.shared.counts.add(ADMITTED, 1);
    }

    /// Whether it is let through all the same: a dry run.
    #[inline(never)]
    fn denied(&self) -> bool {
        let dry_run = self.config.mode == Mode::DryRun;
        self.shared.counts.add(if dry_run { WOULD_DENY } else { REFUSED }, 1);
        self.shared.saturated();
        dry_run
    }

    /// A permit as a guard that gives itself back when dropped.
    pub fn try_enter(&self) -> Option<ConcurrencyGuard<'_>> {
        self.try_acquire().map(|permit| self.guard(permit))
    }

    /// A guard that gives `permit` back when dropped.
    pub fn guard(&self, permit: ConcurrencyPermit) -> ConcurrencyGuard<'_> {
        ConcurrencyGuard { limiter: self, permit }
    }

    /// Gives a permit back. False, and nothing happens: it was given back before, taken back from a dead process,
    /// belongs to another process (the parent of a fork), or is nobody's.
    #[inline]
    pub fn release(&self, permit: ConcurrencyPermit) -> bool {
        self.shared.give_back(permit)
    }

    /// Gives a permit back and says what became of the call, for an adaptive limit: the latency from asking for the
    /// permit to now counts, or does not. False, as of [`release`](Self::release), and nothing counts: so a permit
    /// counts once. A plain release says [`Outcome::Ignore`]; so does a permit that nobody gives back.
    ///
    /// A latency that a clock has made negative counts for nothing. Of more than some thousand calls in a window one in
    /// 2, 4, 8 … is measured.
    #[inline]
    pub fn report(&self, permit: ConcurrencyPermit, outcome: Outcome) -> bool {
        let given = self.release(permit);
        if given && permit.stamp() != 0 {
            self.shared.report(permit, outcome, None);
        }
        given
    }

    /// [`report`](Self::report) with the latency as the caller has measured it.
    pub fn report_latency(&self, permit: ConcurrencyPermit, outcome: Outcome, latency: Duration) -> bool {
        let given = self.release(permit);
        if given {
            let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
            self.shared.report(permit, outcome, Some(ns));
        }
        given
    }

    /// What holds an adaptive limit where it is, and what partitions have of a limit, a line for each thing; nothing of
    /// a fixed one without partitions.
    pub fn explain(&self) -> Vec<String> {
        let mut lines = self.shared.estimate.as_ref().map(adaptive::Estimate::explain).unwrap_or_default();
        lines.extend(self.partition_stats().iter().map(|of| {
            let PartitionStats { name, share, guaranteed, in_use, called_back, .. } = of;
            format!("partition {name:?}: {share} is {guaranteed} places, {in_use} in use, {called_back} called back")
        }));
        lines
    }

    /// The limit in force.
    pub fn limit(&self) -> u32 {
        self.shared.places.limit()
    }

    /// Changes the limit, at most to the config's `max_limit`. Permits above a lower one stay until they are given
    /// back, and nobody is admitted before fewer than the new limit are held.
    ///
    /// Errors: `limit` outside 1 to `max_limit`; the limit is adaptive.
    pub fn set_limit(&self, limit: u32) -> Result<(), ConfigError> {
        self.config.check_limit(limit)?;
        self.change_limit(limit);
        Ok(())
    }

    fn change_limit(&self, limit: u32) {
        self.shared.places.set_limit(limit);
        self.shared.notify_waiters();
    }

    /// Off, or only watching.
    pub fn mode(&self) -> Mode {
        self.config.mode
    }

    /// Its settings as made; [`limit`](Self::limit) is the limit in force.
    pub fn config(&self) -> &ConcurrencyConfig {
        &self.config
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}
