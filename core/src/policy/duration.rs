//! Spans of time as text: `"250ms"`, `"30s"`, `"5m"`, `"1h30m"`, `"1.5s"`.

/// Longest first; what a text is written with.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

fn unit_ns(name: &str) -> Option<u64> {
    let name = match name {
        "µs" | "μs" => "us",
        "min" => "m",
        name => name,
    };
    UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, ns)| *ns)
}

/// Nanoseconds; `None`: it is no span of time, or not one of whole nanoseconds, or longer than 584 years.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (mut rest, mut sum) = (text, 0_u64);
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        sum = sum.checked_add(span(number, unit_ns(unit)?)?)?;
        if after.is_empty() {
            return Some(sum);
        }
        rest = after;
    }
}

/// `number` times the unit, exactly.
fn span(number: &str, unit_ns: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 20 || part.len() > 14 || part.is_empty() == number.contains('.') {
        return None;
    }
    let digits: u128 = format!("{whole}{part}").parse().ok()?;
    let (ns, scale) = (digits.checked_mul(unit_ns.into())?, 10_u128.pow(part.len() as u32));
    (ns % scale == 0).then(|| u64::try_from(ns / scale).ok())?
}

/// In the largest unit that says it in a whole number.
pub(super) fn text(ns: u64) -> String {
    let unit = UNITS.iter().find(|(_, unit)| ns >= *unit && ns.is_multiple_of(*unit));
    unit.map_or_else(|| "0s".to_owned(), |(name, unit)| format!("{}{name}", ns / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_times() {
        for (text, ns) in [
            ("250ms", Some(250_000_000)),
            ("30s", Some(30_000_000_000)),
            ("5m", Some(300_000_000_000)),
            ("5min", Some(300_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("0s", Some(0)),
            ("0.000000001s", Some(1)),
            ("1µs", Some(1_000)),
            ("18446744073709551615ns", Some(u64::MAX)),
            ("18446744073709551616ns", None),
            ("0.5ns", None),
            ("1.s", None),
            (".5s", None),
            ("1..5s", None),
            ("-1s", None),
            ("1 s", None),
            ("1S", None),
            ("30", None),
            ("s", None),
            ("", None),
            ("1sms", None),
            ("999999999999999999999999d", None),
        ] {
            assert_eq!(parse(text), ns, "{text}");
        }
        for ns in [0, 1, 999, 1_000, 90_000_000_000, 86_400_000_000_000, u64::MAX] {
            assert_eq!(parse(&text(ns)), Some(ns));
        }
        assert_eq!([1_500_000_000, 90_000_000_000].map(text), ["1500ms", "90s"]);
    }
}
