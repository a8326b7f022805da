//! Circuit breakers, from the ground up: `views`, `circuit`, `permit`, then `methods` and `guarded`.

mod circuit;
pub(crate) mod guarded;
mod methods;
pub(crate) mod permit;
pub(crate) mod views;

pub(crate) use circuit::CircuitBreaker;
