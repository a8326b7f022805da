//! Whose request it is: the address of the client, through proxies that are trusted.

mod address;
mod forwarded;
mod list;

pub use address::parse_address;

use super::Network;
use crate::ConfigError;
use std::borrow::Cow;
use std::net::IpAddr;

/// How many entries of a forwarding header are looked at, from the right. More than any chain of trusted proxies has.
pub const MAX_HOPS: usize = 64;

/// One entry of a forwarding header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hop {
    Address(IpAddr),
    /// Two commas in a row, which RFC 9110 section 5.6.1 has recipients ignore.
    Empty,
    /// No address: malformed, `unknown`, obfuscated.
    Opaque,
}

/// Finds the client of a request and names it by a key: the socket's peer, unless that is a proxy you trust.
///
/// With trusted proxies the addresses in **one** forwarding header are walked from the right, where the nearest proxy
/// wrote: each address that a trusted proxy vouches for becomes the answer, and the walk ends at the first one that is
/// not itself trusted, at an entry without an address (malformed, `unknown`, `_hidden`), at the end, or after
/// [`MAX_HOPS`] entries. So what a client writes into the header is never believed, and what cannot be read makes it
/// share the key of the last proxy that could be. Only one header is ever trusted: with two, a client sends the one
/// that the proxy does not write.
///
/// The key of an IPv6 client is its /64 (RFC 6177: a site has at least that many addresses), of an IPv4 client its
/// address; both lengths can be set. IPv4 mapped into IPv6 is IPv4. Ports and zone identifiers are dropped. NAT64 and
/// 6to4 addresses are keyed as the IPv6 addresses they are.
///
/// Source: the rightmost-untrusted rule of nginx's `real_ip_recursive` and Express's `trust proxy`; RFC 7239.
///
/// ```
/// use tidegate::http::ClientAddress;
/// let clients = ClientAddress::new().with_trusted(["10.0.0.0/8"])?;
/// let lines: [&[u8]; 1] = [b"6.6.6.6, 203.0.113.9, 10.1.1.1"];
/// assert_eq!(clients.key("10.0.0.7", lines), "203.0.113.9");
/// assert_eq!(clients.key("198.51.100.4", lines), "198.51.100.4", "not a proxy: its header says nothing");
/// assert_eq!(ClientAddress::new().key("2001:db8::1:2:3:4", []), "2001:db8::/64");
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientAddress {
    proxies: Vec<Network>,
    /// Whether a peer without an address (a Unix socket) is a trusted proxy.
    unix: bool,
    header: String,
    ipv4_prefix: u8,
    ipv6_prefix: u8,
}

impl Default for ClientAddress {
    fn default() -> Self {
        Self {
            proxies: Vec::new(),
            unix: false,
            header: "x-forwarded-for".to_owned(),
            ipv4_prefix: 32,
            ipv6_prefix: 64,
        }
    }
}

