//! Exact decimals, so that `0.1/s` is one token in ten seconds and not a float's idea of it.

use super::gcd;
use crate::ConfigError;
use crate::setting::{Field, time};

/// How far a fraction may be from the decimal that it stands for, as a part of it: what a float cannot tell apart.
const FLOAT_PARTS: u128 = 1_000_000_000_000_000;

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
    pub(super) fn from_f64(field: &Field, value: f64) -> Result<Self, ConfigError> {
        let positive = value.is_finite() && value > 0.0;
        let shortest = format!("{value}");
        let parsed = Self::parse(&shortest).or_else(|| Self::parse(&format!("{value:.18}")));
        parsed.filter(|decimal| positive && decimal.digits > 0).ok_or_else(|| {
            let said = if field.is_span() && value >= 0.0 { time((value * 1e9) as u64) } else { format!("{value:?}") };
            field.outside(said, "; give a positive, finite number, like 100")
        })
    }

    fn scale(self) -> u128 {
        10_u128.pow(self.places)
    }

    /// Rounded up, saturating.
    pub(super) fn ceil(self) -> u64 {
        u64::try_from(self.digits.div_ceil(self.scale())).unwrap_or(u64::MAX)
    }

    /// So many units of `unit_ns` nanoseconds, to the nearest nanosecond. `None`: more than can be reckoned with.
    pub(super) fn ns(self, unit_ns: u64) -> Option<u128> {
        Some((self.digits.checked_mul(unit_ns.into())? + self.scale() / 2) / self.scale())
    }

    /// As the fraction with the smallest denominator that it can stand for, in lowest terms: 0.5 is 1/2, and 1/3600 as
    /// a float is 1/3600.
    pub(super) fn fraction(self) -> (u128, u128) {
        let divisor = gcd(self.digits, self.scale()).max(1);
        let (exact, den) = (self.digits / divisor, self.scale() / divisor);
        // The convergents of its continued fraction (Khinchin, "Continued Fractions", 6): h1/k1 is the present one.
        let (mut a, mut b) = (exact, den);
        let (mut h0, mut k0, mut h1, mut k1) = (0_u128, 1_u128, 1_u128, 0_u128);
        while b != 0 {
            let whole = a / b;
            (a, b) = (b, a % b);
            let next =
                |last: u128, before: u128| last.checked_mul(whole).and_then(|product| product.checked_add(before));
            let (Some(h), Some(k)) = (next(h1, h0), next(k1, k0)) else { break };
            (h0, k0, h1, k1) = (h1, k1, h, k);
            // |h/k - exact/den| <= exact/den / FLOAT_PARTS
            let (Some(left), Some(right)) = (h1.checked_mul(den), exact.checked_mul(k1)) else { continue };
            if left.abs_diff(right) <= right / FLOAT_PARTS {
                return (h1, k1);
            }
        }
        (exact, den)
    }
}
