//! State as a slice of atomics: on the heap, in pages of its own, or in a mapping. One pointer either way, so that the
//! decision path is the same code.
#![allow(unsafe_code)] // Bytes are read as atomics.

use crate::sync::{AtomicU32, AtomicU64};

/// What zeroed bytes are a value of, and any other bytes as well: integers that are only read and written atomically.
///
/// # Safety
/// Every bit pattern must be a valid value, every field an atomic (or never accessed), and dropping one must do
/// nothing.
pub(crate) unsafe trait Zeroable: Sync {
    /// A zeroed value, where memory cannot be had as bytes.
    #[cfg(loom)]
    fn blank() -> Self;
}

// SAFETY: an atomic integer has the representation of the integer.
unsafe impl Zeroable for AtomicU64 {
    #[cfg(loom)]
    fn blank() -> Self {
        Self::new(0)
    }
}

// SAFETY: as above.
unsafe impl Zeroable for AtomicU32 {
    #[cfg(loom)]
    fn blank() -> Self {
        Self::new(0)
    }
}

// SAFETY: an array of such values is one.
unsafe impl<T: Zeroable, const N: usize> Zeroable for [T; N] {
    #[cfg(loom)]
    fn blank() -> Self {
        std::array::from_fn(|_| T::blank())
    }
}

#[cfg(loom)]
pub(crate) use modelled::SharedSlice;
#[cfg(not(loom))]
pub(crate) use real::SharedSlice;

#[cfg(not(loom))]
mod real {
    use super::super::Mapping;
    use super::Zeroable;
    use crate::ConfigError;
    use memmap2::MmapMut;
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::fmt;
    use std::ops::Deref;
    use std::ptr::NonNull;
    use std::sync::Arc;

    /// From here on whole pages are taken from the system, which gives them zeroed and only as they are touched.
    const PAGES_FROM: usize = 128 << 10;
    const LINE: usize = 64;

    /// A slice of state, and what keeps its memory.
    pub(crate) struct SharedSlice<T> {
        first: NonNull<T>,
        len: usize,
        keep: Keep,
    }

