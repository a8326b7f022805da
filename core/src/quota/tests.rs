use super::*;

fn parse(text: &str) -> (u64, u64, u32) {
    let quota: Quota = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    (quota.count, quota.period_ns, quota.burst)
}

#[test]
fn texts_that_limits_and_slowapi_accept() {
    const S: u64 = NS_PER_S;
    for (text, expect) in [
        ("100/minute", (100_u64, 60 * S, 100)),
        ("100 per minute", (100, 60 * S, 100)),
        ("5 per 15 minutes", (5, 900 * S, 5)),
        ("400/s", (400, S, 400)),
        (" 100 / Min ", (100, 60 * S, 100)),
        ("10/2hours", (10, 7_200 * S, 10)),
        ("1 per year", (1, YEAR_NS, 1)),
        ("1/month", (1, 30 * 86_400 * S, 1)),
        ("7/ms", (7, 1_000_000, 7)),
        ("0.5/s", (5, 10 * S, 1)),
        ("2.50 per 0.5 s", (25, 5 * S, 3)),
    ] {
        let (count, period, burst) = parse(text);
        assert_eq!(u128::from(count) * u128::from(expect.1), u128::from(expect.0) * u128::from(period), "{text}");
        assert_eq!(burst, expect.2, "{text}");
    }
}

#[test]
fn what_is_written_is_what_is_shown() {
    assert_eq!(parse("100/minute"), (100, 60 * NS_PER_S, 100));
    assert_eq!(Quota::from_f64(400.0, 1.0).unwrap().to_string(), "400 per 1s, burst 400");
}

#[test]
fn a_period_stays_as_written() {
    const MS: u64 = 1_000_000;
    for (text, count, ms, burst) in [
        ("10 per 1.5 s", 10, 1_500, 10),
        ("2 per 2.5s", 2, 2_500, 2),
        ("1000 per 0.5 s", 1_000, 500, 1_000),
        ("6 per 1.5 min", 6, 90_000, 6),
        ("0.5/s", 1, 2_000, 1),
        ("0.3/s", 3, 10_000, 1),
        ("2.5/s", 5, 2_000, 3),
        ("2.50 per 0.5 s", 5, 1_000, 3),
        ("7.5 per 1.5 s", 15, 3_000, 8),
    ] {
        assert_eq!(parse(text), (count, ms * MS, burst), "{text}");
        let window = text.parse::<Quota>().unwrap().in_window().unwrap();
        assert_eq!(u64::from(window.burst()), count, "{text}");
    }
    assert_eq!(Quota::from_f64(10.0, 1.5).unwrap().to_string(), "10 per 1.5s, burst 10");
    // A burst that was given is what a window counts.
    let given = "2.5/s".parse::<Quota>().unwrap().with_burst(4).unwrap();
    assert_eq!(given.in_window().unwrap(), given);
    assert_eq!(Quota::from_f64(1.0, 1.0 / 3.0).unwrap().period().as_nanos(), 333_333_333);
    assert!("1 per 0.4 ns".parse::<Quota>().unwrap_err().to_string().contains("faster than"));
}

#[test]
fn a_float_stands_for_the_fraction_that_it_was_made_from() {
    for (count, period_ns) in
        [(1.0 / 3600.0, 3_600), (100.0 / 60.0, 3), (1.0 / 3.0, 3), (0.1, 10), (1.1, 10), (1e-3, 1_000)]
    {
        let quota = Quota::from_f64(count, 1.0).unwrap();
        assert_eq!(quota.period_ns, period_ns * NS_PER_S, "{count}");
        let rate = quota.count as f64 / period_ns as f64;
        assert!((rate / count - 1.0).abs() < 1e-15, "{count}: {quota}");
    }
}

#[test]
fn several_rates() {
    let many = Quota::parse_many("100/minute; 5000 per day|1/s,2/s").unwrap();
    assert_eq!(many.iter().map(Quota::count).collect::<Vec<_>>(), [100, 5000, 1, 2]);
    assert!(Quota::parse_many("100/minute;").is_err());
}

#[test]
fn floats_mean_their_decimals() {
    let tenth = Quota::from_f64(0.1, 1.0).unwrap();
    assert_eq!(u128::from(tenth.period_ns), u128::from(tenth.count) * 10 * u128::from(NS_PER_S));
    assert_eq!(tenth.burst(), 1);
    assert_eq!(Quota::from_f64(1e8, 1.0).unwrap().burst(), 100_000_000);
    let hourly = Quota::from_f64(1.0 / 3600.0, 1.0).unwrap();
    let interval = hourly.period().as_secs_f64() / hourly.count() as f64;
    assert!((3600.0..3600.001).contains(&interval), "{interval}");
    assert_eq!(Quota::from_f64(1.0, 1e-8).unwrap().count(), 1);
}

#[test]
fn wrong_texts_say_what_is_allowed() {
    for (text, part) in [
        ("", "is not a rate"),
        ("abc", "is not a rate"),
        ("100", "\"/\" or \"per\""),
        ("-1/s", "cannot be negative"),
        ("1..5/s", "is not a rate"),
        ("100/fortnight", "is not a unit of time"),
        ("0/s", "a rate of zero"),
        ("1/0s", "a rate of zero"),
        ("1/s;2/s", "several rates"),
        ("100000001/s", "faster than 100,000,000"),
        ("1 per 37 years", "slower than 1 token in 36 years"),
        ("99999999999999999999999999999999999/s", "is not a rate"),
        ("5000000000/year", "1 to 4294967295"),
    ] {
        let error = text.parse::<Quota>().expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    assert!("x".repeat(1 << 20).parse::<Quota>().unwrap_err().to_string().len() < 400);
}

#[test]
fn wrong_numbers_say_what_is_allowed() {
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 5e-324] {
        assert!(Quota::from_f64(value, 1.0).is_err(), "{value}");
    }
    assert!(Quota::from_f64(1.0, 0.0).unwrap_err().to_string().starts_with("period: 0ns is not within 1ns to"));
    assert!(Quota::new(0, Duration::from_secs(1)).is_err());
    assert!(Quota::new(1, Duration::ZERO).is_err());
    let quota = Quota::new(1, Duration::from_secs(1)).unwrap();
    assert_eq!(quota.with_burst(0).unwrap_err().field(), "burst");
    assert_eq!(quota.with_burst(1 << 32).unwrap_err().field(), "burst");
    assert_eq!(quota.with_burst(u64::MAX).unwrap_err().field(), "burst");
    let yearly: Quota = "1/year".parse().unwrap();
    assert!(yearly.with_burst(37).unwrap_err().to_string().contains("1 to 36"));
    assert!(yearly.with_burst(36).is_ok());
}
