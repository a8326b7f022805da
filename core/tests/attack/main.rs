//! Hostile and crowded surroundings. Each module names the invariant that it checks.
#![cfg(target_os = "linux")]

mod bookings;
#[path = "../arena/child.rs"]
#[allow(dead_code, reason = "shared with the tests of arenas")]
mod child;
mod crowd;
mod late;
#[path = "../arena/messages.rs"]
mod messages;
mod replaced;
#[path = "../arena/support.rs"]
#[allow(dead_code, reason = "shared with the tests of arenas")]
mod support;
