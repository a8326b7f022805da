//! A worker of a shop, to look at with the `tidegate` command: run some of them at once, each for so many seconds.
//!
//! ```text
//! cargo run --example shop 60 & cargo run --example shop 60 &
//! cargo run -p tidegate-cli -- top orders
//! ```

use std::error::Error;
use std::time::{Duration, Instant};
use tidegate::breaker::Outcome;
use tidegate::limit::{BucketConfig, LimiterConfig};
use tidegate::{
    Algorithm, Arena, BreakerConfig, CircuitBreaker, ConcurrencyConfig, ConcurrencyLimiter, OnConflict, RateLimiter,
    TokenBucket,
};

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(10), |said| said.parse())?;
    let arena = Arena::host("orders")?;
    let (options, conflict) = (BucketConfig::default(), OnConflict::Error);
    let everyone = "400/s".parse::<tidegate::Quota>()?.with_burst(800)?;
    let everyone = TokenBucket::in_arena(&arena, "everyone", everyone, options, conflict)?;
    let users = LimiterConfig { max_keys: 10_000, ..LimiterConfig::new(Algorithm::TokenBucket, "100/min".parse()?) };
    let users = RateLimiter::in_arena(&arena, "users", users, conflict)?;
    let payments = BreakerConfig { cooldown: Duration::from_secs(5), ..BreakerConfig::default() };
    let payments = CircuitBreaker::in_arena(&arena, "payments", payments, conflict)?;
    let database = ConcurrencyLimiter::in_arena(&arena, "database", ConcurrencyConfig::new(8), conflict)?;

    let (end, worker) = (Instant::now() + Duration::from_secs(seconds), std::process::id());
    for request in 0_u64.. {
        if Instant::now() > end {
            break;
        }
        let user = format!("user {}", (request * request + u64::from(worker)) % 300);
        if users.try_acquire(user.as_bytes(), 1)
            && everyone.try_acquire(1)
            && let Some(_connection) = database.try_enter()
        {
            // The provider of payments has a bad second of twenty.
            let outcome = if request / 300 % 20 == 7 { Outcome::Failure } else { Outcome::Success };
            if let Ok(permit) = payments.acquire() {
                payments.report(permit, outcome, None);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
