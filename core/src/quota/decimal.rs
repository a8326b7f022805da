//! Exact decimals, so that `0.1/s` is one token in ten seconds and not a float's idea of it.

use crate::ConfigError;

/// `digits` × 10^-`places`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    pub(super) digits: u128,
    places: u32,
}

impl Decimal {
    pub(super) const ONE: Self = Self { digits: 1, places: 0 };

    /// Digits with at most one point: no sign, no exponent. `None` for anything else or for more than 30 digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fraction = fraction.trim_end_matches('0');
        let (all, places) = (format!("{whole}{fraction}"), fraction.len());
        let valid = !whole.is_empty() && all.len() <= 30 && all.bytes().all(|byte| byte.is_ascii_digit());
        if !valid || places > 18 {
            return None;
        }
        Some(Self { digits: all.parse().ok()?, places: places as u32 })
    }

    /// A positive finite float at its shortest decimal form, to 18 places.
    pub(super) fn from_f64(field: &'static str, value: f64) -> Result<Self, ConfigError> {
        let positive = value.is_finite() && value > 0.0;
        let shortest = format!("{value}");
        let parsed = Self::parse(&shortest).or_else(|| Self::parse(&format!("{value:.18}")));
        parsed.filter(|decimal| positive && decimal.digits > 0).ok_or_else(|| {
            ConfigError::out_of_range(
                field,
                format!("{value:?} is not usable; give a positive, finite number, like 100"),
            )
        })
    }

    pub(super) fn scale(self) -> u128 {
        10_u128.pow(self.places)
    }

    /// Rounded up, saturating.
    pub(super) fn ceil(self) -> u64 {
        u64::try_from(self.digits.div_ceil(self.scale())).unwrap_or(u64::MAX)
    }
}
