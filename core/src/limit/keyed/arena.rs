//! A limiter that processes share.

use super::quotas::{quota_of, words_of};
use super::{Block, LimiterConfig, RateLimiter};
use crate::arena::{ArenaError, ArenaObject, ObjectKind, OpenContext, Settings, damaged};
use crate::limit::{Algorithm, Mode};
use crate::{Arena, ConfigError, ConfigErrorKind, OnConflict, Quota};
use std::sync::Arc;
use std::time::Duration;

impl RateLimiter {
    /// The limiter `name` of an arena, opened or made: the same keys and levels for all who share the arena, on its
    /// clock.
    ///
    /// The mode is each opener's own, and `huge_pages` plays no part. A quota changed by [`set_quota`](Self::set_quota)
    /// stays when a worker that declares the same as before opens it again. The resolution is that of the quotas it was
    /// made with.
    ///
    /// Errors: as [`with_config`](Self::with_config), and those of the arena: another shape (algorithm, `max_keys`,
    /// block, warm-up) or, unless `on_conflict` says otherwise, another default quota or `fastest` under the name. What
    /// is applied must be within what the limiter resolves; of a burst that it cannot hold whole it takes what it can.
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
        arena.object(name, &config, on_conflict)
    }
}

impl ArenaObject for RateLimiter {
    const KIND: ObjectKind = ObjectKind::RateLimiter;
    type Config = LimiterConfig;

    fn shape(config: &LimiterConfig) -> String {
        shape(config)
    }

    fn settings(config: &LimiterConfig) -> Settings {
        let fastest = config.fastest.as_ref().map_or([0; 3], words_of);
        let text = config.fastest.map_or_else(String::new, |fastest| format!(", fastest {fastest}"));
        Settings::new(&[words_of(&config.quota), fastest].concat(), format!("{}{text}", config.quota))
    }

    /// The quotas that it is made for, and what those must know who only look inside.
    fn basis(config: &LimiterConfig) -> [u64; 8] {
        let [count, period_ns, burst] = words_of(&config.quota);
        let [fast_count, fast_period_ns, fast_burst] = config.fastest.as_ref().map_or([0; 3], words_of);
        let algorithm = Algorithm::ALL.iter().position(|algorithm| *algorithm == config.algorithm).unwrap_or(0);
        [count, period_ns, burst, fast_count, fast_period_ns, fast_burst, algorithm as u64, config.max_keys as u64]
    }

    /// With the quotas of who made it: they decide the resolution. The one in force lies in the object.
    fn config(context: &OpenContext, own: Option<&LimiterConfig>) -> Result<LimiterConfig, ConfigError> {
        let [count, period_ns, burst, fast_count, fast_period_ns, fast_burst, algorithm, max_keys] = context.basis;
        let quota = quota_of([count, period_ns, burst]).ok_or_else(|| damaged("rate"))?;
        let fastest = match [fast_count, fast_period_ns, fast_burst] {
            [0, 0, 0] => None,
            words => Some(quota_of(words).ok_or_else(|| damaged("fastest"))?),
        };
        if let Some(own) = own {
            return Ok(LimiterConfig { quota, fastest, ..*own });
        }
        let algorithm = usize::try_from(algorithm).ok().and_then(|place| Algorithm::ALL.get(place));
        let algorithm = *algorithm.ok_or_else(|| damaged("algorithm"))?;
        let max_keys = usize::try_from(max_keys).map_err(|_| damaged("max_keys"))?;
        Ok(LimiterConfig { fastest, max_keys, mode: Mode::Enforce, ..LimiterConfig::new(algorithm, quota) })
    }

    fn open(context: &mut OpenContext, config: &LimiterConfig) -> Result<Self, ConfigError> {
        let clock = context.arena.clock().clone();
        Self::in_room(&mut context.room, config, context.born_ns, clock)
    }

    /// As `set_quota`, but with less of the burst where the table cannot hold all of it: that admits less, and a deploy
    /// starts.
    fn apply(&self, context: &OpenContext, made: &LimiterConfig, own: &LimiterConfig) -> Result<(), ConfigError> {
        let quota = self.rule.nearest(&own.quota);
        let fastest = own.fastest.map_or(Ok(()), |fastest| self.rule.units(&fastest).map(|_| ()));
        let units = fastest.and_then(|()| self.rule.units(&quota));
        let put = units.and_then(|units| self.put_quota(&quota, units));
        put.map_err(|error| needs_another(error, context, &made.quota))
    }
}

#[cold]
fn needs_another(error: ConfigError, context: &OpenContext, made: &Quota) -> ConfigError {
    let (arena, name) = (context.arena.name(), &context.name);
    let message = format!(
        "{}; {name:?} was made for {}: give the limit another name, or remove this one with \
         `tidegate rm {arena} {name}` and start again, with the fastest quota that it will ever have as `fastest`",
        error.message(),
        made.brief(),
    );
    ConfigError::new(ConfigErrorKind::Conflict, error.field(), message)
}

/// Everything that all openers must agree on.
fn shape(config: &LimiterConfig) -> String {
    let mut shape = format!("{}, {} keys", config.algorithm, config.max_keys);
    if let Some(Block { after, within_ns, duration_ns, growth, max_ns }) = config.block {
        let [within, duration, max] = [within_ns, duration_ns, max_ns].map(Duration::from_nanos);
        shape += &format!(", block after {after} in {within:?} for {duration:?} x {growth} up to {max:?}");
    }
    if let Some(ramp) = &config.warm_up {
        shape += &format!(", warm-up {:?} from {}", Duration::from_nanos(ramp.period_ns()), ramp.from());
    }
    shape
}
