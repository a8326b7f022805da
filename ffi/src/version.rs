//! The version of the library that was loaded.

// `#[unsafe(no_mangle)]` only.
#![allow(unsafe_code)]

use std::ffi::c_char;

/// The version of the library in use, as "major.minor.patch"; TG_VERSION is that of the header.
///
/// Ownership: static; never free it. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn tg_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
