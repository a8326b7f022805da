//! A limiter that processes share.

use super::quotas::{quota_of, words_of};
use super::{Block, LimiterConfig, RateLimiter};
use crate::arena::{ArenaError, ObjectKind, Plan, Request, Settings};
use crate::limit::Algorithm;
use crate::limit::Mode;
use crate::{Arena, ConfigError, ConfigErrorKind, OnConflict, Quota};
use std::sync::Arc;
use std::time::Duration;

impl RateLimiter {
    /// The limiter `name` of an arena, opened or made: the same keys and levels for all who share the arena, on its clock.
    ///
    /// The mode is each opener's own, and `huge_pages` plays no part. A quota changed by [`set_quota`](Self::set_quota) stays when a
    /// worker that declares the same as before opens it again. The resolution is that of the quotas it was made with.
    ///
    /// Errors: as [`with_config`](Self::with_config), and those of the arena: another shape (algorithm, `max_keys`, `fastest`,
    /// block, warm-up) or, unless `on_conflict` says otherwise, another default quota under the name.
    ///
    /// ```
    /// use tidegate::{Algorithm, Arena, OnConflict, RateLimiter, limit::LimiterConfig};
    ///
    /// let arena = Arena::process("orders")?;
    /// let config = LimiterConfig::new(Algorithm::TokenBucket, "2/hour".parse()?);
    /// let open = || RateLimiter::in_arena(&arena, "users", config, OnConflict::Error);
    /// assert!(open()?.try_acquire(b"ada", 1));
    /// assert!(open()?.try_acquire(b"ada", 1));
    /// assert!(!open()?.try_acquire(b"ada", 1));
    /// # Ok::<(), tidegate::arena::ArenaError>(())
    /// ```
    pub fn in_arena(
        arena: &Arc<Arena>,
        name: &str,
        config: LimiterConfig,
        on_conflict: OnConflict,
    ) -> Result<Self, ArenaError> {
        let config = config.resolved()?;
        let request = Request {
            kind: ObjectKind::RateLimiter,
            name,
            shape: shape(&config),
            settings: Settings::new(&words_of(&config.quota), config.quota.to_string()),
            basis: basis(&config),
            on_conflict,
        };
        arena.object(&request, |plan| {
            let (quota, fastest) = made_for(plan)?;
            let made = LimiterConfig { quota, fastest, ..config };
            let limiter = Self::in_room(&mut plan.room, &made, plan.born_ns, arena.clock().clone())?;
            if plan.apply {
                limiter.apply(&config.quota).map_err(|error| needs_another(error, arena, name, &quota))?;
            }
            Ok(limiter)
        })
    }

    /// The limiter behind a record, for who looks inside: its counts, size and quota.
    pub(crate) fn of_record(arena: &Arc<Arena>, plan: &mut Plan) -> Result<Self, ConfigError> {
        let (quota, fastest) = made_for(plan)?;
        let [.., algorithm, max_keys] = plan.basis;
        let algorithm = usize::try_from(algorithm).ok().and_then(|place| Algorithm::ALL.get(place));
        let algorithm = *algorithm.ok_or_else(|| damaged("algorithm"))?;
        let max_keys = usize::try_from(max_keys).map_err(|_| damaged("max_keys"))?;
        let config = LimiterConfig { fastest, max_keys, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota) };
        Self::in_room(&mut plan.room, &config, plan.born_ns, arena.clock().clone())
    }

    /// `set_quota` by who holds the arena's lock already.
    fn apply(&self, quota: &Quota) -> Result<(), ConfigError> {
        self.put_quota(quota, self.rule.units(quota)?);
        Ok(())
    }
}

/// What later openers must know: the quotas it is made for; and what those must who only look inside.
fn basis(config: &LimiterConfig) -> [u64; 8] {
    let [count, period_ns, burst] = words_of(&config.quota);
    let [fast_count, fast_period_ns, fast_burst] = config.fastest.as_ref().map_or([0; 3], words_of);
    let algorithm = Algorithm::ALL.iter().position(|algorithm| *algorithm == config.algorithm).unwrap_or(0);
    [count, period_ns, burst, fast_count, fast_period_ns, fast_burst, algorithm as u64, config.max_keys as u64]
}

/// The default quota and the fastest of who made it.
fn made_for(plan: &Plan) -> Result<(Quota, Option<Quota>), ConfigError> {
    let [count, period_ns, burst, fast_count, fast_period_ns, fast_burst, ..] = plan.basis;
    let quota = quota_of([count, period_ns, burst]).ok_or_else(|| damaged("rate"))?;
    let fastest = match [fast_count, fast_period_ns, fast_burst] {
        [0, 0, 0] => None,
        words => Some(quota_of(words).ok_or_else(|| damaged("fastest"))?),
    };
    Ok((quota, fastest))
}

fn damaged(field: &'static str) -> ConfigError {
    ConfigError::out_of_range(field, "the arena's own record of it is damaged")
}

#[cold]
fn needs_another(error: ConfigError, arena: &Arena, name: &str, made: &Quota) -> ConfigError {
    let message = format!(
        "{}; {name:?} was made for {made}: remove it with `tidegate rm {} {name}` and make it anew, with the fastest quota \
         that it will ever have as `fastest`",
        error.message(),
        arena.name()
    );
    ConfigError::new(ConfigErrorKind::Conflict, error.field(), message)
}

/// Everything that all openers must agree on.
fn shape(config: &LimiterConfig) -> String {
    let mut shape = format!("{}, {} keys", config.algorithm, config.max_keys);
    if let Some(fastest) = &config.fastest {
        shape += &format!(", fastest {fastest}");
    }
    if let Some(Block { after, within_ns, duration_ns, growth, max_ns }) = config.block {
        let [within, duration, max] = [within_ns, duration_ns, max_ns].map(Duration::from_nanos);
        shape += &format!(", block after {after} in {within:?} for {duration:?} x {growth} up to {max:?}");
    }
    if let Some(ramp) = &config.warm_up {
        shape += &format!(", warm-up {:?} from {}", Duration::from_nanos(ramp.period_ns()), ramp.from());
    }
    shape
}
