//! A registry that processes share.

use super::{BreakerRegistry, RegistryConfig};
use crate::arena::{ArenaError, ArenaObject, ObjectKind, OpenContext, Settings, damaged};
use crate::breaker::arena as breaker;
use crate::breaker::layout::Layout;
use crate::breaker::words::{self, CONFIG_WORDS, words};
use crate::hash::HashOfKeys;
use crate::{Arena, ConfigError, OnConflict};
use std::sync::Arc;

impl BreakerRegistry {
    /// The registry `name` of an arena, opened or made: one object with all of its breakers, for all who share the
    /// arena, on its clock.
    ///
    /// A breaker has the settings of who made it, and what was changed for all at run time, which stays when somebody
    /// who declares the same as before opens it again, and ends with [`OnConflict::Apply`] of others. With
    /// [`OnConflict::Keep`] the defaults are those that were declared,
    /// the overrides one's own; with [`OnConflict::Apply`] breakers that stand keep theirs.
    ///
    /// Errors: as [`new`](Self::new), and those of the arena: another shape (`max_breakers`, a window of the other
    /// kind) or, unless `on_conflict` says otherwise, other settings under the name.
    ///
    /// ```
    /// use tidegate::breaker::registry::{BreakerRegistry, RegistryConfig};
    /// use tidegate::{Arena, OnConflict};
    ///
    /// let arena = Arena::process("payments")?;
    /// let open = || BreakerRegistry::in_arena(&arena, "hosts", RegistryConfig::default(), OnConflict::Error);
    /// let (one, other) = (open()?, open()?);
    /// one.get(b"api.example.com").force_open();
    /// assert!(other.get(b"api.example.com").acquire().is_err());
    /// assert!(other.get(b"api.example.org").acquire().is_ok());
    /// # Ok::<(), tidegate::arena::ArenaError>(())
    /// ```
    pub fn in_arena(
        arena: &Arc<Arena>,
        name: &str,
        config: RegistryConfig,
        on_conflict: OnConflict,
    ) -> Result<Self, ArenaError> {
        config.check()?;
        arena.object(name, &config, on_conflict)
    }
}

impl ArenaObject for BreakerRegistry {
    const KIND: ObjectKind = ObjectKind::BreakerRegistry;
    type Config = RegistryConfig;

    fn shape(config: &RegistryConfig) -> String {
        format!("{} breakers, {}", config.max_breakers, breaker::shape(&config.defaults))
    }

    fn settings(config: &RegistryConfig) -> Settings {
        let mut all = [0; CONFIG_WORDS + 1];
        all[..CONFIG_WORDS].copy_from_slice(&words(&config.defaults));
        all[CONFIG_WORDS] = fingerprint(config);
        let patterns = config.overrides.len();
        let more = if patterns > 0 { format!(", other settings for {patterns} patterns") } else { String::new() };
        Settings::new(&all, breaker::text(&config.defaults) + &more)
    }

    fn basis(config: &RegistryConfig) -> [u64; 8] {
        let [kind, size, probes, lease_shift] = Layout::of(&config.defaults).words();
        [config.max_breakers.into(), kind, size, probes, lease_shift, 0, 0, 0]
    }

    fn config(context: &OpenContext, own: Option<&RegistryConfig>) -> Result<RegistryConfig, ConfigError> {
        let max_breakers = u32::try_from(context.basis[0]).map_err(|_| damaged("max_breakers"))?;
        let config = RegistryConfig {
            // Of the same shape, where there is one.
            max_breakers: own.map_or(max_breakers, |own| own.max_breakers),
            defaults: words::config(context.settings.words.first_chunk().expect("as many words as there are settings")),
            overrides: own.map_or_else(Vec::new, |own| own.overrides.clone()),
        };
        config.check_each()?;
        Ok(config)
    }

    fn open(context: &mut OpenContext, config: &RegistryConfig) -> Result<Self, ConfigError> {
        let clock = context.arena.clock().clone();
        let [_, kind, size, probes, lease_shift, ..] = context.basis;
        let layout = Layout::from_words([kind, size, probes, lease_shift]).ok_or_else(|| damaged("window_calls"))?;
        Self::in_room(&mut context.room, config.clone(), layout, context.born_ns, clock)
    }

    /// Thresholds are each handle's own, and this one has been opened with the new ones. What was changed at run time
    /// was changed from others.
    fn apply(&self, _: &OpenContext, _: &RegistryConfig, _: &RegistryConfig) -> Result<(), ConfigError> {
        self.shelf.forget_changes();
        Ok(())
    }
}

/// Tells overrides apart; 0 without any.
fn fingerprint(config: &RegistryConfig) -> u64 {
    let mut bytes = Vec::new();
    for (pattern, config) in &config.overrides {
        bytes.extend_from_slice(&(pattern.len() as u64).to_le_bytes());
        bytes.extend_from_slice(pattern);
        bytes.extend(words(config).iter().flat_map(|word| word.to_le_bytes()));
    }
    // No secret: who declares them does so for themselves.
    if bytes.is_empty() { 0 } else { HashOfKeys::derived([0, 0], 0).hash(&bytes) }
}
