//! Host arenas: the file, its owners, and what goes wrong with it.
#![cfg(target_os = "linux")]

mod opening;
mod support;
