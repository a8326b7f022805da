//! Who waits: wakers in the order of their arrival, for threads, runtimes and other languages alike.

mod blocking;
mod list;

pub(crate) use blocking::{block, block_with_pauses};
pub(crate) use list::WaitList;
