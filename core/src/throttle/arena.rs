//! A throttle that processes share.

use super::{ClientThrottle, ClientThrottleConfig};
use crate::arena::{ArenaError, ArenaObject, ObjectKind, OpenContext, Settings};
use crate::mode::Mode;
use crate::{Arena, ConfigError, OnConflict};
use std::sync::Arc;
use std::time::Duration;

impl ClientThrottle {
    /// The throttle `name` of an arena, opened or made: one window for all who share the arena, on its clock. Name it
    /// after the dependency. The mode is each opener's own; with [`OnConflict::Apply`] processes that have it open go
    /// on by their settings.
    ///
    /// Errors: as [`new`](Self::new), and those of the arena: another window or, unless `on_conflict` says otherwise,
    /// other settings under the name.
    ///
    /// ```
    /// use tidegate::throttle::{ClientThrottle, ClientThrottleConfig};
    /// use tidegate::{Arena, OnConflict};
    ///
    /// let arena = Arena::process("search")?;
    /// let open = || ClientThrottle::in_arena(&arena, "index", ClientThrottleConfig::default(), OnConflict::Error);
    /// let (one, other) = (open()?, open()?);
    /// (0..20).for_each(|_| one.refused());
    /// assert!(other.probability() > 0.8);
    /// # Ok::<(), tidegate::arena::ArenaError>(())
    /// ```
    pub fn in_arena(
        arena: &Arc<Arena>,
        name: &str,
        config: ClientThrottleConfig,
        on_conflict: OnConflict,
    ) -> Result<Self, ArenaError> {
        config.check()?;
        arena.object(name, &config, on_conflict)
    }
}

impl ArenaObject for ClientThrottle {
    const KIND: ObjectKind = ObjectKind::ClientThrottle;
    type Config = ClientThrottleConfig;

    fn shape(config: &ClientThrottleConfig) -> String {
        format!("calls of the last {:?}", config.window)
    }

    fn settings(config: &ClientThrottleConfig) -> Settings {
        let ClientThrottleConfig { k, min_calls, max_rejection, force_pass, .. } = config;
        Settings::new(
            &[k.to_bits(), (*min_calls).into(), max_rejection.to_bits(), force_pass.as_nanos() as u64],
            format!(
                "k {k} of at least {min_calls} calls, rejects at most {max_rejection}, one passes each {force_pass:?}"
            ),
        )
    }

    /// For who looks inside: it has no config.
    fn basis(config: &ClientThrottleConfig) -> [u64; 8] {
        [config.window.as_nanos() as u64, 0, 0, 0, 0, 0, 0, 0]
    }

    fn config(context: &OpenContext, own: Option<&ClientThrottleConfig>) -> Result<ClientThrottleConfig, ConfigError> {
        let ([k, min_calls, max_rejection, force_pass, ..], [window, ..]) = (context.settings.words, context.basis);
        let config = ClientThrottleConfig {
            k: f64::from_bits(k),
            // Of the same shape, where there is one.
            window: own.map_or(Duration::from_nanos(window), |own| own.window),
            min_calls: u32::try_from(min_calls).unwrap_or(u32::MAX),
            max_rejection: f64::from_bits(max_rejection),
            force_pass: Duration::from_nanos(force_pass),
            mode: own.map_or(Mode::Enforce, |own| own.mode),
        };
        config.check()?;
        Ok(config)
    }

    fn open(context: &mut OpenContext, config: &ClientThrottleConfig) -> Result<Self, ConfigError> {
        let clock = context.arena.clock().clone();
        Self::in_room(&mut context.room, *config, context.born_ns, clock)
    }

    /// Settings are each handle's own, and this one has been opened with the new ones.
    fn apply(&self, _: &OpenContext, _: &ClientThrottleConfig, _: &ClientThrottleConfig) -> Result<(), ConfigError> {
        Ok(())
    }
}
