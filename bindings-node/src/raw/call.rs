//! What a call brings along beside the io block, and what it gives back: keys, texts, arrays.
#![allow(unsafe_code)] // Node-API is a C interface.

use crate::failure::Failure;
use crate::key::Key;
use napi::{check_status, sys};
use std::ptr;

/// What an operation returns; everything but arrays goes through the io block.
pub(crate) type Answer = Result<Reply, Failure>;

/// The JavaScript value an operation returns.
pub(crate) enum Reply {
    /// `undefined`.
    Nothing,
    /// An array or a text.
    Value(sys::napi_value),
}

/// The call in progress, for the operations that take a key or a text, or make something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(super) env: sys::napi_env,
    pub(super) info: sys::napi_callback_info,
    /// The first argument of a keyed operation, null in others.
    pub(super) first: sys::napi_value,
}

/// The most keys of one call, and an address before them.
const KEYS: usize = 17;

/// As many as most calls bring along.
const FEW: usize = 2;

/// The most lists that a call takes.
const LISTS: usize = 2;

/// The most arguments of a call that takes texts.
const TEXTS: usize = 8;

impl Call {
    /// The first N arguments, missing ones `undefined`, and how many there were.
    pub(super) fn arguments<const N: usize>(self) -> napi::Result<([sys::napi_value; N], usize)> {
        let (mut count, mut arguments) = (N, [ptr::null_mut(); N]);
        // SAFETY: the call is in progress, there is room for N arguments, and node fills missing ones with `undefined`.
        check_status!(unsafe {
            let (this, data) = (ptr::null_mut(), ptr::null_mut());
            sys::napi_get_cb_info(self.env, self.info, &mut count, arguments.as_mut_ptr(), this, data)
        })?;
        Ok((arguments, count))
    }

    /// Runs `f` on the key that is the call's first argument.
    #[inline]
    pub(crate) fn with_key<R>(self, f: impl FnOnce(&[u8]) -> Result<R, Failure>) -> Result<R, Failure> {
        let mut key = Key::EMPTY;
        key.read(self.env, self.first)?;
        f(key.bytes())
    }

    /// Runs `f` on the keys that are the call's arguments, at most [`KEYS`].
    #[inline]
    pub(crate) fn with_keys<R>(self, f: impl FnOnce(&[&[u8]]) -> Result<R, Failure>) -> Result<R, Failure> {
        let (values, count) = self.arguments::<FEW>()?;
        if count <= FEW { self.read_keys::<FEW, R>(&values[..count], f) } else { self.with_many_keys(f) }
    }

    /// Room for all of them is more than the rest of the call costs.
    #[cold]
    #[inline(never)]
    fn with_many_keys<R>(self, f: impl FnOnce(&[&[u8]]) -> Result<R, Failure>) -> Result<R, Failure> {
        let (values, count) = self.arguments::<KEYS>()?;
        self.read_keys::<KEYS, R>(&values[..count.min(KEYS)], f)
    }

    #[inline]
    fn read_keys<const N: usize, R>(
        self,
        values: &[sys::napi_value],
        f: impl FnOnce(&[&[u8]]) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let mut keys = [const { Key::EMPTY }; N];
        let mut bytes: [&[u8]; N] = [&[]; N];
        for ((key, value), bytes) in keys.iter_mut().zip(values).zip(&mut bytes) {
            key.read(self.env, *value)?;
            *bytes = key.bytes();
        }
        f(&bytes[..values.len()])
    }

    /// The call's second argument as text; `None` unless it is a string. Lone surrogates become U+FFFD.
    pub(crate) fn text(self) -> napi::Result<Option<String>> {
        Ok(self.texts::<1>(1)?[0].take())
    }

    /// N arguments from number `first` on as texts.
    pub(crate) fn texts<const N: usize>(self, first: usize) -> napi::Result<[Option<String>; N]> {
        let (values, _) = self.arguments::<TEXTS>()?;
        let mut texts = [const { None }; N];
        for (text, value) in texts.iter_mut().zip(&values[first..]) {
            *text = self.text_of(*value)?;
        }
        Ok(texts)
    }

