//! What a limit per key promises beyond its answers: keys of all kinds, the table's size, exact rates, and many
//! threads.

mod fixed_shared;
mod healed;
mod idle;
mod keys;
mod log_replaced;
mod looks;
mod periods;
mod rates;
mod set_denied;
mod set_stress;
mod stress;
mod sweep;
mod table;
mod tiers;
mod warm;

use std::time::Duration;
use tidegate::limit::{Algorithm, LimiterConfig, Mode, RateLimiter};
use tidegate::{Clock, ManualClock, Quota};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

/// `count` every `period_ns`, `burst` at once (of a window: in all), on a clock at 0 that nobody moves: times are
/// arguments.
fn limiter(algorithm: Algorithm, count: u64, period_ns: u64, burst: u64, max_keys: usize) -> RateLimiter {
    let quota = Quota::new(count, Duration::from_nanos(period_ns)).and_then(|quota| quota.with_burst(burst));
    let config =
        LimiterConfig { max_keys, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota.expect("a sound quota")) };
    RateLimiter::with_config(config, Clock::from(ManualClock::new(0))).expect("a limiter")
}
