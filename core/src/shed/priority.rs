//! Who is shed before whom.

use crate::ConfigError;
use std::fmt;
use std::str::FromStr;

/// How many levels each class has, from 0, the last to be shed.
pub const LEVELS: u32 = 128;
/// Places in the order of shedding: the last level of `Sheddable` is 0, the first of `Critical` the highest.
pub(super) const PLACES: usize = 4 * LEVELS as usize;

/// What a request is worth; a class is shed when those below it are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Shed last, and only while the pressure has been at `critical_at` for `critical_after`.
    Critical = 0,
    /// What users wait for.
    High = 1,
    /// Where nothing is said.
    #[default]
    Normal = 2,
    /// What can be done later, or again.
    Sheddable = 3,
}

impl Priority {
    /// All of them, the last to be shed first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Sheddable];

    /// Its name in every language.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Sheddable => "sheddable",
        }
    }

    /// The place of one of its levels in the order of shedding; a level beyond the last is the last.
    #[inline]
    pub(super) fn place(self, level: u8) -> usize {
        let level = u32::from(level).min(LEVELS - 1);
        ((3 - self as u32) * LEVELS + (LEVELS - 1 - level)) as usize
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Priority {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::ALL.into_iter().find(|priority| priority.name() == text).ok_or_else(|| {
            let message = format!("{text:?} is not \"critical\", \"high\", \"normal\" or \"sheddable\"");
            ConfigError::syntax("priority", message)
        })
    }
}

/// The priority and level that stand at a place.
pub(super) fn of_place(place: usize) -> (Priority, usize) {
    let place = place.min(PLACES - 1);
    (Priority::ALL[3 - place / LEVELS as usize], LEVELS as usize - 1 - place % LEVELS as usize)
}
