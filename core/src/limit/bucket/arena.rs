//! A bucket that processes share.

use super::{BucketConfig, TokenBucket, stripes, words};
use crate::arena::{ArenaError, ArenaObject, ObjectKind, OpenContext, Settings, damaged};
use crate::limit::{Mode, WarmUp};
use crate::{Arena, ConfigError, OnConflict, Quota};
use std::sync::Arc;
use std::time::Duration;

impl TokenBucket {
    /// The bucket `name` of an arena, opened or made: one level for all who share the arena, on the arena's clock.
    ///
    /// The mode is each opener's own. A quota changed by [`set_quota`](Self::set_quota) stays when a worker that
    /// declares the same as before opens it again.
    ///
    /// Errors: as [`with_options`](Self::with_options), and those of the arena: another shape (stripes, warm-up) or,
    /// unless `on_conflict` says otherwise, another quota under the name.
    ///
    /// ```
    /// use tidegate::{Arena, OnConflict, TokenBucket, limit::BucketConfig};
    ///
    /// let arena = Arena::process("orders")?;
    /// let options = BucketConfig::default();
    /// let open = || TokenBucket::in_arena(&arena, "everyone", "2/hour".parse()?, options, OnConflict::Error);
    /// assert!(open()?.try_acquire(1));
    /// assert!(open()?.try_acquire(1));
    /// assert!(!open()?.try_acquire(1));
    /// # Ok::<(), tidegate::arena::ArenaError>(())
    /// ```
    pub fn in_arena(
        arena: &Arc<Arena>,
        name: &str,
        quota: Quota,
        options: BucketConfig,
        on_conflict: OnConflict,
    ) -> Result<Self, ArenaError> {
        stripes::shares(&quota, options.stripes, options.warm_up)?;
        arena.object(name, &(quota, options), on_conflict)
    }
}

impl ArenaObject for TokenBucket {
    const KIND: ObjectKind = ObjectKind::TokenBucket;
    type Config = (Quota, BucketConfig);

    fn shape((_, options): &Self::Config) -> String {
        shape(options)
    }

    fn settings((quota, _): &Self::Config) -> Settings {
        Settings::new(&words(quota), quota.to_string())
    }

    fn basis((_, options): &Self::Config) -> [u64; 8] {
        let (period_ns, from) = options.warm_up.map_or((0, 0), |ramp| (ramp.period_ns(), ramp.from().to_bits()));
        [options.stripes.into(), period_ns, from, 0, 0, 0, 0, 0]
    }

    fn config(context: &OpenContext, own: Option<&Self::Config>) -> Result<Self::Config, ConfigError> {
        let [count, period_ns, burst, ..] = context.settings.words;
        let quota = u32::try_from(burst).ok().and_then(|burst| Quota::from_parts(count, period_ns, burst));
        let quota = quota.ok_or_else(|| damaged("rate"))?;
        if let Some((_, options)) = own {
            return Ok((quota, *options));
        }
        let [stripes, period_ns, from, ..] = context.basis;
        let warm_up = match period_ns {
            0 => None,
            ns => Some(WarmUp::new(Duration::from_nanos(ns), f64::from_bits(from))?),
        };
        let stripes = u32::try_from(stripes).unwrap_or(0);
        Ok((quota, BucketConfig { stripes, warm_up, mode: Mode::Enforce }))
    }

    fn open(context: &mut OpenContext, (quota, options): &Self::Config) -> Result<Self, ConfigError> {
        let shares = stripes::shares(quota, options.stripes, options.warm_up)?;
        let clock = context.arena.clock().clone();
        Self::of_shares(&mut context.room, *quota, &shares, *options, context.born_ns, clock)
    }

    fn apply(&self, _: &OpenContext, _: &Self::Config, (quota, _): &Self::Config) -> Result<(), ConfigError> {
        self.change_quota(self.clock.now(), quota)
    }
}

fn shape(options: &BucketConfig) -> String {
    let stripes = match options.stripes {
        1 => "1 stripe".to_owned(),
        more => format!("{more} stripes"),
    };
    match options.warm_up {
        None => stripes,
        Some(ramp) => format!("{stripes}, warm-up {:?} from {}", Duration::from_nanos(ramp.period_ns()), ramp.from()),
    }
}
