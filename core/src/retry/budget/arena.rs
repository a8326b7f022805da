//! A budget that processes share.

use super::{RetryBudget, RetryBudgetConfig};
use crate::arena::{ArenaError, ArenaObject, ObjectKind, OpenContext, Settings};
use crate::mode::Mode;
use crate::{Arena, ConfigError, OnConflict};
use std::sync::Arc;
use std::time::Duration;

impl RetryBudget {
    /// The budget `name` of an arena, opened or made: one for all who share the arena, on its clock. Name it after the
    /// dependency. The mode is each opener's own; with [`OnConflict::Apply`] processes that have it open go on by their
    /// settings.
    ///
    /// Errors: as [`new`](Self::new), and those of the arena: unless `on_conflict` says otherwise, other settings under
    /// the name; always, another idea of whether seconds pay in.
    ///
    /// ```
    /// use tidegate::retry::{RetryBudget, RetryBudgetConfig};
    /// use tidegate::{Arena, OnConflict};
    ///
    /// let arena = Arena::process("payments")?;
    /// let config = RetryBudgetConfig { min_per_second: 0.2, ..RetryBudgetConfig::default() };
    /// let open = || RetryBudget::in_arena(&arena, "stripe", config, OnConflict::Error);
    /// let (one, other) = (open()?, open()?);
    /// assert!(one.try_withdraw() && other.try_withdraw());
    /// assert!(!one.try_withdraw());
    /// # Ok::<(), tidegate::arena::ArenaError>(())
    /// ```
    pub fn in_arena(
        arena: &Arc<Arena>,
        name: &str,
        config: RetryBudgetConfig,
        on_conflict: OnConflict,
    ) -> Result<Self, ArenaError> {
        config.check()?;
        arena.object(name, &config, on_conflict)
    }
}

impl ArenaObject for RetryBudget {
    const KIND: ObjectKind = ObjectKind::RetryBudget;
    type Config = RetryBudgetConfig;

    /// Without a floor the word has no time in it.
    fn shape(config: &RetryBudgetConfig) -> String {
        if super::Rates::of(config).by_time { "calls and seconds pay" } else { "calls pay" }.to_owned()
    }

    fn settings(config: &RetryBudgetConfig) -> Settings {
        let RetryBudgetConfig { ratio, min_per_second, ttl, .. } = config;
        Settings::new(
            &[ratio.to_bits(), min_per_second.to_bits(), ttl.as_nanos() as u64],
            format!("{ratio} retries a call, {min_per_second} a second for {ttl:?}"),
        )
    }

    fn basis(_: &RetryBudgetConfig) -> [u64; 8] {
        [0; 8]
    }

    fn config(context: &OpenContext, own: Option<&RetryBudgetConfig>) -> Result<RetryBudgetConfig, ConfigError> {
        let [ratio, min_per_second, ttl, ..] = context.settings.words;
        let config = RetryBudgetConfig {
            ratio: f64::from_bits(ratio),
            min_per_second: f64::from_bits(min_per_second),
            ttl: Duration::from_nanos(ttl),
            mode: own.map_or(Mode::Enforce, |own| own.mode),
        };
        config.check()?;
        Ok(config)
    }

    fn open(context: &mut OpenContext, config: &RetryBudgetConfig) -> Result<Self, ConfigError> {
        let clock = context.arena.clock().clone();
        Self::in_room(&mut context.room, *config, context.born_ns, clock)
    }

    /// Rates are each handle's own, and this one has been opened with the new ones.
    fn apply(&self, _: &OpenContext, _: &RetryBudgetConfig, _: &RetryBudgetConfig) -> Result<(), ConfigError> {
        Ok(())
    }
}
