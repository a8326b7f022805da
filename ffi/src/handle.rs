//! Every read and write through a pointer that C gave us, and the rules that make them sound.
//!
//! [`In`] and [`Out`] look like plain pointers to C. Rust code cannot make one from an address, so the one who vouches
//! for the address is always the C caller, under the law at the top of the header: a pointer is NULL or points to a
//! live object of its type. Everything else (NULL, a short or long struct, a text that is not UTF-8) is checked here.

// The one place that follows the caller's pointers.
#![allow(unsafe_code)]

use crate::status::{Failure, tg_status};
use std::ffi::{CStr, c_char, c_void};
use std::fmt;
use std::mem::{MaybeUninit, align_of, size_of};
use std::ptr;
use std::slice;

/// A pointer to read from; the header says `const T *`.
#[repr(transparent)]
pub struct In<T>(*const T);

/// A pointer to write to; the header says `T *`.
#[repr(transparent)]
pub struct Out<T>(*mut T);

impl<T> Clone for In<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for In<T> {}

impl<T> fmt::Debug for In<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&self.0, f)
    }
}

impl<T> fmt::Debug for Out<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&self.0, f)
    }
}

impl<T> Default for In<T> {
    fn default() -> Self {
        Self(ptr::null())
    }
}

impl<T> In<T> {
    pub(crate) fn is_null(&self) -> bool {
        self.0.is_null()
    }
}

/// An opaque object that C holds by pointer. Its calls run on any thread at once, hence the bounds.
pub trait Handle: Send + Sync {}

impl<T: Handle> In<T> {
    /// The object, or TG_NULL.
    #[inline]
    pub(crate) fn get(&self, argument: &'static str) -> Result<&T, Failure> {
        // SAFETY: NULL or a live handle, by the header's law; it outlives this call, and so the borrow of `self`.
        // Handles are only ever shared (`Sync`), never borrowed mutably.
        unsafe { self.0.as_ref() }.ok_or_else(|| Failure::null(argument))
    }

    /// The object, or `None` for NULL where NULL has a meaning.
    pub(crate) fn get_or_none(&self) -> Option<&T> {
        // SAFETY: as in `get`.
        unsafe { self.0.as_ref() }
    }
}

impl In<c_char> {
    /// The text, or `None` for NULL.
    pub(crate) fn text(&self, argument: &'static str) -> Result<Option<&str>, Failure> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, so by the header's law a NUL-terminated text that nobody writes to during the call.
        let text = unsafe { CStr::from_ptr(self.0) };
        let text = text.to_str().map_err(|e| Failure::new(tg_status::TG_UTF8, format!("{argument}: {e}")))?;
        Ok(Some(text))
    }
}

/// A value that C hands over as it is, alone or in an array.
///
/// # Safety
/// Any bytes are a valid value: no bool, no enum, no reference.
pub unsafe trait Plain: Copy {}

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

#[inline]
fn items<'a, T: Plain>(first: *const T, len: usize, argument: &'static str) -> Result<&'a [T], Failure> {
    if first.is_null() {
        return if len == 0 { Ok(&[]) } else { Err(Failure::null(argument)) };
    }
    if len > isize::MAX as usize / size_of::<T>() {
        let message = format!("{argument}: a length of {len} is more than any object has; was it negative?");
        return Err(Failure::new(tg_status::TG_OUT_OF_RANGE, message));
    }
    // SAFETY: not NULL and of a possible length, so by the header's law an array of that many that nobody writes to during
    // the call; the callers above bind it to the borrow of their pointer, which does not outlive the call.
    Ok(unsafe { slice::from_raw_parts(first, len) })
}

impl<T> Out<T> {
    /// Fails with TG_NULL on NULL; call it before anything is decided that could not be told.
    #[inline]
    pub(crate) fn require(&self, argument: &'static str) -> Result<(), Failure> {
        if self.0.is_null() { Err(Failure::null(argument)) } else { Ok(()) }
    }

    /// The address itself, to be kept.
    pub(crate) fn address(&self) -> *mut T {
        self.0
    }
}

impl<T: Copy> Out<T> {
    /// Writes `value`; nothing when NULL.
    #[inline]
    pub(crate) fn set(&self, value: T) {
        if !self.0.is_null() {
            // SAFETY: not NULL, so by the header's law room for a `T` that only this call uses meanwhile.
            unsafe { self.0.write(value) }
        }
    }
}

impl<T: Handle> Out<*mut T> {
    /// Hands a new object to C, which returns it through [`Out::free`].
    pub(crate) fn give(&self, object: T) {
        self.set(Box::into_raw(Box::new(object)));
    }
}

impl<T: Handle> Out<T> {
    /// Drops an object that [`Out::give`] handed out; nothing when NULL.
    pub(crate) fn free(self) {
        if !self.0.is_null() {
            // SAFETY: from `give`, and by the header's law freed once, when no other call uses it.
            drop(unsafe { Box::from_raw(self.0) });
        }
    }
}

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

/// `versioned!(tg_x, first = 40, last = field)`: checks what [`Versioned`] asks for while compiling.
macro_rules! versioned {
    ($name:ident, first = $first:expr, last = $last:ident) => {
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
            const NAME: &'static str = stringify!($name);
            const FIRST: usize = if std::mem::size_of::<usize>() == 8 { $first } else { std::mem::size_of::<$name>() };
        }
    };
}

pub(crate) use versioned;

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
