//! Keys of keyed limits: a string or a `Uint8Array` of JavaScript → bytes.
//!
//! Strings are read as UTF-16, which is exact and was measured to cost less than Node-API's UTF-8 (latin1 would make
//! keys collide), and narrowed here: a key of ASCII, as nearly all are, only has its upper bytes dropped.
#![allow(unsafe_code)] // Node-API is a C interface.

use crate::failure::Failure;
use napi::{Status, check_status, sys};
use std::mem::MaybeUninit;
use std::{ptr, slice};

/// Keys of fewer UTF-16 units than this need no allocation.
const SHORT: usize = 128;

/// One key of the call in progress.
pub(crate) struct Key {
    short: [MaybeUninit<u8>; SHORT],
    short_len: usize,
    long: Option<Vec<u8>>,
}

impl Key {
    pub(crate) const EMPTY: Self = Self { short: [MaybeUninit::uninit(); SHORT], short_len: 0, long: None };

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.long {
            Some(bytes) => bytes,
            // SAFETY: `narrow` has written the first `short_len` bytes.
            None => unsafe { slice::from_raw_parts(self.short.as_ptr().cast(), self.short_len) },
        }
    }

    /// Reads `value`, which is live in the current scope. JavaScript has checked its type.
    #[inline]
    pub(crate) fn read(&mut self, env: sys::napi_env, value: sys::napi_value) -> Result<(), Failure> {
        let mut units = [MaybeUninit::<u16>::uninit(); SHORT];
        let mut len = 0;
        // SAFETY: there is room for SHORT units, the terminator among them.
        let status =
            unsafe { sys::napi_get_value_string_utf16(env, value, units.as_mut_ptr().cast(), SHORT, &mut len) };
        if status == sys::Status::napi_ok && len < SHORT - 1 {
            // SAFETY: node has written `len` units.
            self.narrow(unsafe { slice::from_raw_parts(units.as_ptr().cast(), len) });
            return Ok(());
        }
        self.long = Some(if status == sys::Status::napi_string_expected {
            bytes_of(env, value)?
        } else {
            check_status!(status)?;
            long(env, value)?
        });
        Ok(())
    }

    /// ASCII stays where it is; anything else becomes UTF-8.
    #[inline]
    fn narrow(&mut self, units: &[u16]) {
        let mut seen = 0;
        for (byte, unit) in self.short.iter_mut().zip(units) {
            seen |= unit;
            byte.write(*unit as u8);
        }
        self.short_len = units.len();
        if seen >= 0x80 {
            self.long = Some(utf8(units));
        }
    }
}

/// Lone surrogates become U+FFFD, as in every binding.
#[cold]
fn utf8(units: &[u16]) -> Vec<u8> {
    String::from_utf16_lossy(units).into_bytes()
}

#[cold]
fn long(env: sys::napi_env, value: sys::napi_value) -> Result<Vec<u8>, Failure> {
    let mut len = 0;
    // SAFETY: a null buffer asks for the length alone.
    check_status!(unsafe { sys::napi_get_value_string_utf16(env, value, ptr::null_mut(), 0, &mut len) })?;
    let mut units = vec![0_u16; len + 1];
    // SAFETY: the buffer has room for `len` units and the terminator.
    check_status!(unsafe { sys::napi_get_value_string_utf16(env, value, units.as_mut_ptr(), units.len(), &mut len) })?;
    Ok(utf8(&units[..len]))
}

/// A copy, so that nothing borrows what JavaScript may change.
#[cold]
fn bytes_of(env: sys::napi_env, value: sys::napi_value) -> Result<Vec<u8>, Failure> {
    let (mut kind, mut len, mut data, mut offset) = (0, 0, ptr::null_mut(), 0);
    // SAFETY: the out pointers are valid; the buffer behind is not wanted.
    let status = unsafe {
        sys::napi_get_typedarray_info(env, value, &mut kind, &mut len, &mut data, ptr::null_mut(), &mut offset)
    };
    check_status!(status)?;
    if kind != sys::TypedarrayType::uint8_array {
        return Err(napi::Error::new(Status::InvalidArg, "a key is neither a string nor a Uint8Array").into());
    }
    if len == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: a Uint8Array of `len` bytes, not detached as it has some; JavaScript (lib/key.cjs) lets no shared memory
    // through, and this thread, the only one that can write to it, is here.
    Ok(unsafe { slice::from_raw_parts(data.cast::<u8>(), len) }.to_vec())
}
