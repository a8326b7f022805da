//! A limit per key that other programs of this machine ask as well, whatever they are written in: takes one for each
//! key that is given.
//!
//! Run: `cargo run -p tidegate --example same_key -- user:1 user:1`, twice

use tidegate::arena::ArenaError;
use tidegate::limit::LimiterConfig;
use tidegate::{Algorithm, Arena, OnConflict, RateLimiter};

fn main() -> Result<(), ArenaError> {
    // In Python: `RateLimiter("3/hour", max_keys=1000, scope="host:same-key", name="users")`.
    let arena = Arena::host("same-key")?;
    let config = LimiterConfig { max_keys: 1000, ..LimiterConfig::new(Algorithm::TokenBucket, "3/hour".parse()?) };
    let users = RateLimiter::in_arena(&arena, "users", config, OnConflict::Error)?;
    for key in std::env::args().skip(1) {
        let answer = users.check(key.as_bytes(), 1);
        println!("{key}: {}, {} left", if answer.allowed { "admitted" } else { "denied" }, answer.remaining);
    }
    Ok(())
}
