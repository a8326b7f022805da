//! Structs that start with their size, so that an older or newer caller is understood.

use super::{In, Out};
use crate::status::{Failure, tg_status};
use std::mem::{MaybeUninit, align_of, size_of};
use std::ptr;

/// A struct that starts with its own size and grows only at its end. Implemented by [`versioned!`].
///
/// # Safety
/// `repr(C)`, the first field is `struct_size: usize`, and the last field ends where the struct ends (padding there
/// would be garbage to a later version that puts a field in it).
pub unsafe trait Versioned: Copy {
    /// Its name in C.
    const NAME: &'static str;
    /// Its size in version 0.1: the least that anyone may pass.
    const FIRST: usize;

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

/// `versioned!(tg_x, first = 40, last = field)`: checks what [`Versioned`] asks for while compiling. `name`: what C calls it.
macro_rules! versioned {
    ($name:ident, first = $first:expr, last = $last:ident) => {
        versioned!($name, first = $first, last = $last, name = stringify!($name));
    };
    ($name:ident, first = $first:expr, last = $last:ident, name = $c_name:expr) => {
        const _: () = {
            use std::mem::{offset_of, size_of};
            assert!(offset_of!($name, struct_size) == 0);
            assert!(
                offset_of!($name, $last) + $crate::handle::field_size(|value: &$name| &value.$last)
                    == size_of::<$name>(),
                "no padding at the end"
            );
            // The number is that of 64-bit machines.
            assert!(size_of::<usize>() != 8 || $first <= size_of::<$name>());
        };

        // SAFETY: struct_size is first and nothing is padded at the end, asserted above; repr(C) stands on the struct.
        #[allow(unsafe_code)]
        unsafe impl $crate::handle::Versioned for $name {
            const NAME: &'static str = $c_name;
            const FIRST: usize = if std::mem::size_of::<usize>() == 8 { $first } else { std::mem::size_of::<$name>() };
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
        if size < T::FIRST || size > 4096 {
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
        if size < T::FIRST || size > 4096 { Err(T::size_error(size)) } else { Ok(size) }
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

    /// Writes as much of `value` as the caller's header knows, `room` bytes; `struct_size` stays the caller's.
    pub(crate) fn fill(&self, room: usize, value: T) {
        let value = MaybeUninit::new(value);
        let after = size_of::<usize>();
        let len = room.min(size_of::<T>()) - after;
        // SAFETY: `room` came from `room` of this pointer, so the caller has that many bytes; both lengths are within
        // their objects. Bytes are copied as they are, padding included.
        unsafe {
            let from = value.as_ptr().cast::<MaybeUninit<u8>>().add(after);
            ptr::copy_nonoverlapping(from, self.0.cast::<MaybeUninit<u8>>().add(after), len);
        }
    }
}
