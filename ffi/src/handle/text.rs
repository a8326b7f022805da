//! Texts, in and out.

use super::{In, Out};
use crate::status::{Answer, Failure, tg_status};
use std::ffi::{CStr, c_char};
use std::ptr;

impl In<c_char> {
    /// The text, or `None` for NULL.
    pub(crate) fn text(&self, argument: &'static str) -> Result<Option<&str>, Failure> {
        let text = self.bytes().map(str::from_utf8).transpose();
        text.map_err(|e| Failure::new(tg_status::TG_UTF8, format!("{argument}: {e}")))
    }

    /// The bytes before the NUL, or `None` for NULL: for what somebody else wrote, such as a server.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: not NULL, so by the header's law a NUL-terminated text that nobody writes to during the call.
        Some(unsafe { CStr::from_ptr(self.0) }.to_bytes())
    }
}

impl Out<c_char> {
    /// Writes `text` and a NUL into the caller's `size` bytes. `length` is told in any case: without the NUL.
    pub(crate) fn fill_text(&self, size: usize, length: &Out<usize>, text: &str) -> Answer {
        length.set(text.len());
        if self.0.is_null() && size > 0 {
            return Err(Failure::null("buffer"));
        }
        if size <= text.len() {
            let needed = text.len() + 1;
            let message = format!("buffer: {size} bytes are too few, the text needs {needed} with its NUL");
            return Err(Failure::new(tg_status::TG_BUFFER, message));
        }
        // SAFETY: not NULL, so by the header's law room for `size` bytes that only this call uses meanwhile; the text
        // and its NUL are no more than that.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr(), self.0.cast::<u8>(), text.len());
            self.0.add(text.len()).write(0);
        }
        Ok(tg_status::TG_OK)
    }
}
