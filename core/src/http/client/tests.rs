use super::*;
use proptest::prelude::*;

fn behind(proxies: &[&str]) -> ClientAddress {
    ClientAddress::new().with_trusted(proxies.iter().copied()).expect("networks")
}

fn forwarded(proxies: &[&str]) -> ClientAddress {
    behind(proxies).with_header("Forwarded").expect("a header")
}

fn key<'p>(clients: &ClientAddress, peer: &'p str, lines: &[&str]) -> Cow<'p, str> {
    clients.key(peer, lines.iter().map(|line| line.as_bytes()))
}

#[test]
fn reads_addresses_as_they_are_written() {
    let expected = [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("192.0.2.1:_hidden", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::FFFF:192.0.2.1]:80", "192.0.2.1"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
    ];
    for (text, address) in expected {
        assert_eq!(parse_address(text.as_bytes()).map(|ip| ip.to_string()).as_deref(), Some(address), "{text}");
    }
    let long = format!("fe80::1%{}", "z".repeat(LONGEST_ZONE));
    let wrong = [
        "",
        "unknown",
        "_hidden",
        "192.0.2",
        "192.0.2.01",
        "192.0.2.256",
        "192.0.2.1:",
        "192.0.2.1:123456",
        "192.0.2.1:x",
        "192.0.2.1:_",
        " 192.0.2.1",
        "2001:db8::1::",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]4711",
        "[2001:db8::1]:",
        "[192.0.2.1]",
        "fe80::1%",
        "192.0.2.1%eth0",
        "::1\0",
        "1.2.3.4,5.6.7.8",
        &long,
    ];
    for text in wrong {
        assert_eq!(parse_address(text.as_bytes()), None, "{text}");
    }
    assert_eq!(parse_address(b"\xff\xfe"), None);
}

const LONGEST_ZONE: usize = 128;

#[test]
fn the_longest_chain_is_bounded() {
    let clients = behind(&["10.0.0.0/8"]);
    let entries: Vec<String> = (0..200).map(|n| format!("10.0.{}.{}", n / 100, n % 100)).collect();
    let line = format!("203.0.113.9, {}", entries.join(", "));
    assert_eq!(key(&clients, "10.9.9.9", &[&line]), entries[200 - MAX_HOPS]);
    let (left, right) = line.split_at(line.find(", 10.0.1.").expect("the second hundred"));
    assert_eq!(key(&clients, "10.9.9.9", &[left, &right[2..]]), entries[200 - MAX_HOPS], "the same in two lines");
    let elements: Vec<String> = entries.iter().map(|entry| format!("for={entry}")).collect();
    assert_eq!(key(&forwarded(&["10.0.0.0/8"]), "10.9.9.9", &[&elements.join(",")]), entries[200 - MAX_HOPS]);
}

#[test]
fn hundreds_of_thousands_of_entries_change_nothing() {
    for (clients, entry) in [(behind(&["10.0.0.0/8"]), "6.6.6.6,"), (forwarded(&["10.0.0.0/8"]), "for=6.6.6.6,")] {
        let client = entry.replace("6.6.6.6,", "203.0.113.9");
        assert_eq!(key(&clients, "10.0.0.1", &[&(entry.repeat(200_000) + &client)]), "203.0.113.9");
        let commas = ",".repeat(500_000) + "," + &client;
        assert_eq!(key(&clients, "10.0.0.1", &[&commas]), "203.0.113.9");
        let hidden = client + &",".repeat(500_000);
        assert_eq!(key(&clients, "10.0.0.1", &[&hidden]), "10.0.0.1", "not looked for behind so many empty entries");
    }
}

#[test]
fn an_open_quote_hides_no_other_line() {
    let clients = forwarded(&["10.0.0.0/8"]);
    assert_eq!(key(&clients, "10.0.0.1", &["for=\"6.6.6.6", "for=203.0.113.9"]), "203.0.113.9");
    assert_eq!(key(&clients, "10.0.0.1", &["for=\"6.6.6.6, for=203.0.113.9"]), "10.0.0.1");
    assert_eq!(key(&clients, "10.0.0.1", &["for=\"6.6.6.6, for=\"[2001:db8::9]\""]), "10.0.0.1");
}

