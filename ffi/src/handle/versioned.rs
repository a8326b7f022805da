//! Structs that start with their size, so that an older or newer caller is understood.

use super::{In, Out};
use crate::status::{Failure, tg_status};
use std::mem::{align_of, size_of};
use std::ptr;

/// No struct of any version is larger.
const LARGEST: usize = 4096;

/// A struct that starts with its own size and grows only at its end. Implemented by [`versioned!`].
///
/// # Safety
/// `repr(C)`, the first field is `struct_size: usize`, and the last field ends where the struct ends (padding there
/// would be garbage to a later version that puts a field in it). `ENDS` are the ends of the fields after it, in order.
pub unsafe trait Versioned: Copy {
    /// Its name in C.
    const NAME: &'static str;
    /// Its size in version 0.1: the least that anyone may pass.
    const FIRST: usize;
    /// Where each field ends: the sizes that a struct of an older header can have.
    const ENDS: &'static [usize];

    /// Writes the fields that lie within `room` bytes, and nothing between them.
    ///
    /// # Safety
    /// `to` has `room` bytes that only this call uses, and `room` passed [`fits`](Self::fits).
    #[doc(hidden)]
    unsafe fn write(self, to: *mut Self, room: usize);

    /// Whether a size is that of this struct in some version up to this one, or of a later one. A size that ends inside
    /// a field would leave half a number.
    #[doc(hidden)]
    fn fits(size: usize) -> bool {
        size >= Self::FIRST && size <= LARGEST && (size >= size_of::<Self>() || Self::ENDS.contains(&size))
    }

    /// What to say about a size that does not fit.
    #[doc(hidden)]
    #[cold]
    #[allow(private_interfaces)] // for this crate's own use
    fn size_error(size: usize) -> Failure {
        let (name, known) = (Self::NAME, size_of::<Self>());
        let message =
            format!("struct_size: {size} does not fit {name} ({known} bytes here); start from its INIT macro");
        Failure::new(tg_status::TG_STRUCT_SIZE, message)
    }
}

/// A [`Versioned`] struct that C fills in.
///
/// # Safety
/// Any bytes are a valid value: no bool, no enum, no reference.
pub unsafe trait Settings: Versioned + Default {}

/// The size of a field, from a function that projects to it.
pub(crate) const fn field_size<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// `versioned!(tg_x, first = 40, fields = [a, b])`: every field after `struct_size`, in order; checks what
/// [`Versioned`] asks for while compiling, and gives the header its INIT macro and assertions. `name`: what C calls it,
/// for a twin that is not in the header.
macro_rules! versioned {
    ($name:ident, first = $first:expr, fields = [$($field:ident),+ $(,)?]) => {
        versioned!($name, first = $first, fields = [$($field),+], name = stringify!($name));

        #[cfg(test)]
        impl $crate::header::InC for $name {
            const NAME: &'static str = stringify!($name);
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),+];

            fn values() -> Vec<String> {
                let value = Self::default();
                vec![$($crate::header::Literal::literal(&value.$field)),+]
            }
        }
    };
    ($name:ident, first = $first:expr, fields = [$($field:ident),+ $(,)?], name = $c_name:expr) => {
        const _: () = {
            use std::mem::{offset_of, size_of};
            assert!(offset_of!($name, struct_size) == 0);
            // Fails to compile when a field is missing here.
            #[allow(dead_code, unused_variables)]
            fn complete($name { struct_size, $($field),+ }: $name) {}
            let ends = <$name as $crate::handle::Versioned>::ENDS;
            let mut at = 1;
            while at < ends.len() {
                assert!(ends[at - 1] < ends[at], "fields stand in the order of the struct");
                at += 1;
            }
            assert!(ends[ends.len() - 1] == size_of::<$name>(), "no padding at the end");
            // The number is that of 64-bit machines.
            let mut found = size_of::<usize>() != 8;
            let mut at = 0;
            while at < ends.len() {
                found |= ends[at] == $first;
                at += 1;
            }
            assert!(found, "the first version ended with a field");
        };

        // SAFETY: struct_size is first, ENDS holds the end of every field and nothing is padded at the end, asserted
        // above; `write` writes fields only; repr(C) stands on the struct.
        #[allow(unsafe_code)]
        unsafe impl $crate::handle::Versioned for $name {
            const NAME: &'static str = $c_name;
            const FIRST: usize = if std::mem::size_of::<usize>() == 8 { $first } else { std::mem::size_of::<$name>() };
            const ENDS: &'static [usize] = &[$(
                std::mem::offset_of!($name, $field)
                    + $crate::handle::field_size(|value: &$name| &value.$field)
            ),+];

            unsafe fn write(self, to: *mut $name, room: usize) {
                $(if std::mem::offset_of!($name, $field) < room {
                    // SAFETY: `room` is a field's end, so a field that begins below it lies within it whole.
                    unsafe { (&raw mut (*to).$field).write_unaligned(self.$field) }
                })+
            }
        }
    };
}

