//! A bucket that processes share.

use super::{BucketOptions, TokenBucket, stripes, words};
use crate::arena::{ArenaError, ObjectKind, Plan, Request, Settings};
use crate::limit::{Mode, WarmUp};
use crate::{Arena, ConfigError, OnConflict, Quota};
use std::sync::Arc;
use std::time::Duration;

impl TokenBucket {
    /// The bucket `name` of an arena, opened or made: one level for all who share the arena, on the arena's clock.
    ///
    /// The mode is each opener's own. A quota changed by [`set_quota`](Self::set_quota) stays when a worker that declares the same
    /// as before opens it again.
    ///
    /// Errors: as [`with_options`](Self::with_options), and those of the arena: another shape (stripes, warm-up) or, unless
    /// `on_conflict` says otherwise, another quota under the name.
    ///
    /// ```
    /// use tidegate::{Arena, OnConflict, TokenBucket, limit::BucketOptions};
    ///
    /// let arena = Arena::process("orders")?;
    /// let open = || TokenBucket::in_arena(&arena, "everyone", "2/hour".parse()?, BucketOptions::default(), OnConflict::Error);
    /// assert!(open()?.try_acquire(1));
    /// assert!(open()?.try_acquire(1));
    /// assert!(!open()?.try_acquire(1));
    /// # Ok::<(), tidegate::arena::ArenaError>(())
    /// ```
    pub fn in_arena(
        arena: &Arc<Arena>,
        name: &str,
        quota: Quota,
        options: BucketOptions,
        on_conflict: OnConflict,
    ) -> Result<Self, ArenaError> {
        stripes::shares(&quota, options.stripes, options.warm_up)?;
        let request = Request {
            kind: ObjectKind::TokenBucket,
            name,
            shape: shape(&options),
            settings: Settings::new(&words(&quota), quota.to_string()),
            // For who looks inside: it has no options to compare.
            basis: basis(&options),
            on_conflict,
        };
        arena.object(&request, |plan| Self::of_plan(arena, plan, options))
    }

    /// The bucket behind a record, for who looks inside.
    pub(crate) fn of_record(arena: &Arc<Arena>, plan: &mut Plan) -> Result<Self, ConfigError> {
        let [stripes, period_ns, from, ..] = plan.basis;
        let warm_up = match period_ns {
            0 => None,
            ns => Some(WarmUp::new(Duration::from_nanos(ns), f64::from_bits(from))?),
        };
        let stripes = u32::try_from(stripes).unwrap_or(0);
        Self::of_plan(arena, plan, BucketOptions { stripes, warm_up, mode: Mode::Enforce })
    }

    fn of_plan(arena: &Arc<Arena>, plan: &mut Plan, options: BucketOptions) -> Result<Self, ConfigError> {
        let [count, period_ns, burst, ..] = plan.settings.words;
        let quota = u32::try_from(burst).ok().and_then(|burst| Quota::from_parts(count, period_ns, burst));
        let quota =
            quota.ok_or_else(|| ConfigError::out_of_range("rate", "the arena's own record of it is damaged"))?;
        let shares = stripes::shares(&quota, options.stripes, options.warm_up)?;
        let bucket = Self::of_shares(&mut plan.room, quota, &shares, options, plan.born_ns, arena.clock().clone())?;
        if plan.apply {
            bucket.change_quota(arena.clock().now(), &quota)?;
        }
        Ok(bucket)
    }
}

fn basis(options: &BucketOptions) -> [u64; 8] {
    let (period_ns, from) = options.warm_up.map_or((0, 0), |ramp| (ramp.period_ns(), ramp.from().to_bits()));
    [options.stripes.into(), period_ns, from, 0, 0, 0, 0, 0]
}

fn shape(options: &BucketOptions) -> String {
    let stripes = match options.stripes {
        1 => "1 stripe".to_owned(),
        more => format!("{more} stripes"),
    };
    match options.warm_up {
        None => stripes,
        Some(ramp) => format!("{stripes}, warm-up {:?} from {}", Duration::from_nanos(ramp.period_ns()), ramp.from()),
    }
}
