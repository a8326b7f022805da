//! A concurrency limit that processes share.

use super::adaptive::CONFIG_WORDS;
use super::{AdaptiveConfig, ConcurrencyConfig, ConcurrencyLimiter};
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
        let adaptive = if config.adaptive.is_some() { ", adaptive" } else { "" };
        format!("{} places{adaptive}", config.places())
    }

    fn settings(config: &ConcurrencyConfig) -> Settings {
        let Some(adaptive) = config.adaptive else {
            return Settings::new(&[config.limit.into()], format!("limit {}", config.limit));
        };
        let text = format!(
            "{}, limit {} to {}, from {}",
            adaptive.algorithm.name(),
            adaptive.min_limit,
            adaptive.max_limit,
            adaptive.initial_limit
        );
        let mut words = [0; 1 + CONFIG_WORDS];
        words[0] = config.limit.into();
        words[1..].copy_from_slice(&adaptive.to_words());
        Settings::new(&words, text)
    }

    /// For who looks inside.
    fn basis(config: &ConcurrencyConfig) -> [u64; 8] {
        [config.places() as u64, config.adaptive.is_some().into(), 0, 0, 0, 0, 0, 0]
    }

    /// The limit in force lies in the object.
    fn config(context: &OpenContext, own: Option<&ConcurrencyConfig>) -> Result<ConcurrencyConfig, ConfigError> {
        if let Some(own) = own {
            return Ok(*own);
        }
        let [places, is_adaptive, ..] = context.basis;
        let [limit, rest @ ..] = context.settings.words;
        let mut words = [0; CONFIG_WORDS];
        words.iter_mut().zip(rest).for_each(|(word, value)| *word = value);
        let adaptive = (is_adaptive != 0).then(|| AdaptiveConfig::of_words(words));
        let [max_limit, limit] = [places, limit].map(|word| u32::try_from(word).unwrap_or(u32::MAX));
        let config = ConcurrencyConfig { max_limit, adaptive, mode: Mode::Enforce, ..ConcurrencyConfig::new(limit) };
        config.check()?;
        Ok(config)
    }

    fn open(context: &mut OpenContext, config: &ConcurrencyConfig) -> Result<Self, ConfigError> {
        Self::in_room(&mut context.room, *config, context.arena.clock().clone())
    }

    fn apply(&self, _: &OpenContext, _: &ConcurrencyConfig, own: &ConcurrencyConfig) -> Result<(), ConfigError> {
        // An adaptive limit goes on from where it is, by the settings of who ends a window.
        if own.adaptive.is_none() {
            self.change_limit(own.limit);
        }
        Ok(())
    }
}