impl ClientAddress {
    /// The socket's peer alone: no header is believed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts proxies with these addresses: each a network (`10.0.0.0/8`), an address, `loopback` (127.0.0.0/8, ::1),
    /// `private` (RFC 1918, RFC 4193 and link-local networks), or `unix` (a peer without an address).
    ///
    /// Errors: `trusted` when an entry is none of these.
    pub fn with_trusted<'a>(mut self, trusted: impl IntoIterator<Item = &'a str>) -> Result<Self, ConfigError> {
        for entry in trusted {
            let names: &[&str] = match entry {
                "unix" => {
                    self.unix = true;
                    continue;
                }
                "*" => {
                    return Err(ConfigError::syntax(
                        "trusted",
                        "\"*\" would let every client choose whose limit it uses; name the networks of your proxies, \
                         such as 10.0.0.0/8, or \"private\", \"loopback\", \"unix\"",
                    ));
                }
                "loopback" => &["127.0.0.0/8", "::1"],
                "private" => {
                    &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"]
                }
                entry => &[entry],
            };
            for name in names {
                self.proxies.push(Network::parse("trusted", name)?);
            }
        }
        Ok(self)
    }

    /// The header that the trusted proxies write: `x-forwarded-for` (the default), `forwarded` (RFC 7239), or any other
    /// that holds addresses separated by commas, such as `x-real-ip`.
    ///
    /// Errors: `header` when it is no field name (RFC 9110 section 5.1).
    pub fn with_header(mut self, name: &str) -> Result<Self, ConfigError> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            let message =
                format!("{name:?} is not a header's name; write one such as \"x-forwarded-for\" or \"forwarded\"");
            return Err(ConfigError::syntax("header", message));
        }
        self.header = name.to_ascii_lowercase();
        Ok(self)
    }

    /// How many leading bits of an address make the key: `ipv4` 1 to 32 (default 32), `ipv6` 1 to 128 (default 64).
    ///
    /// Errors: `ipv4_prefix` or `ipv6_prefix` when it is outside that.
    pub fn with_prefixes(mut self, ipv4: u8, ipv6: u8) -> Result<Self, ConfigError> {
        for (field, prefix, most) in [("ipv4_prefix", ipv4, 32), ("ipv6_prefix", ipv6, 128)] {
            if !(1..=most).contains(&prefix) {
                let message = format!("must be a prefix length from 1 to {most}, got {prefix}");
                return Err(ConfigError::out_of_range(field, message));
            }
        }
        (self.ipv4_prefix, self.ipv6_prefix) = (ipv4, ipv6);
        Ok(self)
    }

    /// The header whose lines [`key`](Self::key) wants, in lower case; `None` when no proxy is trusted and none is
    /// read.
    pub fn header(&self) -> Option<&str> {
        (self.unix || !self.proxies.is_empty()).then_some(&self.header)
    }

    /// The client's address; `None` when it has none (a Unix socket, a test client).
    ///
    /// `peer` is the socket's peer as text, empty where there is none; `lines` are the values of the header's lines in
    /// the order in which they came, each as it is. Takes time linear in the length of the lines, and looks at no line
    /// when the peer is not trusted.
    pub fn address<'a, L>(&self, peer: &str, lines: L) -> Option<IpAddr>
    where
        L: IntoIterator<Item = &'a [u8], IntoIter: DoubleEndedIterator>,
    {
        let peer = parse_address(peer.as_bytes());
        if self.trusts(peer) { self.behind(peer, lines.into_iter()) } else { peer }
    }

    /// The client's key: [`key_of`](Self::key_of) its address. A peer without an address is its own key, whatever its
    /// text; an absent one is the empty key.
    pub fn key<'p, 'a, L>(&self, peer: &'p str, lines: L) -> Cow<'p, str>
    where
        L: IntoIterator<Item = &'a [u8], IntoIter: DoubleEndedIterator>,
    {
        let own = parse_address(peer.as_bytes());
        let client = if self.trusts(own) { self.behind(own, lines.into_iter()) } else { own };
        match client {
            None => peer.into(),
            // The most frequent case: the text is the key already, unless a port or a mapping stands in it.
            Some(IpAddr::V4(_)) if client == own && self.ipv4_prefix == 32 && !peer.contains(':') => peer.into(),
            Some(address) => self.key_of(address).into(),
        }
    }

    /// The key of an address: `192.0.2.1`, `2001:db8::/64`.
    pub fn key_of(&self, address: IpAddr) -> String {
        let address = address.to_canonical();
        let prefix = if address.is_ipv4() { self.ipv4_prefix } else { self.ipv6_prefix };
        Network::around(address, prefix).text()
    }

    fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.unix, |address| self.proxies.iter().any(|network| network.contains(address)))
    }

    fn behind<'a>(&self, peer: Option<IpAddr>, lines: impl DoubleEndedIterator<Item = &'a [u8]>) -> Option<IpAddr> {
        let forwarded = self.header == "forwarded";
        let mut client = peer;
        let mut left = MAX_HOPS;
        let mut visit = |hop: Hop| {
            match hop {
                Hop::Address(address) => client = Some(address),
                Hop::Empty => (),
                Hop::Opaque => return false,
            }
            left -= 1;
            left > 0 && (hop == Hop::Empty || self.trusts(client))
        };
        // Each line by itself: an unclosed quote in a client's line cannot swallow the line that a proxy added.
        for line in lines.rev() {
            let more = if forwarded { forwarded::walk(line, &mut visit) } else { list::walk(line, &mut visit) };
            if !more {
                break;
            }
        }
        client
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
