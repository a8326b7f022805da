//! Where state lives: in this process, or in memory shared with others. A primitive asks an [`ObjectAllocator`] for its
//! parts, always in the same order.

#[cfg(not(loom))]
mod backing;
mod boxed;
mod change_lock;
#[cfg(not(loom))]
mod mapping;
mod object_allocator;
mod seq_lock;
mod shared_slice;
mod watch;

#[cfg(not(loom))]
pub(crate) use backing::{Backing, StripeOwners};
pub(crate) use boxed::boxed;
pub(crate) use change_lock::ChangeLock;
#[cfg(not(loom))]
pub(crate) use mapping::Mapping;
pub(crate) use object_allocator::{ObjectAllocator, One};
pub(crate) use seq_lock::{Latest, SeqLock, SetWord, Sets};
pub(crate) use shared_slice::{SharedSlice, Zeroable};
pub(crate) use watch::Watch;

/// Lost races after which an operation gives up and denies: a hostile process must not keep anybody for ever, and no
/// honest thread loses so many in a row.
pub(crate) const PATIENCE: usize = 10_000;
/// Lost races after which a step is left to the next round of the operation, of which there are [`PATIENCE`].
pub(crate) const TRIES: usize = 16;
