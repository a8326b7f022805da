//! For tools that look after arenas, as the `tidegate` command does: objects known only by their records.

use crate::arena::ObjectKind;
use crate::breaker::registry::BreakerRegistry;
use crate::{
    Arena, CircuitBreaker, ClientThrottle, ClusterLimit, ConcurrencyLimiter, ConfigError, LoadShedder, RateLimiter,
    RetryBudget, TokenBucket,
};
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
    /// See [`RetryBudget`].
    RetryBudget(RetryBudget),
    /// See [`ClientThrottle`].
    Throttle(ClientThrottle),
    /// See [`BreakerRegistry`].
    BreakerRegistry(BreakerRegistry),
    /// See [`LoadShedder`].
    Shedder(LoadShedder),
    /// See [`ClusterLimit`].
    Cluster(ClusterLimit),
}

impl Arena {
    /// The object of this name, as its record and its own memory have it. Takes no lock and changes nothing.
    ///
    /// `None`: there is none, or of a kind that is not known here. Errors: the record is damaged.
    pub fn to_look(self: &Arc<Self>, name: &str) -> Option<Result<Object, ConfigError>> {
        let (kind, mut context) = self.context_to_look(name)?;
        Some(match kind {
            ObjectKind::TokenBucket => context.look().map(Object::Bucket),
            ObjectKind::RateLimiter => context.look().map(Object::Limiter),
            ObjectKind::CircuitBreaker => context.look().map(Object::Breaker),
            ObjectKind::ConcurrencyLimiter => context.look().map(Object::Concurrency),
            ObjectKind::RetryBudget => context.look().map(Object::RetryBudget),
            ObjectKind::ClientThrottle => context.look().map(Object::Throttle),
            ObjectKind::BreakerRegistry => context.look().map(Object::BreakerRegistry),
            ObjectKind::LoadShedder => context.look().map(Object::Shedder),
            ObjectKind::ClusterLimit => context.look().map(Object::Cluster),
        })
    }
}
