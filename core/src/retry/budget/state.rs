//! The word of a budget: the generic cell rate algorithm, in which deposits move it back.
//!
//! The word is the moment, in units since the budget was made, at which all that can be saved up will be there; a retry
//! moves it ahead, a call back, and what lies ahead of now is what is missing. A withdrawal that is granted leaves it
//! at most `most` ahead of its reading, and a deposit never puts it behind its reading: so of operations in a row,
//! whatever their readings between the earliest `a` and the latest `b`, `retry · withdrawals ≤ most + (b − a) + call ·
//! deposits`.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::rates::{PER_NS, Rates};
use crate::memory::{ObjectAllocator, One, PATIENCE, Watch, Zeroable};
use crate::sync::{AtomicU64, Ordering, load_for_cas};
use crate::{Clock, ConfigError};

/// How much further ahead than any withdrawal could have put it the word must be before it can be a bad reading's.
const BAD_READING: u64 = 60_000_000_000 * PER_NS;
/// Time stands still there, so that no sum overflows.
const END: u64 = 1 << 62;

/// What changes, on the heap or in an arena. In a line of its own.
#[repr(C, align(64))]
#[derive(Debug)]
struct Shared {
    word: AtomicU64,
    watch: Watch,
    _line: [AtomicU64; 6],
}

// SAFETY: atomics only.
unsafe impl Zeroable for Shared {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { word: Zeroable::blank(), watch: Zeroable::blank(), _line: Zeroable::blank() }
    }
}

#[derive(Debug)]
pub(super) struct BudgetState {
    shared: One<Shared>,
    rates: Rates,
    epoch_ns: u64,
    clock: Clock,
}

