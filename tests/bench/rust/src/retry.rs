//! Retry budget beside tower's `TpsBudget`: a call pays in, a retry takes out.

use crate::harness::{Contender, Plan, Row};
use std::hint::black_box;
use std::time::Duration;
use tidegate::limit::Mode;
use tidegate::{Arena, Clock, OnConflict, RetryBudget, RetryBudgetConfig};
use tower::retry::budget::{Budget, TpsBudget};

pub fn rows(plan: &Plan) {
    for (work, threads) in
        [("retry budget, deposit + withdraw, 1 thread", 1), ("retry budget, deposit + withdraw, 2 threads", 2)]
    {
        plan.measure(Row {
            work,
            threads,
            floor: None,
            targets: &[("tower TpsBudget", 1.0)],
            contenders: vec![tidegate(), tower(), in_arena()],
        });
    }
}

/// A call pays for a whole retry, so that none is refused.
fn config() -> RetryBudgetConfig {
    RetryBudgetConfig { ratio: 1.0, mode: Mode::Enforce, ..RetryBudgetConfig::default() }
}

fn paid(budget: RetryBudget) -> impl Fn() -> bool + Send + Sync {
    move || {
        black_box(&budget).deposit();
        black_box(&budget).try_withdraw()
    }
}

fn tidegate() -> Contender {
    Contender::new("tidegate", || paid(RetryBudget::new(config()).expect("valid settings")))
}

fn in_arena() -> Contender {
    Contender::new("tidegate in an arena", || {
        let arena = Arena::private("bench", 1 << 20, Clock::monotonic()).expect("an arena");
        paid(RetryBudget::in_arena(&arena, "bank", config(), OnConflict::Error).expect("valid settings"))
    })
}

fn tower() -> Contender {
    Contender::new("tower TpsBudget", || {
        let budget = TpsBudget::new(Duration::from_secs(10), 10, 1.0);
        move || {
            black_box(&budget).deposit();
            black_box(&budget).withdraw()
        }
    })
}
