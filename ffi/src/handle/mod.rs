//! Every read and write through a pointer that C gave us, and the rules that make them sound.
//!
//! [`In`] and [`Out`] look like plain pointers to C. Rust code cannot make one from an address, so the one who vouches
//! for the address is always the C caller, under the law at the top of the header: a pointer is NULL or points to a
//! live object of its type. Everything else (NULL, a short or long struct, a text that is not UTF-8) is checked here.

// This folder is the one place that follows the caller's pointers.
#![allow(unsafe_code)]

mod plain;
mod text;
mod versioned;

pub use plain::Plain;
pub use versioned::{Settings, Versioned};
pub(crate) use versioned::{field_size, versioned};

use crate::status::Failure;
use std::fmt;
use std::ptr;
use std::sync::Arc;

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

impl<T> Out<T> {
    /// Fails with TG_NULL on NULL; call it before anything is decided that could not be told.
    #[inline]
    pub(crate) fn require(&self, argument: &'static str) -> Result<(), Failure> {
        if self.0.is_null() { Err(Failure::null(argument)) } else { Ok(()) }
    }

    /// The same to read from.
    pub(crate) fn as_in(&self) -> In<T> {
        In(self.0.cast_const())
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

/// A [`Handle`] that others may have as well: C's pointer is one of them.
///
/// # Safety
/// `repr(transparent)` over `Inner`.
pub unsafe trait Shared: Handle {
    /// What it is.
    type Inner: Send + Sync;
}

impl<T: Shared> Out<*mut T> {
    /// Hands an object to C, which returns it through [`Out::free_shared`], each time that it was given.
    pub(crate) fn give_shared(&self, object: Arc<T::Inner>) {
        if !self.0.is_null() {
            self.set(Arc::into_raw(object).cast::<T>().cast_mut());
        }
    }
}

impl<T: Shared> In<T> {
    /// The object, for one more who has it; or TG_NULL.
    pub(crate) fn share(&self, argument: &'static str) -> Result<Arc<T::Inner>, Failure> {
        if self.0.is_null() {
            return Err(Failure::null(argument));
        }
        let inner = self.0.cast::<T::Inner>();
        // SAFETY: not NULL, so by the header's law a live handle, which came from `give_shared`.
        unsafe {
            Arc::increment_strong_count(inner);
            Ok(Arc::from_raw(inner))
        }
    }
}

impl<T: Shared> Out<T> {
    /// Gives up one of those that [`Out::give_shared`] handed out; nothing when NULL.
    pub(crate) fn free_shared(self) {
        if !self.0.is_null() {
            // SAFETY: from `give_shared`, and by the header's law freed once for each time that it was given.
            drop(unsafe { Arc::from_raw(self.0.cast_const().cast::<T::Inner>()) });
        }
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
