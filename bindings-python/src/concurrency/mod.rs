//! Limits on how many calls run at once, from the ground up: `limiter` and `stats`, `permit`, `waiter`, `methods`.

mod adaptive;
mod limiter;
mod methods;
pub(crate) mod partition;
pub(crate) mod permit;
pub(crate) mod waiter;

pub(crate) use limiter::ConcurrencyLimiter;
