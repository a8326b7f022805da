//! A provider that fails one call in ten, then all of them: retries with backoff and jitter make up for the one and,
//! held by a budget, do not multiply the other. Run several at once with `TIDEGATE_SCOPE=host:demo`, and they share the
//! budget.

use std::time::{Duration, Instant};
use tidegate::retry::{Next, draw};
use tidegate::{OnConflict, RetryBudget, RetryBudgetConfig, RetryConfig, RetryPolicy, Scope};

const CALLS: u32 = 200;

/// What stands in its way.
#[derive(Debug)]
struct Busy;

fn with_retries(
    policy: &RetryPolicy,
    budget: &RetryBudget,
    mut call: impl FnMut() -> Result<(), Busy>,
) -> Result<(), Busy> {
    budget.deposit();
    let (start, mut attempts, mut previous) = (Instant::now(), 0, 0.0);
    loop {
        attempts += 1;
        let Err(busy) = call() else { return Ok(()) };
        match policy.next(attempts, draw(), &mut previous, None, start.elapsed()) {
            // Paid before the wait: what is counted after it comes too late for all who wait now.
            Next::Wait(wait) if budget.try_withdraw() => std::thread::sleep(wait),
            _ => return Err(busy),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policy = RetryPolicy::new(RetryConfig {
        attempts: 4,
        // Short, for a demonstration.
        base: Duration::from_micros(100),
        deadline: Some(Duration::from_secs(2)),
        ..RetryConfig::default()
    })?;
    let config = RetryBudgetConfig { min_per_second: 1.0, ..RetryBudgetConfig::default() };
    let budget = match Scope::place(None, Some("provider"))? {
        Some((arena, name)) => RetryBudget::in_arena(&arena, name, config, OnConflict::Error)?,
        None => RetryBudget::new(config)?,
    };
    let mut seen = 0;
    let mut provider = |is_down: bool| {
        seen += 1;
        if is_down || seen % 10 == 0 { Err(Busy) } else { Ok(()) }
    };
    let done = (0..CALLS).filter(|_| with_retries(&policy, &budget, || provider(false)).is_ok()).count();
    (0..CALLS).for_each(|_| drop(with_retries(&policy, &budget, || provider(true))));
    println!("good times: {done} of {CALLS} done; then an outage: {seen} attempts of {} calls in all", 2 * CALLS);
    println!("{:?}", budget.stats());
    assert!(seen <= 2 * CALLS + 2 * CALLS / 5 + 20);
    Ok(())
}
