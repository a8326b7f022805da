//! Arenas of the machine, across processes: the file, its owners, and what goes wrong with it.
#![cfg(target_os = "linux")]

mod child;
mod containers;
mod contents;
mod damage;
mod deploys;
mod dying;
mod everything;
mod hostile;
mod messages;
mod opening;
mod owners;
mod racing;
mod space;
mod support;
