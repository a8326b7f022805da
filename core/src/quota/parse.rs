//! The grammar of a rate: `count (/ | per | a) [multiple] unit`.

use super::{Decimal, NS_PER_S};
use crate::error::shortened;
use crate::{ConfigError, ConfigErrorKind};

/// Names of units in nanoseconds; a trailing `s` is taken off before the look-up.
const UNITS: [(&[&str], u64); 10] = [
    (&["ns", "nanosecond"], 1),
    (&["us", "µs", "microsecond"], 1_000),
    (&["ms", "millisecond"], 1_000_000),
    (&["s", "sec", "second"], NS_PER_S),
    (&["m", "min", "minute"], 60 * NS_PER_S),
    (&["h", "hr", "hour"], 3_600 * NS_PER_S),
    (&["d", "day"], 86_400 * NS_PER_S),
    (&["w", "week"], 7 * 86_400 * NS_PER_S),
    (&["month"], 30 * 86_400 * NS_PER_S),
    (&["y", "yr", "year"], super::YEAR_NS),
];

/// Count, multiple and unit in nanoseconds of a text like `"5 per 15 minutes"`.
pub(super) fn rate(text: &str) -> Result<(Decimal, Decimal, u64), ConfigError> {
    if text.contains([';', ',', '|']) {
        return Err(not_a_rate(text));
    }
    let lower = text.trim().to_lowercase();
    let (count, rest) = split_number(&lower);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('/').or_else(|| rest.strip_prefix("per ")).ok_or_else(|| not_a_rate(text))?;
    let (multiple, unit) = split_number(rest.trim_start());
    let count = Decimal::parse(count).ok_or_else(|| not_a_rate(text))?;
    let multiple = if multiple.is_empty() { Some(Decimal::ONE) } else { Decimal::parse(multiple) };
    let multiple = multiple.ok_or_else(|| not_a_rate(text))?;
    Ok((count, multiple, unit_ns(unit.trim()).ok_or_else(|| unknown_unit(text, unit))?))
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

fn unit_ns(name: &str) -> Option<u64> {
    let find = |name: &str| UNITS.iter().find(|(names, _)| names.contains(&name)).map(|&(_, ns)| ns);
    find(name).or_else(|| find(name.strip_suffix('s')?))
}

fn not_a_rate(text: &str) -> ConfigError {
    let hint = match text.trim() {
        text if text.contains([';', ',', '|']) => "; it holds several rates, and one is wanted here",
        text if text.starts_with('-') => "; a rate cannot be negative",
        _ => "",
    };
    ConfigError::new(
        ConfigErrorKind::Syntax,
        "rate",
        format!(
            "{:?} is not a rate{hint}; write a count, \"/\" or \"per\", and a unit, like \"100/minute\", \"400/s\" or \
             \"5 per 15 minutes\"",
            shortened(text)
        ),
    )
}

fn unknown_unit(text: &str, unit: &str) -> ConfigError {
    ConfigError::new(
        ConfigErrorKind::Syntax,
        "rate",
        format!(
            "{:?} is not a unit of time (in {:?}); use ns, us, ms, s, min, h, day, week, month (30 days) or year (365)",
            shortened(unit.trim()),
            shortened(text)
        ),
    )
}