    enum Keep {
        Heap(Layout),
        Pages(#[allow(dead_code, reason = "held for its drop")] MmapMut),
        Mapped(#[allow(dead_code, reason = "held for its drop")] Arc<Mapping>),
        /// Memory of another slice, of which this is a part.
        Part(#[allow(dead_code, reason = "held for its drop")] Arc<dyn Send + Sync>),
    }

    // SAFETY: a `SharedSlice` hands out shared references only, and `Zeroable` is `Sync`; dropping it frees memory, on
    // any thread.
    unsafe impl<T: Zeroable> Send for SharedSlice<T> {}
    // SAFETY: as above.
    unsafe impl<T: Zeroable> Sync for SharedSlice<T> {}

    impl<T: Zeroable> SharedSlice<T> {
        /// `len` zeroed values of this process; a child of fork has its own copy. `sized_by`: the setting to blame.
        pub(in super::super) fn of_process(
            len: usize,
            huge_pages: bool,
            sized_by: Option<&'static str>,
        ) -> Result<Self, ConfigError> {
            let no_memory = |why: &str| ConfigError::no_memory(sized_by, len, size_of::<T>(), why);
            let size = len.max(1).checked_mul(size_of::<T>()).ok_or_else(|| no_memory("too large"))?;
            if huge_pages || size >= PAGES_FROM {
                let map = MmapMut::map_anon(size).map_err(|error| no_memory(&error.to_string()))?;
                #[cfg(target_os = "linux")]
                if huge_pages {
                    // A no is no error.
                    let _ = map.advise(memmap2::Advice::HugePage);
                }
                let first = NonNull::new(map.as_ptr().cast_mut().cast()).ok_or_else(|| no_memory("null"))?;
                return Ok(Self { first, len, keep: Keep::Pages(map) });
            }
            // Whole cache lines: what others write must not share one with it.
            let layout = Layout::from_size_align(size.next_multiple_of(LINE), align_of::<T>().max(LINE))
                .map_err(|error| no_memory(&error.to_string()))?;
            // SAFETY: the layout's size is not zero: `len.max(1)` of a type that holds at least one atomic.
            let bytes = unsafe { alloc_zeroed(layout) };
            let first = NonNull::new(bytes.cast()).ok_or_else(|| no_memory("the allocator refused"))?;
            Ok(Self { first, len, keep: Keep::Heap(layout) })
        }

        /// `len` values that stand at `offset` of a mapping. `None`: not within it, or not aligned.
        pub(in super::super) fn shared(mapping: &Arc<Mapping>, offset: usize, len: usize) -> Option<Self> {
            let first = mapping.slice::<T>(offset, len)?;
            Some(Self { first: NonNull::from(first).cast(), len, keep: Keep::Mapped(mapping.clone()) })
        }
    }

    impl<T: Zeroable + 'static> SharedSlice<T> {
        /// `len` values from `at` on, which keep the whole in memory. Panics beyond its end.
        pub(crate) fn part(self: &Arc<Self>, at: usize, len: usize) -> Self {
            let first = NonNull::from(&self[at..at + len]).cast();
            Self { first, len, keep: Keep::Part(self.clone()) }
        }
    }

    impl<T: Zeroable> SharedSlice<T> {
        /// The first; there is at least one.
        #[inline]
        pub(in super::super) fn first(&self) -> &T {
            // SAFETY: as `deref`; memory for one is always there (`len.max(1)`, and a mapped part is made for one).
            unsafe { self.first.as_ref() }
        }
    }

    impl<T> Drop for SharedSlice<T> {
        fn drop(&mut self) {
            if let Keep::Heap(layout) = self.keep {
                // SAFETY: allocated with this layout; a `Zeroable` needs no drop.
                unsafe { dealloc(self.first.as_ptr().cast(), layout) }
            }
        }
    }

    impl<T: Zeroable> Deref for SharedSlice<T> {
        type Target = [T];

        #[inline]
        fn deref(&self) -> &[T] {
            // SAFETY: `first` points to `len` values for as long as `keep` is held, and any bytes are values
            // (`Zeroable`).
            unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
        }
    }

    impl<T> fmt::Debug for SharedSlice<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let place = match self.keep {
                Keep::Heap(_) => "heap",
                Keep::Pages(_) => "pages",
                Keep::Mapped(_) => "mapped",
                Keep::Part(_) => "part",
            };
            write!(f, "{} x {} bytes ({place})", self.len, size_of::<T>())
        }
    }
}

/// loom's atomics are objects of its own, made one by one.
#[cfg(loom)]
mod modelled {
    use super::Zeroable;
    use crate::ConfigError;
    use std::ops::{Deref, Range};
    use std::sync::Arc;

    #[derive(Debug)]
    pub(crate) struct SharedSlice<T> {
        all: Arc<Vec<T>>,
        range: Range<usize>,
    }

    impl<T: Zeroable> SharedSlice<T> {
        pub(in super::super) fn of_process(
            len: usize,
            _huge_pages: bool,
            _sized_by: Option<&'static str>,
        ) -> Result<Self, ConfigError> {
            Ok(Self { all: Arc::new((0..len).map(|_| T::blank()).collect()), range: 0..len })
        }

        pub(crate) fn part(self: &Arc<Self>, at: usize, len: usize) -> Self {
            let at = self.range.start + at;
            Self { all: self.all.clone(), range: at..at + len }
        }

        pub(in super::super) fn first(&self) -> &T {
            &self[0]
        }
    }

    impl<T> Deref for SharedSlice<T> {
        type Target = [T];

        fn deref(&self) -> &[T] {
            &self.all[self.range.clone()]
        }
    }
}
