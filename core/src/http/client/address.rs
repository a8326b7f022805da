//! An address as sockets and proxies write it.

use std::net::{IpAddr, Ipv6Addr};

/// Longer than any address with its zone and port; longer text is not looked at.
const LONGEST: usize = 128;

/// Reads `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`, each IPv6 address also
/// with a zone (`fe80::1%eth0`).
///
/// Port and zone are dropped, and IPv4 mapped into IPv6 comes back as IPv4. `None` when the text is anything else: no
/// surrounding spaces, no leading zeros, no shortened IPv4. Takes constant time and does not allocate.
pub fn parse_address(text: &[u8]) -> Option<IpAddr> {
    if text.len() > LONGEST {
        return None;
    }
    let text = str::from_utf8(text).ok()?;
    if let Some(bracketed) = text.strip_prefix('[') {
        let (inside, port) = bracketed.split_once(']')?;
        return (port.is_empty() || is_port(port.strip_prefix(':')?)).then(|| ipv6(inside))?;
    }
    match text.split_once(':') {
        None => text.parse().ok().map(IpAddr::V4),
        Some((host, port)) if !port.contains(':') => host.parse().ok().filter(|_| is_port(port)).map(IpAddr::V4),
        Some(_) => ipv6(text),
    }
}

fn ipv6(text: &str) -> Option<IpAddr> {
    let address = match text.split_once('%') {
        None => text,
        Some((_, "")) => return None,
        Some((address, _zone)) => address,
    };
    address.parse::<Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical())
}

/// A number of at most five digits, or an obfuscated port (RFC 7239 section 6).
fn is_port(text: &str) -> bool {
    let digits = |text: &str| text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let hidden = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    !text.is_empty() && text.strip_prefix('_').map_or_else(|| digits(text), |name| !name.is_empty() && hidden(name))
}
