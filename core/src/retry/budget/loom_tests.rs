//! Every interleaving of a few threads on one budget.

use super::*;
use crate::ManualClock;
use loom::sync::Arc;
use loom::thread;

fn explore(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

/// A call pays for half a retry, and one can be saved up.
fn budget() -> Arc<RetryBudget> {
    let config = RetryBudgetConfig { ratio: 0.5, min_per_second: 0.0, mode: Mode::Enforce, ..Default::default() };
    Arc::new(RetryBudget::with_clock(config, ManualClock::new(0).into()).unwrap())
}

#[test]
fn loom_what_is_paid_in_can_be_taken_out_once() {
    explore(|| {
        let budget = budget();
        budget.deposit_at(0);
        let payer = {
            let budget = budget.clone();
            thread::spawn(move || budget.deposit_at(0))
        };
        let other = {
            let budget = budget.clone();
            thread::spawn(move || u32::from(budget.try_withdraw_at(0)))
        };
        let mut taken = u32::from(budget.try_withdraw_at(0));
        payer.join().unwrap();
        taken += other.join().unwrap();
        // Two halves: one retry, now or after all.
        taken += u32::from(budget.try_withdraw_at(0));
        assert_eq!(taken, 1);
    });
}

#[test]
fn loom_a_full_budget_gives_what_it_holds_and_what_came_after() {
    explore(|| {
        let budget = budget();
        (0..2).for_each(|_| budget.deposit_at(0));
        let payer = {
            let budget = budget.clone();
            thread::spawn(move || (0..2).for_each(|_| budget.deposit_at(0)))
        };
        assert!(budget.try_withdraw_at(0));
        payer.join().unwrap();
        // What was paid in while all was there is gone; what came after the withdrawal is not, and is no more than one.
        (0..2).for_each(|_| budget.deposit_at(0));
        assert!(budget.try_withdraw_at(0) && !budget.try_withdraw_at(0));
    });
}
