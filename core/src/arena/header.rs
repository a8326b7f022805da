//! The first page: written once, checked by every opener, kept in private memory.

use std::hash::{BuildHasher, Hasher};

/// Seeds from the operating system.
pub(super) fn secret() -> [u64; 4] {
    // std's seeds come from the system's generator, and differ for each object.
    std::array::from_fn(|lane| {
        let mut hasher = std::hash::RandomState::new().build_hasher();
        hasher.write_usize(lane);
        hasher.finish()
    })
}
