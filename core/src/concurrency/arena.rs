//! A concurrency limit that processes share.

use super::adaptive::CONFIG_WORDS;
use super::{AdaptiveConfig, ConcurrencyConfig, ConcurrencyLimiter, Partitions, partition};
use crate::arena::{ArenaError, ArenaObject, ObjectKind, OpenContext, Settings};
use crate::mode::Mode;
use crate::{Arena, ConfigError, OnConflict};
use std::sync::Arc;

/// Where the words of partitions stand among the settings: behind the limit and those of an adaptive one.
const PARTITIONS_AT: usize = 1 + CONFIG_WORDS;

impl ConcurrencyLimiter {
    /// The limiter `name` of an arena, opened or made: one limit for all who share the arena. A limit set at run time
    /// stays when a process that declares what it did before opens it again.
    ///
    /// Errors: as [`with_config`](Self::with_config), and those of the arena: another shape (`max_limit`, in steps of
    /// 64; the names of partitions) or other settings (`limit`, shares) under the name.
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
        let mut shape = format!("{} places{adaptive}", config.places());
        for (number, name) in config.partitions.names().enumerate() {
            let before = if number == 0 { ", partitions " } else { " " };
            shape += &format!("{before}{name:?}");
        }
        shape
    }

    fn settings(config: &ConcurrencyConfig) -> Settings {
        let mut words = [0; PARTITIONS_AT + partition::WORDS];
        words[0] = config.limit.into();
        words[PARTITIONS_AT..].copy_from_slice(&config.partitions.to_words());
        let mut text = format!("limit {}", config.limit);
        if let Some(adaptive) = config.adaptive {
            words[1..PARTITIONS_AT].copy_from_slice(&adaptive.to_words());
            text = format!(
                "{}, limit {} to {}, from {}",
                adaptive.algorithm.name(),
                adaptive.min_limit,
                adaptive.max_limit,
                adaptive.initial_limit
            );
        }
        for (name, share) in config.partitions.shares() {
            text += &format!(", {name} {share}");
        }
        Settings::new(&words, text)
    }

    /// For who looks inside.
    fn basis(config: &ConcurrencyConfig) -> [u64; 8] {
        [config.places() as u64, config.adaptive.is_some().into(), config.partitions.len() as u64, 0, 0, 0, 0, 0]
    }

    /// The limit in force lies in the object.
    fn config(context: &OpenContext, own: Option<&ConcurrencyConfig>) -> Result<ConcurrencyConfig, ConfigError> {
        if let Some(own) = own {
            return Ok(*own);
        }
        let [places, is_adaptive, partitions, ..] = context.basis;
        let [limit, rest @ ..] = context.settings.words;
        let mut words = [0; CONFIG_WORDS];
        words.iter_mut().zip(rest).for_each(|(word, value)| *word = value);
        let adaptive = (is_adaptive != 0).then(|| AdaptiveConfig::of_words(words));
        let [max_limit, limit] = [places, limit].map(|word| u32::try_from(word).unwrap_or(u32::MAX));
        let mut words = [0; partition::WORDS];
        words.iter_mut().zip(&context.settings.words[PARTITIONS_AT..]).for_each(|(word, &value)| *word = value);
        let partitions = Partitions::of_words(partitions, words);
        let mode = Mode::Enforce;
        let config = ConcurrencyConfig { max_limit, adaptive, partitions, mode, ..ConcurrencyConfig::new(limit) };
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
        if let Some(lending) = &self.shared.lending {
            lending.declare(&own.partitions);
            self.shared.notify_waiters();
        }
        Ok(())
    }
}
