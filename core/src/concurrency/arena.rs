//! A concurrency limit that processes share.

use super::{ConcurrencyConfig, ConcurrencyLimiter};
use crate::arena::{ArenaError, ArenaObject, ObjectKind, OpenContext, Settings};
use crate::mode::Mode;
use crate::{Arena, ConfigError, OnConflict};
use std::sync::Arc;

impl ConcurrencyLimiter {
    /// The limiter `name` of an arena, opened or made: one limit for all who share the arena. A limit set at run time
    /// stays when a process that declares what it did before opens it again.
    ///
    /// Errors: as [`with_config`](Self::with_config), and those of the arena: another shape (`max_limit`, in steps of
    /// 64) or other settings (`limit`) under the name.
    pub fn in_arena(
        arena: &Arc<Arena>,
        name: &str,
        config: ConcurrencyConfig,
        on_conflict: OnConflict,
    ) -> Result<Self, ArenaError> {
        config.check()?;
        // Permits name their process: a process without a slot could take none.
        arena.member()?;
        arena.object(name, &config, on_conflict)
    }
}

impl ArenaObject for ConcurrencyLimiter {
    const KIND: ObjectKind = ObjectKind::ConcurrencyLimiter;
    type Config = ConcurrencyConfig;

    fn shape(config: &ConcurrencyConfig) -> String {
        format!("{} places", config.places())
    }

    fn settings(config: &ConcurrencyConfig) -> Settings {
        Settings::new(&[config.limit.into()], format!("limit {}", config.limit))
    }

    /// For who looks inside.
    fn basis(config: &ConcurrencyConfig) -> [u64; 8] {
        [config.places() as u64, 0, 0, 0, 0, 0, 0, 0]
    }

    /// The limit in force lies in the object.
    fn config(context: &OpenContext, own: Option<&ConcurrencyConfig>) -> Result<ConcurrencyConfig, ConfigError> {
        if let Some(own) = own {
            return Ok(*own);
        }
        let [places, ..] = context.basis;
        let [limit, ..] = context.settings.words;
        let [max_limit, limit] = [places, limit].map(|word| u32::try_from(word).unwrap_or(u32::MAX));
        let config = ConcurrencyConfig { limit, max_limit, mode: Mode::Enforce };
        config.check()?;
        Ok(config)
    }

    fn open(context: &mut OpenContext, config: &ConcurrencyConfig) -> Result<Self, ConfigError> {
        Self::in_room(&mut context.room, *config, context.arena.clock().clone())
    }

    fn apply(&self, _: &OpenContext, _: &ConcurrencyConfig, own: &ConcurrencyConfig) -> Result<(), ConfigError> {
        self.change_limit(own.limit);
        Ok(())
    }
}
