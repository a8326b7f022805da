//! Zeroed memory for tables: whole pages from the system, touched only where keys come to stand.
#![allow(unsafe_code)] // Mapped bytes are read as atomics.

#[cfg(not(loom))]
pub(super) use mapped::Zeroed;
#[cfg(loom)]
pub(super) use on_heap::Zeroed;

use crate::sync::AtomicU64;

/// What zeroed bytes are a value of.
///
/// # Safety
/// All zeroes must be a valid value, and dropping one must do nothing.
pub(super) unsafe trait Blank: Sync {
    /// A zeroed value, where memory cannot be had as bytes.
    #[cfg(loom)]
    fn blank() -> Self;
}

// SAFETY: an atomic integer has the representation of the integer.
unsafe impl Blank for AtomicU64 {
    #[cfg(loom)]
    fn blank() -> Self {
        Self::new(0)
    }
}

#[cfg(not(loom))]
mod mapped {
    use super::Blank;
    use crate::ConfigError;
    use memmap2::MmapMut;
    use std::marker::PhantomData;
    use std::ops::Deref;

    /// A private mapping: a child of fork has its own copy.
    #[derive(Debug)]
    pub(crate) struct Zeroed<T> {
        map: MmapMut,
        len: usize,
        of: PhantomData<T>,
    }

    impl<T: Blank> Zeroed<T> {
        /// `len` zeroed values; with `huge_pages` the kernel is asked for large pages, and a no is no error.
        pub(in super::super) fn new(len: usize, huge_pages: bool) -> Result<Self, ConfigError> {
            let too_large = |why: String| {
                ConfigError::out_of_range("max_keys", format!("no memory for {len} x {} bytes: {why}", size_of::<T>()))
            };
            let bytes = len.checked_mul(size_of::<T>()).ok_or_else(|| too_large("too large".to_owned()))?;
            let map = MmapMut::map_anon(bytes.max(1)).map_err(|error| too_large(error.to_string()))?;
            #[cfg(target_os = "linux")]
            if huge_pages {
                let _ = map.advise(memmap2::Advice::HugePage);
            }
            #[cfg(not(target_os = "linux"))]
            let _ = huge_pages;
            Ok(Self { map, len, of: PhantomData })
        }
    }

    impl<T: Blank> Deref for Zeroed<T> {
        type Target = [T];

        #[inline]
        fn deref(&self) -> &[T] {
            // SAFETY: the mapping is page-aligned, holds `len` values that were all zero when it was made (`Blank`), lives as
            // long as `self`, and is only ever reached through shared references to atomics.
            unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), self.len) }
        }
    }
}

#[cfg(loom)]
mod on_heap {
    use super::Blank;
    use crate::ConfigError;
    use std::ops::Deref;

    #[derive(Debug)]
    pub(crate) struct Zeroed<T>(Vec<T>);

    impl<T: Blank> Zeroed<T> {
        pub(in super::super) fn new(len: usize, _huge_pages: bool) -> Result<Self, ConfigError> {
            Ok(Self((0..len).map(|_| T::blank()).collect()))
        }
    }

    impl<T> Deref for Zeroed<T> {
        type Target = [T];

        fn deref(&self) -> &[T] {
            &self.0
        }
    }
}
