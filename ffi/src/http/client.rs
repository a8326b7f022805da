//! Whose request it is.

// `#[unsafe(no_mangle)]`, and `unsafe impl Settings` for a struct of pointers and numbers.
#![allow(unsafe_code)]

use crate::bytes::tg_bytes;
use crate::handle::{Handle, In, Out, Settings, versioned};
use crate::panic::{guard, guard_system};
use crate::status::{Failure, tg_status};
use std::ffi::{CString, c_char};
use std::mem::size_of;
use std::ptr;
use tg_status::TG_OK;
use tidegate_core::http::ClientAddress;

/// Finds the client of a request: the socket's peer, unless that is a proxy you trust.
#[derive(Debug)]
pub struct tg_client_address {
    clients: ClientAddress,
    header: Option<CString>,
}

impl Handle for tg_client_address {}

/// Whose word is taken for a client's address. Start from TG_CLIENT_ADDRESS_CONFIG_INIT: nobody's, only the socket's.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_client_address_config {
    /// sizeof(tg_client_address_config)
    pub struct_size: usize,
    /// The proxies: networks ("10.0.0.0/8"), addresses, "loopback", "private", or "unix" (a peer without an address).
    pub trusted: In<In<c_char>>,
    /// How many.
    pub trusted_count: usize,
    /// The one header that they write: "forwarded", "x-real-ip", ...; NULL: "x-forwarded-for".
    pub header: In<c_char>,
    /// How many leading bits of an IPv4 address make the key, 1 .. 32.
    pub ipv4_prefix: u32,
    /// How many of an IPv6 address, 1 .. 128; a site has a /64 of them at least.
    pub ipv6_prefix: u32,
}

versioned!(tg_client_address_config, first = 40, fields = [trusted, trusted_count, header, ipv4_prefix, ipv6_prefix]);
// SAFETY: pointers and numbers only.
unsafe impl Settings for tg_client_address_config {}

impl Default for tg_client_address_config {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>(),
            trusted: In::default(),
            trusted_count: 0,
            header: In::default(),
            ipv4_prefix: 32,
            ipv6_prefix: 64,
        }
    }
}

impl tg_client_address_config {
    fn checked(&self) -> Result<ClientAddress, Failure> {
        let clients = ClientAddress::new().with_trusted(self.trusted.texts(self.trusted_count, "trusted")?)?;
        let clients = match self.header.text("header")? {
            Some(header) => clients.with_header(header)?,
            None => clients,
        };
        let prefix = |bits: u32| u8::try_from(bits).unwrap_or(u8::MAX);
        Ok(clients.with_prefixes(prefix(self.ipv4_prefix), prefix(self.ipv6_prefix))?)
    }
}

/// Makes a resolver of client addresses.
///
/// Errors: TG_UTF8; TG_SYNTAX (trusted, header); TG_OUT_OF_RANGE (a prefix).
#[unsafe(no_mangle)]
pub extern "C" fn tg_client_address_new(
    config: In<tg_client_address_config>,
    clients: Out<*mut tg_client_address>,
) -> tg_status {
    guard_system(|| {
        let config = config.read("config")?;
        clients.require("clients")?;
        let made = config.checked()?;
        let header = made.header().map(|name| CString::new(name).unwrap_or_default());
        clients.give(tg_client_address { clients: made, header });
        Ok(TG_OK)
    })
}

/// Frees a resolver; NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn tg_client_address_free(clients: Out<tg_client_address>) {
    guard_system(|| {
        clients.free();
        Ok(TG_OK)
    });
}

/// Tells which header's lines tg_client_address_key() wants, in lower case; NULL when nobody is trusted and none is
/// read.
///
/// Ownership: *name is the resolver's, good until tg_client_address_free().
#[unsafe(no_mangle)]
pub extern "C" fn tg_client_address_header(clients: In<tg_client_address>, name: Out<*const c_char>) -> tg_status {
    guard(|| {
        let clients = clients.get("clients")?;
        name.require("name")?;
        name.set(clients.header.as_ref().map_or(ptr::null(), |header| header.as_ptr()));
        Ok(TG_OK)
    })
}

/// Names the client of a request by a key for a limiter: "192.0.2.1", "2001:db8::/64". From a trusted peer on, the
/// lines are walked from the right, and the first address that is not trusted itself is the client; what a client wrote
/// itself is never believed, and what cannot be read ends the walk. A peer that is no address is its own key.
///
/// peer: the socket's, as a text, with or without a port; NULL: none. lines: the values of the header's lines as they
/// came, in order. *length (may be NULL) is the key's, without its NUL; 64 bytes of buffer hold every address.
///
/// Ownership: the key is written to the caller's buffer of buffer_size bytes.
/// Errors: TG_UTF8 (peer), TG_OUT_OF_RANGE (a length); TG_BUFFER (too small: nothing is written but *length).
#[unsafe(no_mangle)]
pub extern "C" fn tg_client_address_key(
    clients: In<tg_client_address>,
    peer: In<c_char>,
    lines: In<tg_bytes>,
    line_count: usize,
    buffer: Out<c_char>,
    buffer_size: usize,
    length: Out<usize>,
) -> tg_status {
    guard(|| {
        let clients = &clients.get("clients")?.clients;
        let peer = peer.text("peer")?.unwrap_or_default();
        let lines = lines.array(line_count, "lines")?;
        let lines = lines.iter().map(|line| line.get("lines")).collect::<Result<Vec<_>, _>>()?;
        buffer.fill_text(buffer_size, &length, &clients.key(peer, lines))
    })
}
