//! Who is never limited, and who is always refused.

use super::Network;
use crate::ConfigError;
use std::collections::HashMap;
use std::net::IpAddr;

/// What an [`AccessList`] says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// On the allow list: passes without being counted.
    Allow,
    /// On the deny list: refused without being counted.
    Deny,
    /// On neither: the limits decide.
    Limit,
}

impl Verdict {
    /// The name in every language: `"allow"`, `"deny"`, `"limit"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Limit => "limit",
        }
    }
}

/// Entries that allow and entries that deny; the most specific one that fits decides.
///
/// An entry is an address, a network (`203.0.113.0/24`), or an exact key written `key:` and the key itself. A key is
/// more specific than any network and a longer prefix than a shorter one; where the same entry is on both lists, deny
/// wins. So a network can be denied but for one address, or allowed but for one. A key that decides here must be one
/// that a client cannot make up.
///
/// A look-up costs a hash per prefix length in use, however many entries there are. Immutable, so safe on any thread.
///
/// ```
/// use tidegate::http::{AccessList, Verdict, parse_address};
/// let list = AccessList::new(["10.0.0.7", "key:monitoring"], ["10.0.0.0/8"])?;
/// let verdict = |address: &[u8], key: &[u8]| list.verdict(parse_address(address), key);
/// assert_eq!(verdict(b"10.0.0.7", b""), Verdict::Allow);
/// assert_eq!(verdict(b"10.0.0.8", b""), Verdict::Deny);
/// assert_eq!(verdict(b"10.0.0.8", b"monitoring"), Verdict::Allow);
/// assert_eq!(verdict(b"192.0.2.1", b"u1"), Verdict::Limit);
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AccessList {
    networks: HashMap<Network, Verdict>,
    keys: HashMap<Box<[u8]>, Verdict>,
    /// The prefix lengths in use, longest first.
    ipv4: Vec<u8>,
    ipv6: Vec<u8>,
}

impl AccessList {
    /// Makes the list.
    ///
    /// Errors: `allow` or `deny` when an entry is no address, no network and no `key:…`.
    pub fn new<'a, 'd>(
        allow: impl IntoIterator<Item = &'a str>,
        deny: impl IntoIterator<Item = &'d str>,
    ) -> Result<Self, ConfigError> {
        let mut list = Self::default();
        for entry in allow {
            list.add("allow", entry, Verdict::Allow)?;
        }
        for entry in deny {
            list.add("deny", entry, Verdict::Deny)?;
        }
        for lengths in [&mut list.ipv4, &mut list.ipv6] {
            lengths.sort_unstable_by(|a, b| b.cmp(a));
            lengths.dedup();
        }
        Ok(list)
    }

    /// Deny is added last, so that it replaces the same entry of the allow list.
    fn add(&mut self, field: &'static str, entry: &str, verdict: Verdict) -> Result<(), ConfigError> {
        if let Some(key) = entry.strip_prefix("key:") {
            self.keys.insert(key.as_bytes().into(), verdict);
            return Ok(());
        }
        let network = Network::parse(field, entry).map_err(|error| {
            let hint = format!("{}; an exact key is written \"key:\" and the key", error.message());
            ConfigError::syntax(field, hint)
        })?;
        let lengths = if network.is_ipv4() { &mut self.ipv4 } else { &mut self.ipv6 };
        lengths.push(network.prefix());
        self.networks.insert(network, verdict);
        Ok(())
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.keys.is_empty()
    }

    /// What is said of a client with this address (`None`: it has none, no network fits) and this key (empty: none,
    /// unless the empty key itself is listed).
    pub fn verdict(&self, address: Option<IpAddr>, key: &[u8]) -> Verdict {
        let by_key = if self.keys.is_empty() { None } else { self.keys.get(key) };
        by_key.copied().or_else(|| self.of_address(address?.to_canonical())).unwrap_or(Verdict::Limit)
    }

    fn of_address(&self, address: IpAddr) -> Option<Verdict> {
        let lengths = if address.is_ipv4() { &self.ipv4 } else { &self.ipv6 };
        lengths.iter().find_map(|&prefix| self.networks.get(&Network::around(address, prefix)).copied())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::http::parse_address;
    use proptest::prelude::*;

    fn of(list: &AccessList, address: &str) -> Verdict {
        list.verdict(parse_address(address.as_bytes()), b"")
    }

    #[test]
    fn the_longest_prefix_decides_and_deny_wins_a_tie() {
        let allow = ["10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "192.0.2.1"];
        let list = AccessList::new(allow, ["10.1.0.0/16", "2001:db8:bad::/48", "192.0.2.1"]).expect("entries");
        let expected = [
            ("10.200.0.1", Verdict::Allow),
            ("10.1.0.1", Verdict::Deny),
            ("10.1.2.3", Verdict::Allow),
            ("::ffff:10.1.2.3", Verdict::Allow),
            ("2001:db8::7", Verdict::Allow),
            ("2001:db8:bad::7", Verdict::Deny),
            ("192.0.2.1", Verdict::Deny),
            ("192.0.2.2", Verdict::Limit),
            ("testclient", Verdict::Limit),
        ];
        for (address, verdict) in expected {
            assert_eq!(of(&list, address), verdict, "{address}");
        }
    }

    #[test]
    fn a_key_is_more_specific_than_a_network() {
        let list = AccessList::new(["key:ops", "0.0.0.0/0"], ["key:", "key:\u{fffd}"]).expect("entries");
        let address = parse_address(b"192.0.2.1");
        assert_eq!(list.verdict(address, b"ops"), Verdict::Allow);
        assert_eq!(list.verdict(address, b""), Verdict::Deny);
        assert_eq!(list.verdict(None, "\u{fffd}".as_bytes()), Verdict::Deny);
        assert_eq!(list.verdict(None, b"op"), Verdict::Limit);
    }

    #[test]
    fn a_slip_is_told_with_its_list() {
        for entry in ["10.0.0/8", "example.org", "", "10.0.0.1/8"] {
            let error = AccessList::new([], [entry]).expect_err(entry);
            assert_eq!(error.field(), "deny");
            assert!(error.message().contains("key:"), "{error}");
        }
        assert_eq!(AccessList::new(["Key:x"], []).expect_err("case").field(), "allow");
    }

    proptest! {
        /// The map with prefix lengths against asking every entry.
        #[test]
        fn agrees_with_asking_every_entry(
            entries in prop::collection::vec((0..16_u32, 26..=32_u8, any::<bool>()), 0..12),
            asked in 0..16_u32,
        ) {
            let address_of = |low: u32| IpAddr::from((0x0a00_0000 + low).to_be_bytes());
            let written: Vec<(Network, bool)> = entries
                .into_iter()
                .map(|(low, prefix, deny)| (Network::around(address_of(low), prefix), deny))
                .collect();
            let texts = |wanted: bool| -> Vec<String> {
                written.iter().filter(|(_, deny)| *deny == wanted).map(|(network, _)| network.to_string()).collect()
            };
            let (allow, deny) = (texts(false), texts(true));
            let list = AccessList::new(allow.iter().map(String::as_str), deny.iter().map(String::as_str));
            let list = list.expect("entries");
            let address = address_of(asked);
            let fitting = written.iter().filter(|(network, _)| network.contains(address));
            let best = fitting.max_by_key(|(network, deny)| (network.prefix(), *deny));
            let expected = best.map_or(Verdict::Limit, |(_, deny)| if *deny { Verdict::Deny } else { Verdict::Allow });
            prop_assert_eq!(list.verdict(Some(address), b""), expected);
        }
    }
}