impl BudgetState {
    /// The next part of `room`: with what a new budget has, or as it stands.
    pub(super) fn in_room(
        room: &mut ObjectAllocator,
        rates: Rates,
        epoch_ns: u64,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let shared = room.one::<Shared>()?;
        if room.is_fresh() {
            // Relaxed: nobody else knows the place yet.
            shared.word.store(rates.most - rates.first, Ordering::Relaxed);
        }
        Ok(Self { shared, rates, epoch_ns, clock })
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Units since the epoch.
    #[inline]
    fn moment(&self, now_ns: u64) -> u64 {
        if self.rates.by_time { now_ns.saturating_sub(self.epoch_ns).saturating_mul(PER_NS).min(END) } else { 0 }
    }

    /// A call pays in. Where all is there already, nothing is stored.
    #[inline]
    pub(super) fn deposit(&self, now_ns: u64) {
        let (now, mut word) = (self.moment(now_ns), load_for_cas(&self.shared.word));
        for _ in 0..PATIENCE {
            if word <= now || self.rates.call == 0 {
                return;
            }
            let new = word.saturating_sub(self.rates.call).max(now);
            match self.exchange(word, new) {
                Ok(()) => return,
                Err(current) => word = current,
            }
        }
        // Too many lost races: paid in nothing, which lets less through.
    }

    /// A whole retry, or nothing.
    #[inline]
    pub(super) fn withdraw(&self, now_ns: u64) -> bool {
        let (now, mut raw) = (self.moment(now_ns), load_for_cas(&self.shared.word));
        for _ in 0..PATIENCE {
            let word = self.plausible(raw, now_ns);
            let new = word.max(now).saturating_add(self.rates.retry);
            let granted = new <= now + self.rates.most;
            if !granted && word == raw {
                return false;
            }
            match self.exchange(raw, if granted { new } else { word }) {
                Ok(()) => return granted,
                Err(current) => raw = current,
            }
        }
        false
    }

    fn exchange(&self, from: u64, to: u64) -> Result<(), u64> {
        // AcqRel: what was paid in or taken out is seen by whoever reads the word next. Acquire on failure: as
        // `load_for_cas`.
        let done = self.shared.word.compare_exchange_weak(from, to, Ordering::AcqRel, Ordering::Acquire);
        done.map(|_| ())
    }

    /// The word, or, where it was a bad reading's and that is certain by now, that of an empty budget.
    #[inline]
    fn plausible(&self, raw: u64, now_ns: u64) -> u64 {
        if raw <= self.moment(now_ns).saturating_add(self.rates.most) {
            self.shared.watch.clear();
            return raw;
        }
        self.far_ahead(raw, now_ns)
    }

    /// The clock is read again, after the word: a late thread finds the word plausible then, however late it is.
    #[cold]
    fn far_ahead(&self, raw: u64, now_ns: u64) -> u64 {
        let ns = self.clock.now().max(now_ns);
        let empty = self.moment(ns).saturating_add(self.rates.most);
        if !self.rates.by_time {
            // No reading has put it there: foreign bytes, or a larger budget of who shares it.
            return raw.min(empty);
        }
        if self.shared.watch.judge(raw <= empty.saturating_add(BAD_READING), ns) {
            self.shared.watch.clear();
            return empty.min(raw);
        }
        raw
    }

    /// Whole retries.
    pub(super) fn balance(&self, now_ns: u64) -> u64 {
        let (now, word) = (self.moment(now_ns), load_for_cas(&self.shared.word));
        self.rates.most.saturating_sub(word.saturating_sub(now)) / self.rates.retry
    }

    /// Nanoseconds until time alone has paid in a retry; `None`: it pays nothing in.
    pub(super) fn wait(&self, now_ns: u64) -> Option<u64> {
        let (now, word) = (self.moment(now_ns), load_for_cas(&self.shared.word));
        let missing = word.max(now).saturating_add(self.rates.retry).saturating_sub(now + self.rates.most);
        (self.rates.by_time || missing == 0).then(|| missing.div_ceil(PER_NS))
    }

    /// Puts any bytes into the word, as a hostile process could.
    #[cfg(all(test, not(loom)))]
    pub(super) fn scribble(&self, word: u64) {
        // Relaxed: tests only.
        self.shared.word.store(word, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::{RetryBudget, RetryBudgetConfig};
    use super::*;
    use crate::ManualClock;
    use crate::mode::Mode;

    fn budget(min_per_second: f64) -> RetryBudget {
        let config = RetryBudgetConfig { min_per_second, mode: Mode::Enforce, ..RetryBudgetConfig::default() };
        RetryBudget::with_clock(config, ManualClock::new(0).into()).expect("sound")
    }

    #[test]
    fn any_bytes_are_a_level_and_heal() {
        for min_per_second in [0.0, 10.0] {
            for bytes in [0, 1, END, END + 1, u64::MAX - 1, u64::MAX] {
                let (budget, s) = (budget(min_per_second), 1_000_000_000);
                budget.state.scribble(bytes);
                for now in [0, 70 * s, u64::MAX] {
                    budget.deposit_at(now);
                    let _ = (budget.try_withdraw_at(now), budget.balance_at(now), budget.retry_after_ns_at(now));
                }
                budget.state.scribble(bytes);
                assert!((0..70).filter(|second| budget.try_withdraw_at(second * s)).count() < 1_000);
                (0..10).for_each(|_| budget.deposit_at(70 * s));
                assert!(budget.try_withdraw_at(71 * s), "{min_per_second} {bytes}");
            }
        }
    }

    #[test]
    fn time_stands_still_at_the_end() {
        let budget = budget(10.0);
        let taken = (0..1_000).filter(|_| budget.try_withdraw_at(u64::MAX)).count();
        assert_eq!(taken, 100);
        assert_eq!((budget.balance_at(u64::MAX), budget.balance_at(0)), (0, 0));
    }

    #[test]
    fn a_full_budget_is_not_written_by_calls() {
        let budget = budget(10.0);
        budget.deposit_at(5);
        // Relaxed: one thread.
        assert_eq!(budget.state.shared.word.load(Ordering::Relaxed), 0);
    }
}