    /// The call's arguments after the first as texts, at most [`KEYS`].
    pub(crate) fn names(self) -> napi::Result<Vec<String>> {
        let (values, count) = self.arguments::<{ KEYS + 1 }>()?;
        let values = values.get(1..count.min(KEYS + 1)).unwrap_or_default();
        values.iter().map(|value| Ok(self.text_of(*value)?.unwrap_or_default())).collect()
    }

    /// The N arguments after the first as lists of texts, and the one after them as a text, empty where there is none.
    pub(crate) fn lists_and_text<const N: usize>(self) -> napi::Result<([Vec<String>; N], String)> {
        let (values, _) = self.arguments::<{ LISTS + 2 }>()?;
        let mut lists = [const { Vec::new() }; N];
        for (list, array) in lists.iter_mut().zip(&values[1..=LISTS]) {
            *list = self.list_of(*array)?;
        }
        Ok((lists, self.text_of(values[1 + N])?.unwrap_or_default()))
    }

    /// N arguments from number `first` on as lists of texts.
    pub(crate) fn lists<const N: usize>(self, first: usize) -> napi::Result<[Vec<String>; N]> {
        let (values, _) = self.arguments::<TEXTS>()?;
        let mut lists = [const { Vec::new() }; N];
        for (list, value) in lists.iter_mut().zip(&values[first..]) {
            *list = self.list_of(*value)?;
        }
        Ok(lists)
    }

    /// The texts of an array; JavaScript has checked that it is one and holds nothing else.
    fn list_of(self, array: sys::napi_value) -> napi::Result<Vec<String>> {
        let mut len = 0;
        // SAFETY: `array` is a value of this call; another kind of value is refused.
        check_status!(unsafe { sys::napi_get_array_length(self.env, array, &mut len) })?;
        let element = |index| {
            let mut value = ptr::null_mut();
            // SAFETY: as above.
            check_status!(unsafe { sys::napi_get_element(self.env, array, index, &mut value) })?;
            Ok(self.text_of(value)?.unwrap_or_default())
        };
        (0..len).map(element).collect()
    }

    /// Replies with a text.
    pub(crate) fn string(self, text: &str) -> Answer {
        let mut value = ptr::null_mut();
        // SAFETY: the environment is live, the text has `len` bytes of UTF-8, and the out pointer is valid.
        check_status!(unsafe {
            sys::napi_create_string_utf8(self.env, text.as_ptr().cast(), text.len() as isize, &mut value)
        })?;
        Ok(Reply::Value(value))
    }

    fn text_of(self, argument: sys::napi_value) -> napi::Result<Option<String>> {
        let mut kind = 0;
        // SAFETY: `argument` is a value of this call.
        check_status!(unsafe { sys::napi_typeof(self.env, argument, &mut kind) })?;
        if kind != sys::ValueType::napi_string {
            return Ok(None);
        }
        let mut len = 0;
        // SAFETY: a null buffer asks for the length alone.
        check_status!(unsafe { sys::napi_get_value_string_utf8(self.env, argument, ptr::null_mut(), 0, &mut len) })?;
        let mut bytes = vec![0_u8; len + 1];
        // SAFETY: the buffer has room for `len` bytes and the terminator.
        check_status!(unsafe {
            let buffer = bytes.as_mut_ptr().cast();
            sys::napi_get_value_string_utf8(self.env, argument, buffer, bytes.len(), &mut len)
        })?;
        bytes.truncate(len);
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Replies with an array of numbers.
    pub(crate) fn array(self, numbers: &[f64]) -> Answer {
        let mut array = ptr::null_mut();
        // SAFETY: the environment is live and the out pointer valid.
        check_status!(unsafe { sys::napi_create_array_with_length(self.env, numbers.len(), &mut array) })?;
        for (index, number) in (0..).zip(numbers) {
            let mut value = ptr::null_mut();
            // SAFETY: as above.
            check_status!(unsafe { sys::napi_create_double(self.env, *number, &mut value) })?;
            // SAFETY: both values belong to this call's scope.
            check_status!(unsafe { sys::napi_set_element(self.env, array, index, value) })?;
        }
        Ok(Reply::Value(array))
    }
}
