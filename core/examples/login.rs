//! A login endpoint under brute force: failed logins count, successful ones are given back, and a guesser is blocked
//! for longer each time. Time is a `ManualClock`, so an hour of it takes no time.
//!
//! Run: `cargo run -p tidegate --example login`

use std::sync::Arc;
use std::time::Duration;
use tidegate::limit::{Block, LimiterConfig, Member, SetDecision};
use tidegate::{Algorithm, ConfigError, LimitSet, ManualClock, RateLimiter};

const MINUTE: Duration = Duration::from_secs(60);

/// What the endpoint asks before it looks at a password.
struct Logins {
    limits: LimitSet,
}

impl Logins {
    fn new(clock: &ManualClock) -> Result<Self, ConfigError> {
        // Five wrong passwords for an account from one address in 15 minutes; whoever goes on is blocked for 1, 2, 4 …
        // minutes. By account alone, a stranger could lock its owner out. After a block a token bucket goes on from
        // empty.
        let mut guesses = LimiterConfig::new(Algorithm::TokenBucket, "5 per 15 minutes".parse()?);
        guesses.block = Some(Block::new(3, 15 * MINUTE, MINUTE, 2.0, Some(60 * MINUTE))?);
        // And 30 a minute from an address, whatever the accounts.
        let address = LimiterConfig::new(Algorithm::TokenBucket, "30/minute".parse()?);
        let limiter = |config| RateLimiter::with_config(config, clock.into()).map(Arc::new);
        let limits = LimitSet::new([("guesses", limiter(guesses)?.into()), ("address", limiter(address)?.into())])?;
        Ok(Self { limits })
    }

    /// `Err`: 429 with this answer's Retry-After. `Ok`: whether the password was right.
    fn log_in(&self, account: &str, address: &str, right: bool) -> Result<bool, SetDecision> {
        let pair = format!("{account}\0{address}");
        let keys: [&[u8]; 2] = [pair.as_bytes(), address.as_bytes()];
        let answer = self.limits.check(&keys, 1).expect("a key for each limit");
        if !answer.decision.allowed {
            return Err(answer);
        }
        if right {
            self.limits.refund(&keys, 1).expect("a key for each limit");
        }
        Ok(right)
    }

    fn name(&self, answer: &SetDecision) -> &str {
        answer.denied_by.and_then(|member| self.limits.names().nth(member)).unwrap_or("nothing")
    }
}

fn main() -> Result<(), ConfigError> {
    let clock = ManualClock::new(0);
    let logins = Logins::new(&clock)?;

    println!("ada logs in 100 times in a second, always with the right password:");
    let passed = (0..100).filter(|_| logins.log_in("ada", "198.51.100.7", true).is_ok()).count();
    println!("  {passed} of 100 admitted, for what is right is given back\n");

    println!("somebody guesses ada's password for an hour, and when refused asks three times more before waiting:");
    let (mut tries, mut refused, mut tried) = (0, 0, 0);
    while clock.now() < 3_600_000_000_000 {
        tried += 1;
        match logins.log_in("ada", "203.0.113.9", false) {
            Ok(_) => {
                tries += 1;
                clock.advance(Duration::from_millis(500));
            }
            Err(answer) => {
                refused += 1;
                let wait = answer.decision.retry_after().unwrap_or(MINUTE);
                let patient = refused % 4 == 0;
                if patient {
                    let (at, name) = (seconds(&clock), logins.name(&answer));
                    println!(
                        "  {at:5.0} s: denied by {name} for the {refused}th time, retry after {:.0} s",
                        wait.as_secs_f64()
                    );
                }
                // The third denial blocks, and the fourth tells for how long.
                clock.advance(if patient { wait } else { Duration::from_secs(1) });
            }
        }
    }
    println!("  {tries} guesses in an hour, {refused} refusals of {tried} requests\n");

    let own = logins.log_in("ada", "198.51.100.7", true);
    println!("ada, from her own address, meanwhile: {}", if own == Ok(true) { "welcome" } else { "denied" });
    for (name, member) in logins.limits.members() {
        let Member::Keyed(limiter) = member else { continue };
        let (live, stats) = (limiter.len(), limiter.stats());
        println!(
            "  {name}: {live} live, {} admitted, {} denied, {} blocks",
            stats.admitted, stats.denied, stats.blocked
        );
    }
    Ok(())
}

fn seconds(clock: &ManualClock) -> f64 {
    clock.now() as f64 / 1e9
}
