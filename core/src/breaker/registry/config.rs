//! A registry's settings.

use super::pattern;
use crate::breaker::BreakerConfig;
use crate::breaker::layout::Layout;
use crate::setting::{Field, Kind, Preset, Table};
use crate::{ConfigError, ConfigErrorKind};

/// The most breakers of a registry.
pub(super) const MAX_BREAKERS: u32 = 65_536;

/// Settings of a [`BreakerRegistry`](super::BreakerRegistry).
#[derive(Clone, Debug, PartialEq)]
pub struct RegistryConfig {
    /// How many keys can have a breaker, 1 to 65 536. Each takes about 4 KiB, taken at once. Default 1 024.
    pub max_breakers: u32,
    /// Settings of the breakers.
    pub defaults: BreakerConfig,
    /// Other settings for some keys: a pattern in which `*` stands for any bytes, and the settings. Of the patterns
    /// that mean a key the one with the most bytes other than stars holds, of equals the first. A key beyond 256 bytes
    /// is judged by its first 240. The defaults decide how much room each has, see
    /// [`set_config`](crate::CircuitBreaker::set_config).
    pub overrides: Vec<(Vec<u8>, BreakerConfig)>,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { max_breakers: MAX.count() as u32, defaults: BreakerConfig::default(), overrides: Vec::new() }
    }
}

impl RegistryConfig {
    /// Errors: a setting outside its bounds; a pattern's for which breakers made with the defaults have no room.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_each()?;
        self.fits(&Layout::of(&self.defaults))
    }

    pub(super) fn check_each(&self) -> Result<(), ConfigError> {
        MAX.check_count(self.max_breakers.into(), "; the rest shares one breaker when none can make room")?;
        self.defaults.validate()?;
        for (at, (pattern, config)) in self.overrides.iter().enumerate() {
            let name = String::from_utf8_lossy(pattern);
            if pattern.is_empty() {
                return Err(ConfigError::syntax("overrides", "has an empty pattern; \"*\" means every key"));
            }
            if self.overrides[..at].iter().any(|(other, _)| other == pattern) {
                let message = format!("has the pattern {name:?} twice; give it once");
                return Err(ConfigError::new(ConfigErrorKind::Conflict, "overrides", message));
            }
            config.validate().map_err(|error| of_pattern(pattern, &error))?;
        }
        Ok(())
    }

    /// Whether breakers of this layout have room for all of it.
    pub(super) fn fits(&self, layout: &Layout) -> Result<(), ConfigError> {
        layout.check(&self.defaults)?;
        let fits = |(pattern, config): &(Vec<u8>, _)| layout.check(config).map_err(|error| of_pattern(pattern, &error));
        self.overrides.iter().try_for_each(fits)
    }

    /// The settings of a key.
    pub fn of(&self, key: &[u8]) -> &BreakerConfig {
        self.over(key).map_or(&self.defaults, |(_, config)| config)
    }

    /// Whether it is this pattern that holds for a key.
    #[doc(hidden)] // For the bindings of Python and Node.
    pub fn holds(&self, key: &[u8], pattern: &[u8]) -> bool {
        self.over(key).is_some_and(|(holds, _)| holds == pattern)
    }

    /// The pattern that holds for a key, and its settings.
    pub(super) fn over(&self, key: &[u8]) -> Option<(&[u8], &BreakerConfig)> {
        let mut found: Option<(usize, &(Vec<u8>, BreakerConfig))> = None;
        for it in &self.overrides {
            let weight = pattern::weight(&it.0);
            if found.is_none_or(|(most, _)| weight > most) && pattern::matches(&it.0, key) {
                found = Some((weight, it));
            }
        }
        found.map(|(_, (pattern, config))| (pattern.as_slice(), config))
    }

    /// The settings of a pattern: its own, or those that a new one begins with. They are those of the pattern that says
    /// most, of equals the first, among those that mean all of its keys; the defaults where there is none.
    pub fn of_pattern(&self, pattern: &[u8]) -> &BreakerConfig {
        let known = self.overrides.iter().find(|(other, _)| other == pattern);
        let mut found: Option<(usize, &BreakerConfig)> = None;
        for (other, config) in &self.overrides {
            let weight = pattern::weight(other);
            if found.is_none_or(|(most, _)| weight > most) && pattern::covers(other, pattern) {
                found = Some((weight, config));
            }
        }
        known.map(|(_, config)| config).or(found.map(|(_, config)| config)).unwrap_or(&self.defaults)
    }

    /// Declares patterns by what each changes of the settings that it begins with, whatever their order.
    #[doc(hidden)] // For the bindings of Python and Node.
    pub fn declare<F: FnOnce(&mut BreakerConfig)>(&mut self, mut patterns: Vec<(Vec<u8>, F)>) {
        // Stable: of equals the first holds.
        patterns.sort_by_key(|(pattern, _)| pattern::weight(pattern));
        for (pattern, update) in patterns {
            let mut config = self.of_pattern(&pattern).clone();
            update(&mut config);
            self.overrides.push((pattern, config));
        }
    }

    /// With the pattern's settings changed, for breakers of this layout.
    pub(super) fn changed(
        &self,
        pattern: &[u8],
        layout: &Layout,
        update: impl FnOnce(&mut BreakerConfig),
    ) -> Result<Self, ConfigError> {
        check_pattern(pattern)?;
        let mut new = self.clone();
        let known = new.overrides.iter().position(|(other, _)| other == pattern);
        let at = known.unwrap_or_else(|| {
            new.overrides.push((pattern.to_vec(), self.of_pattern(pattern).clone()));
            new.overrides.len() - 1
        });
        let config = &mut new.overrides[at].1;
        update(config);
        config.validate()?;
        layout.check(config)?;
        Ok(new)
    }
}

pub(super) fn check_pattern(pattern: &[u8]) -> Result<(), ConfigError> {
    match pattern.is_empty() {
        true => Err(ConfigError::syntax("pattern", "is empty; \"*\" means every key")),
        false => Ok(()),
    }
}

#[cold]
fn of_pattern(pattern: &[u8], error: &ConfigError) -> ConfigError {
    let message = format!("for {:?}: {} {}", String::from_utf8_lossy(pattern), error.field(), error.message());
    ConfigError::new(error.kind(), "overrides", message)
}

pub(super) const MAX: Field = Field::new(
    "max_breakers",
    Kind::Count { min: 1, max: MAX_BREAKERS as u64 },
    Preset::Count(1024),
    "how many keys can have a breaker; about 4 KiB each, taken at once",
);

/// The settings of a registry beside those of its breakers.
pub static SETTINGS: Table = Table { object: "registry", fields: &[MAX] };
