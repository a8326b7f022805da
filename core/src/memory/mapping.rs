//! The bytes of an arena. Every access goes through a shared reference to atomics, within bounds that are private
//! memory.
#![allow(unsafe_code)] // Mapped bytes are read as atomics.

use super::Zeroable;
use crate::sync::{AtomicU64, Ordering};
use memmap2::{MmapMut, MmapRaw};
use std::io;

/// A mapping, private or of a file.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: MmapRaw,
}

/// Words.
#[cfg(target_os = "linux")]
const COPIED_AT_ONCE: usize = 8192;

impl Mapping {
    /// Zeroed memory of this process; a child of fork has its own copy.
    pub(crate) fn private(size: usize) -> io::Result<Self> {
        Ok(Self { map: MmapMut::map_anon(size)?.into() })
    }

    /// `size` bytes of a file, shared with all who map it.
    pub(crate) fn shared(file: &std::fs::File, size: usize) -> io::Result<Self> {
        Ok(Self { map: memmap2::MmapOptions::new().len(size).map_raw(file)? })
    }

    pub(crate) fn size(&self) -> usize {
        self.map.len()
    }

    /// The value at `offset`. `None`: not within the mapping, or not aligned.
    pub(crate) fn value<T: Zeroable>(&self, offset: usize) -> Option<&T> {
        self.slice(offset, 1)?.first()
    }

    /// `len` values at `offset`. `None`: not within the mapping, or not aligned.
    pub(crate) fn slice<T: Zeroable>(&self, offset: usize, len: usize) -> Option<&[T]> {
        let end = len.checked_mul(size_of::<T>())?.checked_add(offset)?;
        if end > self.size() || !offset.is_multiple_of(align_of::<T>()) {
            return None;
        }
        // SAFETY: within the mapping, which starts on a page and lives as long as `self`; any bytes are a value of `T`,
        // and are only ever reached through atomics (`Zeroable`), by this process and by others.
        Some(unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(offset).cast(), len) })
    }

    /// Copies `at..end` of a file to the same place here. Read, not mapped: nothing that is done to the file ends this
    /// process.
    #[cfg(target_os = "linux")]
    pub(crate) fn copy(&self, file: &std::fs::File, at: usize, end: usize) -> io::Result<()> {
        let words = self.slice::<AtomicU64>(at, end.saturating_sub(at).div_ceil(8)).unwrap_or_default();
        let mut bytes = vec![0; 8 * COPIED_AT_ONCE.min(words.len())];
        for (number, part) in words.chunks(COPIED_AT_ONCE).enumerate() {
            let (from, bytes) = (at + 8 * COPIED_AT_ONCE * number, &mut bytes[..8 * part.len()]);
            std::os::unix::fs::FileExt::read_exact_at(file, bytes, from as u64)?;
            for (word, bytes) in part.iter().zip(bytes.chunks_exact(8)) {
                // Relaxed: only this process sees it.
                word.store(u64::from_ne_bytes(std::array::from_fn(|at| bytes[at])), Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Zeroes `at..end`, whole words.
    pub(crate) fn clear(&self, at: usize, end: usize) {
        let words = end.saturating_sub(at).div_ceil(8);
        for word in self.slice::<AtomicU64>(at, words).unwrap_or_default() {
            // Relaxed: published with the object's record.
            if word.load(Ordering::Relaxed) != 0 {
                word.store(0, Ordering::Relaxed);
            }
        }
    }
}
