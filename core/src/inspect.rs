//! For tools that look after arenas, as the `tidegate` command does: objects known only by their records.

use crate::arena::ObjectKind;
use crate::{Arena, CircuitBreaker, ConcurrencyLimiter, ConfigError, RateLimiter, TokenBucket};
use std::sync::Arc;

/// An object opened by its record.
#[allow(clippy::large_enum_variant, reason = "one at a time, and not for long")]
#[derive(Debug)]
pub enum Object {
    /// See [`TokenBucket`].
    Bucket(TokenBucket),
    /// See [`RateLimiter`].
    Limiter(RateLimiter),
    /// See [`CircuitBreaker`].
    Breaker(CircuitBreaker),
    /// See [`ConcurrencyLimiter`].
    Concurrency(ConcurrencyLimiter),
}

impl Arena {
    /// The object of this name, as its record and its own memory have it. Takes no lock and changes nothing.
    ///
    /// `None`: there is none, or of a kind that is not known here. Errors: the record is damaged.
    pub fn to_look(self: &Arc<Self>, name: &str) -> Option<Result<Object, ConfigError>> {
        let (kind, _, mut plan) = self.plan_to_look(name)?;
        Some(match kind {
            ObjectKind::TokenBucket => TokenBucket::of_record(self, &mut plan).map(Object::Bucket),
            ObjectKind::RateLimiter => RateLimiter::of_record(self, &mut plan).map(Object::Limiter),
            ObjectKind::CircuitBreaker => CircuitBreaker::of_record(self, name, &mut plan).map(Object::Breaker),
            ObjectKind::ConcurrencyLimiter => ConcurrencyLimiter::of_record(self, &mut plan).map(Object::Concurrency),
        })
    }
}
