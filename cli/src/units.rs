//! Sizes, times and rates for people.

use std::time::SystemTime;
use tidegate::decision::NEVER;

/// `412 KiB`: three figures, in binary units.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // What would round to 1024 of a unit is 1 of the next.
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", figures(value), UNITS[unit])
}

/// `1.3 s`, `2 min`, `3 h 20 min`, `5 d 2 h`: a span of nanoseconds.
pub(crate) fn span(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    let two = |big: u64, big_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{big} {big_unit}"),
        small => format!("{big} {big_unit} {small} {small_unit}"),
    };
    match ns / 1_000_000_000 {
        0 if ns == 0 => "0 s".to_owned(),
        0 if ns < 1_000 => format!("{ns} ns"),
        0 if ns < 1_000_000 => format!("{} us", figures(ns as f64 / 1e3)),
        0 => format!("{} ms", figures(ns as f64 / 1e6)),
        1..10 => format!("{} s", trimmed(format!("{seconds:.1}"))),
        whole @ 10..120 => format!("{whole} s"),
        whole @ 120..3_600 => two(whole / 60, "min", whole % 60, "s"),
        whole @ 3_600..86_400 => two(whole / 3_600, "h", whole % 3_600 / 60, "min"),
        whole => two(whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    }
}

/// `1,204,332`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A fraction of one as `12.5 %`.
pub(crate) fn percent(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}

/// Events a second: `0`, `0.25`, `399.8`, `12,031`.
pub(crate) fn rate(each_second: f64) -> String {
    match each_second {
        rate if rate >= 999.95 => count(rate.round() as u64),
        rate if rate >= 9.995 => format!("{rate:.1}"),
        rate if rate > 0.0 => format!("{rate:.2}"),
        _ => "0".to_owned(),
    }
}

/// For JSON: nanoseconds as seconds.
pub(crate) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// [`seconds`]; `None` (null) for never.
pub(crate) fn seconds_or_never(ns: u64) -> Option<f64> {
    (ns != NEVER).then(|| seconds(ns))
}

/// Nanoseconds since a moment of the wall clock.
pub(crate) fn age_ns(wall_ns: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).saturating_sub(wall_ns)
}

/// How long since a moment of the wall clock.
pub(crate) fn ago(wall_ns: u64) -> String {
    format!("{} ago", span(age_ns(wall_ns)))
}

/// Three figures, no zeros behind the point.
fn figures(value: f64) -> String {
    let places = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    trimmed(format!("{value:.places$}"))
}

fn trimmed(number: String) -> String {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.').to_owned() } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_figures() {
        let read = [0, 1023, 1024, 1536, 421_888, 16 << 20, (1 << 20) - 1, 1 << 40, u64::MAX].map(bytes);
        assert_eq!(read, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "412 KiB", "16 MiB", "1 MiB", "1 TiB", "16384 PiB"]);
    }

    #[test]
    fn spans_have_the_two_units_that_matter() {
        let second = 1_000_000_000;
        let read =
            [0, 17, 1_500, 12_345_678, second * 13 / 10, second * 119, second * 120, second * 3_725, second * 180_000];
        let text = read.map(span);
        assert_eq!(text, ["0 s", "17 ns", "1.5 us", "12.3 ms", "1.3 s", "119 s", "2 min", "1 h 2 min", "2 d 2 h"]);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_204_332].map(count), ["0", "999", "1,000", "1,204,332"]);
        assert_eq!(percent(0.125), "12.5 %");
    }
}
