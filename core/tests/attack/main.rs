//! Hostile and crowded surroundings. Each module names the invariant that it checks.
#![cfg(target_os = "linux")]

mod bookings;
mod bytes;
#[path = "../arena/child.rs"]
#[allow(dead_code, reason = "shared with the tests of arenas")]
mod child;
#[path = "../children/mod.rs"]
#[allow(dead_code, reason = "shared with the tests of forks")]
mod children;
mod crowd;
#[path = "../arena/everything.rs"]
#[allow(dead_code, reason = "shared with the tests of arenas")]
mod everything;
mod forked;
mod items;
mod killed;
mod late;
mod memory;
#[path = "../arena/messages.rs"]
mod messages;
mod permits;
mod quotas;
mod replaced;
#[path = "../arena/support.rs"]
#[allow(dead_code, reason = "shared with the tests of arenas")]
mod support;
