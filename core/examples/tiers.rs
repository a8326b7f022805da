//! Free, pro and internal callers on one table, and a limit for everybody above them. Time is a `ManualClock`.
//!
//! Run: `cargo run -p tidegate --example tiers`

use std::time::Duration;
use tidegate::limit::{LimiterConfig, Tier};
use tidegate::{Algorithm, ConfigError, ManualClock, Quota, RateLimiter};

fn main() -> Result<(), ConfigError> {
    let clock = ManualClock::new(0);
    let free: Quota = "10/minute".parse()?;
    let pro: Quota = "600/minute".parse::<Quota>()?.with_burst(100)?;
    let internal: Quota = "1000/s".parse()?;

    // The table is told its fastest quota: that decides how fine its time is.
    let config = LimiterConfig { fastest: Some(internal), ..LimiterConfig::new(Algorithm::TokenBucket, free) };
    let limiter = RateLimiter::with_config(config, (&clock).into())?;
    // Made once, kept: a check costs the same with and without.
    let (pro, internal) = (limiter.tier(pro)?, limiter.tier(internal)?);

    let callers: [(&str, Option<&Tier>); 3] =
        [("free:bob", None), ("pro:ada", Some(&pro)), ("job:index", Some(&internal))];
    for round in ["at once", "a second later"] {
        println!("2,000 calls each, {round}:");
        for (key, tier) in callers {
            let take = || match tier {
                None => limiter.try_acquire(key.as_bytes(), 1),
                Some(tier) => limiter.try_acquire_tier(key.as_bytes(), 1, tier),
            };
            let admitted = (0..2_000).filter(|_| take()).count();
            let told = limiter.peek(key.as_bytes(), tier);
            let wait = told.retry_after().unwrap_or_default().as_secs_f64();
            println!("  {key:10} {admitted:5} admitted of a burst of {:4}; the next in {wait:.3} s", told.limit);
        }
        clock.advance(Duration::from_secs(1));
    }

    println!("bob becomes a pro: what he owes is at most an empty bucket of a pro, and comes back ten a second:");
    for seconds in [0, 1, 9] {
        clock.advance(Duration::from_secs(seconds));
        let told = limiter.check_tier(b"free:bob", 10, &pro);
        println!("  {seconds} s later ten more are {}", if told.allowed { "admitted" } else { "denied" });
    }

    let stats = limiter.stats();
    println!("live keys: {}; {} calls admitted, {} denied", limiter.len(), stats.admitted, stats.denied);
    Ok(())
}
