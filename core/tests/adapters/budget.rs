//! `RetryBudget` behind the vectors' vocabulary.

use std::time::Duration;
use tidegate::limit::Mode;
use tidegate::{Arena, Clock, ManualClock, OnConflict, RetryBudget, RetryBudgetConfig};
use tidegate_model::format::{Ns, Subject};
use tidegate_model::script::budget::{Answer, Config, Op};

/// A budget of the process, and one in an arena that two handles use in turns: they must never differ.
#[derive(Debug)]
pub(crate) struct CoreBudget {
    own: RetryBudget,
    shared: [RetryBudget; 2],
    clock: ManualClock,
}

impl Subject for CoreBudget {
    type Config = Config;
    type Op = Op;
    type Answer = Answer;

    fn make(config: &Config, start: u64) -> Self {
        let clock = ManualClock::new(start);
        let config = RetryBudgetConfig {
            ratio: config.ratio,
            min_per_second: config.min_per_second,
            ttl: Duration::from_nanos(config.ttl_ns.0),
            mode: Mode::of(Some(config.enabled), config.dry_run),
        };
        let arena = Arena::private("subject", 1 << 20, Clock::from(&clock)).expect("an arena");
        let open = || RetryBudget::in_arena(&arena, "it", config, OnConflict::Error).expect("sound settings");
        let own = RetryBudget::with_clock(config, Clock::from(&clock)).expect("sound settings");
        Self { own, shared: [open(), open()], clock }
    }

    fn apply(&mut self, now: u64, op: &Op) -> Answer {
        self.clock.set(now);
        self.shared.rotate_left(1);
        let (own, shared) = (answer(&self.own, op), answer(&self.shared[0], op));
        assert_eq!(own, shared, "{op:?} at {now}: in the process, and in an arena");
        own
    }
}

fn answer(budget: &RetryBudget, op: &Op) -> Answer {
    match op {
        Op::Deposit {} => {
            budget.deposit();
            Answer::Nothing {}
        }
        Op::TryWithdraw {} => Answer::Ok { ok: budget.try_withdraw() },
        Op::Balance {} => Answer::Balance { balance: budget.balance() },
        Op::RetryAfter {} => Answer::RetryAfter { retry_after_ns: Ns(budget.retry_after_ns()) },
        Op::Stats {} => {
            let stats = budget.stats();
            Answer::Stats {
                deposited: stats.deposited,
                withdrawn: stats.withdrawn,
                denied: stats.denied,
                would_deny: stats.would_deny,
            }
        }
    }
}