pub(crate) use versioned;

impl<T: Versioned> In<T> {
    /// The same struct as another type of the same size that takes any bytes.
    pub(crate) fn cast<U: Settings>(self) -> In<U> {
        const { assert!(size_of::<T>() == size_of::<U>() && T::FIRST == U::FIRST) };
        In(self.0.cast())
    }
}

impl<T: Settings> In<T> {
    /// The settings; fields that the caller's older header does not have are at their defaults.
    pub(crate) fn read(&self, argument: &'static str) -> Result<T, Failure> {
        if self.0.is_null() {
            return Err(Failure::null(argument));
        }
        let known = size_of::<T>();
        // SAFETY: not NULL, so by the header's law it points to a struct that starts with its size (`Versioned`).
        let size = unsafe { self.0.cast::<usize>().read() };
        if !T::fits(size) {
            return Err(T::size_error(size));
        }
        let bytes = self.0.cast::<u8>();
        for at in known..size {
            // SAFETY: `at` is below the size that the caller states. A newer header's settings can only be left out
            // when they are not used, so they must be zero.
            if unsafe { bytes.add(at).read() } != 0 {
                return Err(T::size_error(size));
            }
        }
        let mut value = T::default();
        // SAFETY: both sides have that many bytes, and any bytes are a valid `T` (`Settings`).
        unsafe { ptr::copy_nonoverlapping(bytes, (&raw mut value).cast::<u8>(), size.min(known)) };
        Ok(value)
    }
}

impl<T: Versioned> Out<T> {
    /// How many bytes the caller has room for, or what is wrong with the pointer.
    pub(crate) fn room(&self, argument: &'static str) -> Result<usize, Failure> {
        if self.0.is_null() {
            return Err(Failure::null(argument));
        }
        // SAFETY: as in `In::read`.
        let size = unsafe { self.0.cast::<usize>().read() };
        if T::fits(size) { Ok(size) } else { Err(T::size_error(size)) }
    }

    /// The `place`-th of an array of such structs, which lie as far apart as the caller's header says (`room`).
    pub(crate) fn nth(&self, room: usize, place: usize) -> Self {
        Self(self.0.wrapping_byte_add(room * place))
    }

    /// Checks an array of `len` such structs, all of one size, and tells that size.
    pub(crate) fn rooms(&self, len: usize, argument: &'static str) -> Result<usize, Failure> {
        if len == 0 {
            return Ok(size_of::<T>());
        }
        let room = self.room(argument)?;
        if room % align_of::<T>() != 0 {
            return Err(T::size_error(room));
        }
        for place in 1..len {
            let other = self.nth(room, place).room(argument)?;
            if other != room {
                return Err(T::size_error(other));
            }
        }
        Ok(room)
    }

    /// Writes as much of `value` as the caller's header knows, `room` bytes; `struct_size` stays the caller's. Padding
    /// becomes zero: it would carry bytes of this library's stack.
    pub(crate) fn fill(&self, room: usize, value: T) {
        let room = room.min(size_of::<T>());
        let after = size_of::<usize>();
        // SAFETY: `room` came from `room` of this pointer, so the caller has that many bytes and it is a size that
        // fits; the fields' own types make them valid.
        unsafe {
            self.0.cast::<u8>().add(after).write_bytes(0, room - after);
            value.write(self.0, room);
        }
    }
}
