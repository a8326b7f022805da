//! Circuit breakers, from the ground up: `views`, `classifier`, `circuit`, `permit`, then `methods` and
//! `guarded`; `registry` has one for each key.

mod changes;
mod circuit;
pub(crate) mod classifier;
pub(crate) mod guarded;
mod listeners;
mod methods;
pub(crate) mod permit;
pub(crate) mod registry;
pub(crate) mod views;

pub(crate) use circuit::CircuitBreaker;
