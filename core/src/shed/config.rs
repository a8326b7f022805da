//! A load shedder's settings.

use super::signal::{Signal, check_all};
use crate::ConfigError;
use crate::mode::Mode;
use crate::setting::{Field, Kind, Preset, Table};
use std::path::PathBuf;
use std::time::Duration;

/// Settings of a [`LoadShedder`](super::LoadShedder).
#[derive(Clone, Debug)]
pub struct ShedderConfig {
    /// What tells that there is too much to do, 1 to 16; the largest pressure counts.
    pub signals: Vec<Signal>,
    /// At full pressure the threshold rises each interval until this part of those who pass would not have. Default
    /// 0.05.
    pub rise: f64,
    /// At no pressure it falls each interval until this part of all more would have passed. Default 0.02.
    pub fall: f64,
    /// So many of each class pass in any case. Default 0.01.
    pub min_admit: f64,
    /// From this pressure on, held for `critical_after`, critical ones are shed too. Default 1.
    pub critical_at: f64,
    /// See `critical_at`. Default 1 s.
    pub critical_after: Duration,
    /// For so long after full pressure the threshold does not fall. Default 1 s.
    pub cool_off: Duration,
    /// How often signals are read and the threshold moves. Default 250 ms.
    pub interval: Duration,
    /// How many CPUs there are to use, where the system's files do not say it. Default: what they say.
    pub cpu_limit: Option<f64>,
    /// Users have the same levels in all services with this key. Default none: the same everywhere.
    pub level_key: String,
    /// Off, or only watching. By default [`Mode::from_env`].
    pub mode: Mode,
    /// Where the system's files stand: for tests.
    #[doc(hidden)]
    pub root: PathBuf,
}

impl ShedderConfig {
    /// By these signals.
    pub fn new(signals: Vec<Signal>) -> Self {
        Self {
            signals,
            rise: RISE.real(),
            fall: FALL.real(),
            min_admit: MIN_ADMIT.real(),
            critical_at: CRITICAL_AT.real(),
            critical_after: CRITICAL_AFTER.span(),
            cool_off: COOL_OFF.span(),
            interval: INTERVAL.span(),
            cpu_limit: None,
            level_key: String::new(),
            mode: Mode::default(),
            root: PathBuf::from("/"),
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        check_all(&self.signals)?;
        self.check_numbers()
    }

    pub(super) fn check_numbers(&self) -> Result<(), ConfigError> {
        RISE.check_real(self.rise, "")?;
        FALL.check_real(self.fall, "")?;
        MIN_ADMIT.check_real(self.min_admit, "; 0.01 lets one in a hundred through")?;
        CRITICAL_AT.check_real(self.critical_at, "")?;
        CRITICAL_AFTER.check_span(self.critical_after, "")?;
        COOL_OFF.check_span(self.cool_off, "")?;
        INTERVAL.check_span(self.interval, "")?;
        if let Some(limit) = self.cpu_limit {
            CPU_LIMIT.check_real(limit, "; left out, what the system says")?;
        }
        Ok(())
    }
}

const MS: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MS;

const RISE: Field = Field::new(
    "rise",
    Kind::Real { min: 0.001, from_min: true, max: 1.0 },
    Preset::Real(0.05),
    "at full pressure, the part of those who pass that is shed in addition each interval",
);
const FALL: Field = Field::new(
    "fall",
    Kind::Real { min: 0.001, from_min: true, max: 1.0 },
    Preset::Real(0.02),
    "at no pressure, the part of all that passes in addition each interval",
);
const MIN_ADMIT: Field = Field::new(
    "min_admit",
    Kind::Real { min: 0.0, from_min: true, max: 1.0 },
    Preset::Real(0.01),
    "the part of each class that passes in any case",
);
const CRITICAL_AT: Field = Field::new(
    "critical_at",
    Kind::Real { min: 0.0, from_min: false, max: 1.0 },
    Preset::Real(1.0),
    "the pressure from which on, held for critical_after, critical calls are shed too",
);
const CRITICAL_AFTER: Field = Field::new(
    "critical_after",
    Kind::Span { min_ns: 0, max_ns: HOUR },
    Preset::Span(1_000 * MS),
    "how long the pressure must be at critical_at before critical calls are shed",
);
const COOL_OFF: Field = Field::new(
    "cool_off",
    Kind::Span { min_ns: 0, max_ns: HOUR },
    Preset::Span(1_000 * MS),
    "for so long after full pressure no more pass than did",
);
const INTERVAL: Field = Field::new(
    "interval",
    Kind::Span { min_ns: 10 * MS, max_ns: 10_000 * MS },
    Preset::Span(250 * MS),
    "how often signals are read and the threshold moves",
);
const CPU_LIMIT: Field = Field::new(
    "cpu_limit",
    Kind::Real { min: 0.0, from_min: false, max: 65_536.0 },
    Preset::Unset,
    "how many CPUs there are to use; left out, what the system's files say",
);

/// The settings of a load shedder.
pub static SETTINGS: Table = Table {
    object: "shedder",
    fields: &[RISE, FALL, MIN_ADMIT, CRITICAL_AT, CRITICAL_AFTER, COOL_OFF, INTERVAL, CPU_LIMIT],
};
