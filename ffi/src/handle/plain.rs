//! Values and arrays.

use super::{In, Out};
use crate::status::{Failure, tg_status};
use std::ffi::{c_char, c_void};
use std::mem::size_of;
use std::slice;

/// A value that C hands over as it is, alone or in an array.
///
/// # Safety
/// Any bytes are a valid value: no bool, no enum, no reference.
pub unsafe trait Plain: Copy {}

// SAFETY: a number, whatever its bits.
unsafe impl Plain for f64 {}

impl<T: Plain> Out<T> {
    /// The value of what is read and then written, or TG_NULL.
    #[inline]
    pub(crate) fn value(&self, argument: &'static str) -> Result<T, Failure> {
        // SAFETY: as in `In::value`; this call alone uses it meanwhile.
        unsafe { self.address().as_ref() }.copied().ok_or_else(|| Failure::null(argument))
    }
}

impl<T: Plain> In<T> {
    /// The value, or TG_NULL.
    #[inline]
    pub(crate) fn value(&self, argument: &'static str) -> Result<T, Failure> {
        // SAFETY: NULL or a live `T`, by the header's law, and any bytes are a valid one (`Plain`).
        unsafe { self.0.as_ref() }.copied().ok_or_else(|| Failure::null(argument))
    }

    /// An array of `len` values; NULL is an empty one.
    #[inline]
    pub(crate) fn array(&self, len: usize, argument: &'static str) -> Result<&[T], Failure> {
        items(self.0, len, argument)
    }
}

impl In<c_void> {
    /// `len` bytes; NULL with length 0 is the empty text.
    #[inline]
    pub(crate) fn bytes(&self, len: usize, argument: &'static str) -> Result<&[u8], Failure> {
        items(self.0.cast::<u8>(), len, argument)
    }
}

// SAFETY: any byte is a byte.
unsafe impl Plain for u8 {}

// SAFETY: a number, whatever its bits.
unsafe impl Plain for usize {}

impl Out<c_void> {
    /// Writes bytes; nothing when there are none. The caller has required it and has room for them.
    pub(crate) fn write_bytes(&self, bytes: &[u8]) {
        if !bytes.is_empty() && !self.address().is_null() {
            // SAFETY: not NULL, so by the header's law room for as many bytes as the caller said, of which these are no
            // more, and which only this call uses meanwhile.
            unsafe { self.address().cast::<u8>().copy_from(bytes.as_ptr(), bytes.len()) }
        }
    }
}

// SAFETY: a pointer, NULL or good by the header's law.
unsafe impl Plain for In<c_char> {}

impl In<In<c_char>> {
    /// An array of `len` texts, none of them NULL.
    pub(crate) fn texts(&self, len: usize, argument: &'static str) -> Result<Vec<&str>, Failure> {
        let texts = self.array(len, argument)?;
        texts.iter().map(|text| text.text(argument)?.ok_or_else(|| Failure::null(argument))).collect()
    }
}

#[inline]
fn items<'a, T: Plain>(first: *const T, len: usize, argument: &'static str) -> Result<&'a [T], Failure> {
    if first.is_null() {
        return if len == 0 { Ok(&[]) } else { Err(Failure::null(argument)) };
    }
    if len > isize::MAX as usize / size_of::<T>() {
        let message = format!("{argument}: a length of {len} is more than any object has; was it negative?");
        return Err(Failure::new(tg_status::TG_OUT_OF_RANGE, message));
    }
    // SAFETY: not NULL and of a possible length, so by the header's law an array of that many that nobody writes to
    // during the call; the callers above bind it to the borrow of their pointer, which does not outlive the call.
    Ok(unsafe { slice::from_raw_parts(first, len) })
}
