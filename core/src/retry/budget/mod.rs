//! How many retries a dependency's callers can afford.
//!
//! | file | idea |
//! |---|---|
//! | `rates.rs` | the settings as whole units of the word |
//! | `state.rs` | the word: what is saved up, by deposits and by time |
//! | `config.rs` | settings |
//! | `arena.rs` | a budget that processes share |

#[cfg(not(loom))]
mod arena;
mod config;
#[cfg(all(test, loom))]
mod loom_tests;
mod rates;
mod state;

pub use config::{RetryBudgetConfig, SETTINGS as BUDGET_SETTINGS};

use crate::counters::Striped;
use crate::decision::NEVER;
use crate::memory::ObjectAllocator;
use crate::mode::Mode;
use crate::{Clock, ConfigError};
use rates::Rates;
use state::BudgetState;

/// Retries that the callers of one dependency can afford: each call pays in a fraction of a retry, time pays in a
/// little, and each retry takes a whole one out. When most calls fail, retries stop long before they multiply the load.
///
/// The invariant, over any span of `t` seconds, `calls` and `retries` being those within it:
///
/// ```text
/// retries <= max(1, min_per_second * ttl) + ratio * calls + min_per_second * t
/// ```
///
/// under any interleaving and any order of clock readings; a clock that steps back mints nothing. At most
/// `min_per_second · ttl` (at least one) can be saved up, and a new budget has `min_per_second · ttl`. One that a bad
/// reading put more than a minute too far ahead denies until readings have gone on for a minute behind it, and starts
/// from empty.
///
/// Source: Finagle's `RetryBudget` and tower's `TpsBudget` have the ratio, the floor and the span; here the savings are
/// one word of the generic cell rate algorithm, so that processes can share it, and no call of an earlier span can be
/// spent in this one.
///
/// Thread safety: all methods may be called from any thread at any time; no lock, no system call. A withdrawal is not
/// given back: a process that dies between it and its retry has made one retry less.
///
/// ```
/// use tidegate::retry::{RetryBudget, RetryBudgetConfig};
///
/// let config = RetryBudgetConfig { min_per_second: 0.0, ..RetryBudgetConfig::default() };
/// let budget = RetryBudget::new(config)?;
/// assert!(!budget.try_withdraw());
/// (0..5).for_each(|_| budget.deposit());
/// assert!(budget.try_withdraw(), "a fifth of five calls");
/// assert!(!budget.try_withdraw());
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct RetryBudget {
    state: BudgetState,
    counts: Striped<4>,
    config: RetryBudgetConfig,
}

/// Counts since the budget was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryBudgetStats {
    /// Calls paid in.
    pub deposited: u64,
    /// Retries paid for, without those of `would_deny`.
    pub withdrawn: u64,
    /// Retries refused.
    pub denied: u64,
    /// Retries that a dry run let through and that would have been refused.
    pub would_deny: u64,
    /// Whole retries that could be withdrawn now.
    pub balance: u64,
}

const DEPOSITED: usize = 0;
const WITHDRAWN: usize = 1;
const DENIED: usize = 2;
const WOULD_DENY: usize = 3;

impl RetryBudget {
    /// A budget on the monotonic clock.
    ///
    /// Errors: a setting outside its range.
    pub fn new(config: RetryBudgetConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, Clock::monotonic())
    }

    /// [`new`](Self::new) on `clock`.
    ///
    /// Errors: as [`new`](Self::new).
    pub fn with_clock(config: RetryBudgetConfig, clock: Clock) -> Result<Self, ConfigError> {
        let now = clock.now();
        Self::in_room(&mut ObjectAllocator::of_process(false), config, now, clock)
    }

    fn in_room(
        room: &mut ObjectAllocator,
        config: RetryBudgetConfig,
        epoch_ns: u64,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let state = BudgetState::in_room(room, Rates::of(&config), epoch_ns, clock)?;
        Ok(Self { state, counts: Striped::in_room(room)?, config })
    }

    /// A call is made: pays in its fraction of a retry. Once a call, whatever becomes of it and however often it is
    /// tried.
    #[inline]
    pub fn deposit(&self) {
        self.deposit_at(self.state.now());
    }

    /// [`deposit`](Self::deposit) at `now` nanoseconds of this budget's clock.
    pub fn deposit_at(&self, now: u64) {
        if self.config.mode != Mode::Disabled {
            self.state.deposit(now);
            self.counts.add(DEPOSITED, 1);
        }
    }

    /// Takes a whole retry out, or nothing. When the retry is decided, before the wait for it.
    #[inline]
    pub fn try_withdraw(&self) -> bool {
        self.try_withdraw_at(self.state.now())
    }

    /// [`try_withdraw`](Self::try_withdraw) at `now`.
    pub fn try_withdraw_at(&self, now: u64) -> bool {
        if self.config.mode == Mode::Disabled {
            return true;
        }
        let taken = self.state.withdraw(now);
        let lane = match (taken, self.config.mode) {
            (true, _) => WITHDRAWN,
            (false, Mode::DryRun) => WOULD_DENY,
            (false, _) => DENIED,
        };
        self.counts.add(lane, 1);
        lane != DENIED
    }

    /// Whole retries that could be withdrawn now.
    pub fn balance(&self) -> u64 {
        self.balance_at(self.state.now())
    }

    /// [`balance`](Self::balance) at `now`.
    pub fn balance_at(&self, now: u64) -> u64 {
        self.state.balance(now)
    }

    /// Nanoseconds until a retry could be withdrawn if no call paid in before; 0: now; [`NEVER`] where time pays
    /// nothing in.
    pub fn retry_after_ns(&self) -> u64 {
        self.retry_after_ns_at(self.state.now())
    }

    /// [`retry_after_ns`](Self::retry_after_ns) at `now`.
    pub fn retry_after_ns_at(&self, now: u64) -> u64 {
        if self.config.mode == Mode::Enforce { self.state.wait(now).unwrap_or(NEVER) } else { 0 }
    }

    /// What it did, and what is there.
    pub fn stats(&self) -> RetryBudgetStats {
        self.stats_at(self.state.now())
    }

    /// [`stats`](Self::stats) at `now`.
    pub fn stats_at(&self, now: u64) -> RetryBudgetStats {
        RetryBudgetStats {
            deposited: self.counts.sum(DEPOSITED),
            withdrawn: self.counts.sum(WITHDRAWN),
            denied: self.counts.sum(DENIED),
            would_deny: self.counts.sum(WOULD_DENY),
            balance: self.balance_at(now),
        }
    }

    /// Its settings.
    pub fn config(&self) -> &RetryBudgetConfig {
        &self.config
    }

    /// The clock of the plain forms.
    pub fn clock(&self) -> &Clock {
        self.state.clock()
    }
}
