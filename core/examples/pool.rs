//! A database that takes three queries at once, and eight threads that want more. Run it several times at once with
//! `TIDEGATE_SCOPE=host:demo`, and the three are shared by all of them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;
use tidegate::{Clock, ConcurrencyConfig, ConcurrencyLimiter, OnConflict, Scope};

const LIMIT: u32 = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = ConcurrencyConfig::new(LIMIT);
    let database = match Scope::place(None, Some("database"))? {
        Some((arena, name)) => ConcurrencyLimiter::in_arena(&arena, name, config, OnConflict::Error)?,
        None => ConcurrencyLimiter::with_config(config, Clock::monotonic())?,
    };
    let (inside, most, done, gave_up) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let Some(permit) = database.acquire(Some(Duration::from_millis(50))) else {
                        // Relaxed, here and below: they are only counted.
                        gave_up.fetch_add(1, Ordering::Relaxed);
                        continue;
                    };
                    let _held = database.guard(permit);
                    most.fetch_max(inside.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(10));
                    inside.fetch_sub(1, Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let [most, done, gave_up] = [most, done, gave_up].map(AtomicU32::into_inner);
    println!("{done} queries, at most {most} of this process at once; {gave_up} gave up after 50 ms");
    assert!(most <= LIMIT);
    Ok(())
}
