use super::*;
use crate::ConfigErrorKind;
use crate::Quota;
use proptest::prelude::*;
use sfv::{BareItem, List, ListEntry, Parser};

fn policy(name: &str) -> Policy {
    Policy::new(name).expect("a name")
}

fn told(remaining: u32, reset: u64) -> RateLimitStatus {
    RateLimitStatus { allowed: true, limit: 100, remaining, reset, retry_after: 0 }
}

#[test]
fn several_policies_share_a_field() {
    let quotas: [Quota; 2] = ["50/minute", "1000/hour"].map(|rate| rate.parse().expect("a rate"));
    let (mut quota_field, mut limit_field) = (String::new(), String::new());
    for (name, quota) in ["permin", "perhr"].into_iter().zip(quotas) {
        policy(name).write_quota(&mut quota_field, quota.burst(), Some(quota.fill_time()), None);
        policy(name).write_limit(&mut limit_field, &told(7, 30), None);
    }
    assert_eq!(quota_field, r#""permin";q=50;w=60, "perhr";q=1000;w=3600"#);
    assert_eq!(limit_field, r#""permin";r=7;t=30, "perhr";r=7;t=30"#);
}

#[test]
fn units_and_partition_keys() {
    let bytes = policy("peruser").with_unit("content-bytes").expect("a unit");
    let mut value = String::new();
    bytes.write_quota(&mut value, 65535, Some(Duration::from_millis(9001)), Some(b"App-999"));
    assert_eq!(value, r#""peruser";q=65535;qu="content-bytes";w=10;pk=:QXBwLTk5OQ==:"#);
    assert_eq!((bytes.unit(), policy("a").unit()), ("content-bytes", "requests"));
    assert_eq!(policy("a").with_unit("requests"), Ok(policy("a")));
}

#[test]
fn a_window_is_at_least_a_second_and_may_be_missing() {
    for (window, expected) in [
        (Some(Duration::ZERO), r#""a";q=1;w=1"#),
        (Some(Duration::from_nanos(1_000_000_001)), r#""a";q=1;w=2"#),
        (Some(Duration::MAX), r#""a";q=1;w=999999999999999"#),
        (None, r#""a";q=1"#),
    ] {
        let mut value = String::new();
        policy("a").write_quota(&mut value, 1, window, None);
        assert_eq!(value, expected);
    }
}

#[test]
fn a_long_partition_key_is_left_out() {
    let mut value = String::new();
    policy("a").write_limit(&mut value, &told(1, 2), Some(&[b'k'; LONGEST_PARTITION_KEY + 1]));
    assert_eq!(value, r#""a";r=1;t=2"#);
}

#[test]
fn names_cannot_break_out_of_the_header() {
    for name in ["", "a\r\nSet-Cookie: x=1", "a\0", "\u{e9}", "a\tb", "\u{7f}", &"n".repeat(129)] {
        let error = Policy::new(name).expect_err(name);
        assert_eq!((error.kind(), error.field()), (ConfigErrorKind::Syntax, "name"));
        assert_eq!(policy("a").with_unit(name).expect_err(name).field(), "unit");
    }
    let mut value = String::new();
    policy(r#"a";q=9, "\"#).write_quota(&mut value, 1, None, None);
    assert_eq!(value, r#""a\";q=9, \"\\";q=1"#);
}

#[test]
fn reads_the_examples_of_the_draft() {
    let quota = |name: &str, quota, window, unit: Option<&str>, partition_key: Option<&[u8]>| QuotaPolicy {
        name: name.to_owned(),
        quota,
        window,
        unit: unit.map(str::to_owned),
        partition_key: partition_key.map(<[u8]>::to_vec),
    };
    assert_eq!(
        parse_policies(r#""burst";q=100;w=60,"daily";q=1000;w=86400"#),
        Ok(vec![quota("burst", 100, Some(60), None, None), quota("daily", 1000, Some(86400), None, None)])
    );
    // The draft's base64 has bits after its last byte.
    let key = [0xb1, 0xd7, 0xe3, 0x2c, 0x95, 0x0e, 0x50];
    assert_eq!(
        parse_policies(r#""peruser";q=65535;qu="content-bytes";w=10;pk=:sdfjLJUOUH==:"#),
        Ok(vec![quota("peruser", 65535, Some(10), Some("content-bytes"), Some(&key))])
    );
    let limit = |remaining, reset, key: Option<&[u8]>| ServiceLimit {
        name: "default".to_owned(),
        remaining,
        reset,
        partition_key: key.map(<[u8]>::to_vec),
    };
    assert_eq!(parse_service_limits(r#""default";r=50;t=30"#), Ok(vec![limit(50, Some(30), None)]));
    let field = r#""default";r=999;pk=:dHJpYWwxMjEzMjM=:, "default";r=300000000;t=60;pk=:QXBwLTk5OQ==:"#;
    assert_eq!(
        parse_service_limits(field),
        Ok(vec![limit(999, None, Some(b"trial121323")), limit(300_000_000, Some(60), Some(b"App-999"))])
    );
    assert_eq!(parse_service_limits(""), Ok(vec![]));
}

#[test]
fn unknown_parameters_are_comments_and_the_later_of_two_counts() {
    let field = r#""a";q=1;acme-x=?1;y=tok/en;z=1.5;d=@-9;s=%"f%c3%bc";flag;q=2;w=5"#;
    let read = parse_policies(field).expect("well formed");
    assert_eq!((read[0].quota, read[0].window), (2, Some(5)));
}

#[test]
fn refuses_what_is_malformed() {
    let wrong = [
        "",
        "default;q=1",
        r#""a""#,
        r#""a";q"#,
        r#""a";q=-1"#,
        r#""a";q=1.0"#,
        r#""a";q=1;w=0"#,
        r#""a";q=1;w="5""#,
        r#""a";q=1;qu=requests"#,
        r#""a";q=1;pk="k""#,
        r#""a";q=1,"#,
        r#""a";q=1 "b";q=1"#,
        r#""a;q=1"#,
        r#"("a");q=1"#,
        r#""a";Q=1"#,
        r#""a" ;q=1"#,
        r#""a";q= 1"#,
        r#""a";q=1234567890123456"#,
        "\"a\u{e9}\";q=1",
        r#""a\x";q=1"#,
        r#""a";q=1;x=%"%C3""#,
        r#""a";q=1;x=?2"#,
        r#""a";q=1;x=@1.5"#,
        r#""a";q=1;pk=:a"#,
        "\t\"a\";q=1",
    ];
    for field in wrong {
        let error = parse_policies(field).expect_err(field);
        assert_eq!((error.kind(), error.field()), (ConfigErrorKind::Syntax, "rate_limit_policy"), "{field}");
    }
    for field in [r#""a";t=1"#, r#""a";r=-1"#, r#""a";r=1;t=-1"#, "3"] {
        assert_eq!(parse_service_limits(field).expect_err(field).field(), "rate_limit");
    }
}

/// A field as the crate `sfv` sees it: names with their whole numbers.
fn with_sfv(field: &str) -> Vec<(String, Vec<(String, i64)>)> {
    let list: List = Parser::new(field).parse().expect("sfv reads what we write");
    let member = |entry: ListEntry| {
        let ListEntry::Item(item) = entry else { panic!("an inner list in {field}") };
        let BareItem::String(name) = item.bare_item else { panic!("no string in {field}") };
        let numbers =
            item.params.iter().filter_map(|(key, value)| Some((key.to_string(), i64::from(value.as_integer()?))));
        (name.to_string(), numbers.collect())
    };
    list.into_iter().map(member).collect()
}

fn well_formed(field: &str) -> bool {
    let parsed: Result<List, _> = Parser::new(field).parse();
    parsed.is_ok_and(|list| {
        list.iter().all(|entry| matches!(entry, ListEntry::Item(item) if matches!(item.bare_item, BareItem::String(_))))
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(
        name in "[ -~]{1,20}",
        unit in prop::option::of("[ -~]{1,20}"),
        quota: u32,
        remaining: u32,
        seconds in 0..1_000_000_000_u64,
        key in prop::option::of(prop::collection::vec(any::<u8>(), 0..=LONGEST_PARTITION_KEY)),
    ) {
        let made = policy(&name);
        let made = match &unit { Some(unit) => made.with_unit(unit).expect("a unit"), None => made };
        let mut field = String::new();
        made.write_quota(&mut field, quota, Some(Duration::from_secs(seconds)), key.as_deref());
        policy("next").write_quota(&mut field, 1, None, None);
        let read = parse_policies(&field).expect("our own field");
        prop_assert_eq!((&read[0].name, read[0].quota), (&name, u64::from(quota)));
        prop_assert_eq!(read[0].window, Some(seconds.max(1)));
        prop_assert_eq!(&read[0].unit, &unit.filter(|unit| unit != "requests"));
        prop_assert_eq!(&read[0].partition_key, &key);
        let numbers = vec![("q".to_owned(), i64::from(quota)), ("w".to_owned(), seconds.max(1) as i64)];
        prop_assert_eq!(&with_sfv(&field)[0], &(name.clone(), numbers));

        let mut field = String::new();
        made.write_limit(&mut field, &told(remaining, seconds), key.as_deref());
        let read = parse_service_limits(&field).expect("our own field");
        let expected = ServiceLimit { name, remaining: remaining.into(), reset: Some(seconds), partition_key: key };
        prop_assert_eq!(&read[..], &[expected]);
    }

    /// Texts near a field: ours is refused where sfv refuses it, and read where sfv reads a list of strings.
    #[test]
    fn agrees_with_sfv_about_what_is_well_formed(pieces in prop::collection::vec(
        prop::sample::select(vec![
            "\"", "a", "\"a\"", "\"b\\\"\"", ";", ";q=1", ";r", "=", ",", " ", "\t", "1", "-", "1.5", ".", "?1", "?0",
            "@5", ":YQ==:", ":YQ:", ":", "*x/y", "%\"%c3%bc\"", "%\"", "(", ")", "\\", "A", "é", ";*k=tok",
        ]), 0..12))
    {
        let field = pieces.concat();
        prop_assert_eq!(structured::list(&field).is_ok(), well_formed(&field), "{:?}", field);
    }

    #[test]
    fn no_text_makes_the_parser_panic(field in ".{0,60}") {
        let _ = (parse_policies(&field), parse_service_limits(&field));
    }
}
