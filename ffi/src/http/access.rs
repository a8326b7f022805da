//! Who is never limited, and who is always refused.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use crate::handle::{Handle, In, Out};
use crate::panic::{guard, guard_system};
use crate::status::tg_status;
use std::ffi::{c_char, c_void};
use tg_status::TG_OK;
use tidegate_core::http::{AccessList, Verdict, parse_address};

/// Addresses, networks and keys that are allowed or denied without being counted.
#[derive(Debug)]
pub struct tg_access_list(pub(crate) AccessList);

impl Handle for tg_access_list {}

/// What an access list says of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum tg_verdict {
    /// It is on no list: the limits decide.
    TG_VERDICT_LIMIT = 0,
    /// It passes without being counted.
    TG_VERDICT_ALLOW = 1,
    /// It is refused without being counted.
    TG_VERDICT_DENY = 2,
}

/// Makes an access list. An entry is an address, a network ("203.0.113.0/24"), or "key:" and an exact key. The most
/// specific entry that fits decides (a key before any network, a longer prefix before a shorter); on both lists:
/// denied.
///
/// Errors: TG_UTF8, TG_SYNTAX (an entry).
#[unsafe(no_mangle)]
pub extern "C" fn tg_access_list_new(
    allow: In<In<c_char>>,
    allow_count: usize,
    deny: In<In<c_char>>,
    deny_count: usize,
    list: Out<*mut tg_access_list>,
) -> tg_status {
    guard_system(|| {
        let (allow, deny) = (allow.texts(allow_count, "allow")?, deny.texts(deny_count, "deny")?);
        list.require("list")?;
        list.give(tg_access_list(AccessList::new(allow, deny)?));
        Ok(TG_OK)
    })
}

/// Frees an access list; NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn tg_access_list_free(list: Out<tg_access_list>) {
    guard_system(|| {
        list.free();
        Ok(TG_OK)
    });
}

/// Tells what is said of a client: *verdict is one of tg_verdict. address: as a text; NULL or no address: no network
/// fits. key: one that the client cannot make up; NULL with length 0: none.
///
/// Errors: TG_UTF8 (address), TG_OUT_OF_RANGE (key_len).
#[unsafe(no_mangle)]
pub extern "C" fn tg_access_list_verdict(
    list: In<tg_access_list>,
    address: In<c_char>,
    key: In<c_void>,
    key_len: usize,
    verdict: Out<i32>,
) -> tg_status {
    guard(|| {
        let list = &list.get("list")?.0;
        let address = address.text("address")?.and_then(|text| parse_address(text.as_bytes()));
        let key = key.bytes(key_len, "key")?;
        verdict.require("verdict")?;
        verdict.set(match list.verdict(address, key) {
            Verdict::Limit => tg_verdict::TG_VERDICT_LIMIT,
            Verdict::Allow => tg_verdict::TG_VERDICT_ALLOW,
            Verdict::Deny => tg_verdict::TG_VERDICT_DENY,
        } as i32);
        Ok(TG_OK)
    })
}