#[test]
fn only_the_configured_header_is_asked_for() {
    assert_eq!(ClientAddress::new().header(), None);
    assert_eq!(ClientAddress::new().with_header("Forwarded").expect("a header").header(), None);
    assert_eq!(behind(&["unix"]).header(), Some("x-forwarded-for"));
    assert_eq!(forwarded(&["10.0.0.0/8"]).header(), Some("forwarded"));
    for name in ["", "x forwarded", "x:y", "x\r\ny", "ü"] {
        assert_eq!(ClientAddress::new().with_header(name).expect_err(name).field(), "header");
    }
}

#[test]
fn wrong_settings_are_told() {
    for entry in ["*", "10.0.0.1/8", "proxy.example", ""] {
        assert_eq!(ClientAddress::new().with_trusted([entry]).expect_err(entry).field(), "trusted");
    }
    assert_eq!(ClientAddress::new().with_prefixes(0, 64).expect_err("zero").field(), "ipv4_prefix");
    assert_eq!(ClientAddress::new().with_prefixes(33, 64).expect_err("33").field(), "ipv4_prefix");
    assert_eq!(ClientAddress::new().with_prefixes(32, 129).expect_err("129").field(), "ipv6_prefix");
}

proptest! {
    /// Whatever a client sends, it cannot get past the address that a trusted proxy wrote for it.
    #[test]
    fn a_client_cannot_choose_its_key(sent in "[0-9a-f.:,;=\"\\\\ \\[\\]forunkw_%]{0,80}", own_line: bool) {
        let proxies = ["10.0.0.0/8"];
        for (clients, added) in [(behind(&proxies), "203.0.113.9"), (forwarded(&proxies), "for=203.0.113.9")] {
            let appended = format!("{sent}, {added}");
            let (one, two) = ([appended.as_str()], [sent.as_str(), added]);
            let lines: &[&str] = if own_line { &two } else { &one };
            let seen = key(&clients, "10.0.0.7", lines);
            // With an open quote before it in the same line the proxy's own address is all that is known.
            prop_assert!(seen == "203.0.113.9" || (!own_line && seen == "10.0.0.7"), "{}", seen);
        }
    }

    /// The walk of `Forwarded` sees what the walk of `X-Forwarded-For` sees, when each names the same addresses.
    #[test]
    fn both_headers_mean_the_same(addresses in prop::collection::vec((0..4_u8, any::<bool>()), 0..6)) {
        let text = |(low, proxy): &(u8, bool)| match proxy {
            true => format!("10.0.0.{low}"),
            false => format!("2001:db8:{low}::1"),
        };
        let list: Vec<String> = addresses.iter().map(text).collect();
        let bracketed = |address: &str| address.replace("2001", "[2001").replace("::1", "::1]");
        let elements: Vec<String> = list.iter().map(|a| format!("proto=https;For=\"{}\"", bracketed(a))).collect();
        let proxies = ["10.0.0.0/8"];
        let (plain, quoted) = (list.join(","), elements.join(" , "));
        let by_forwarded = key(&forwarded(&proxies), "10.0.0.1", &[&quoted]);
        prop_assert_eq!(key(&behind(&proxies), "10.0.0.1", &[&plain]), by_forwarded);
    }

    #[test]
    fn a_key_is_found_again_from_any_address_in_it(bits: u128, prefix in 1..=128_u8, other: u128) {
        let clients = ClientAddress::new().with_prefixes(32, prefix).expect("in range");
        let mask = u128::MAX << (128 - prefix);
        let (one, two) = (bits, bits & mask | other & !mask);
        let ips = [one, two].map(|bits| IpAddr::V6(bits.into()));
        prop_assume!(ips.iter().all(|ip| ip.to_canonical().is_ipv6()));
        prop_assert_eq!(clients.key_of(ips[0]), clients.key_of(ips[1]));
    }
}
