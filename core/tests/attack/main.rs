//! Hostile and crowded surroundings. Each module names the invariant that it checks.
#![cfg(target_os = "linux")]

#[path = "../arena/child.rs"]
#[allow(dead_code, reason = "shared with the tests of arenas")]
mod child;
mod crowd;
mod replaced;
#[path = "../arena/speaking.rs"]
mod speaking;
#[path = "../arena/support.rs"]
#[allow(dead_code, reason = "shared with the tests of arenas")]
mod support;
