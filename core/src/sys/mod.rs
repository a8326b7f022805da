//! What the operating system makes of a process: forks of it, and values of its own.

mod per_process;

pub(crate) use per_process::{PerProcess, generation};
