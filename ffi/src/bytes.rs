//! Texts with their length: keys, lines of a header.

// `unsafe impl Plain` for a struct of a pointer and a number.
#![allow(unsafe_code)]

use crate::handle::{In, Plain};
use crate::status::Failure;
use std::ffi::c_void;

/// len bytes of any value, such as a key; NULL with length 0 is the empty text.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct tg_bytes {
    /// The bytes. Borrowed during the call.
    pub data: In<c_void>,
    /// How many.
    pub len: usize,
}

// SAFETY: a pointer, NULL or good by the header's law, and a number.
unsafe impl Plain for tg_bytes {}

impl tg_bytes {
    #[inline]
    pub(crate) fn get(&self, argument: &'static str) -> Result<&[u8], Failure> {
        self.data.bytes(self.len, argument)
    }
}
