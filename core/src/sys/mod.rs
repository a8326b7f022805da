//! What the operating system makes of a process: forks of it, values of its own, locks that end with it.
//!
//! | file | idea |
//! |---|---|
//! | `fork.rs` | forks are counted; what runs in a child first |
//! | `fork_lock.rs` | a lock that forks cannot leave held |
//! | `whole.rs` | a value that a child of fork finds whole, though a thread of its parent was changing it |
//! | `per_process.rs` | a value for each process of a line of forks |
//! | `draw.rs` | random numbers that no child of fork has from its parent |
//! | `lock_file.rs` | locks that the kernel releases at death |

mod draw;
#[cfg(not(loom))]
mod fork;
#[cfg(not(loom))]
mod fork_lock;
#[cfg(all(target_os = "linux", not(loom)))]
mod lock_file;
#[cfg(not(any(target_os = "linux", loom)))]
#[path = "lock_file_elsewhere.rs"]
mod lock_file;
mod per_process;
#[cfg(all(feature = "policy", not(loom)))]
mod whole;

pub use draw::draw;
#[cfg(not(loom))]
pub(crate) use fork::{ChildHook, generation, watch};
#[cfg(not(loom))]
pub(crate) use fork_lock::{ForkGuard, ForkLock};
#[cfg(not(loom))]
pub(crate) use lock_file::LockFile;
#[cfg(all(target_os = "linux", not(loom)))]
pub(crate) use lock_file::{ENTRIES, Kept, reserve};
pub(crate) use per_process::PerProcess;
#[cfg(loom)]
pub(crate) use per_process::{generation, watch};
#[cfg(all(feature = "policy", not(loom)))]
pub(crate) use whole::{Whole, WholeGuard};
