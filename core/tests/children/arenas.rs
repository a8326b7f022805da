//! What tests of forks look at in an arena.

use std::sync::Arc;
use tidegate::limit::{BucketConfig, Mode};
use tidegate::{Arena, OnConflict, TokenBucket};

pub(crate) fn bucket(arena: &Arc<Arena>, name: &str) -> TokenBucket {
    let options = BucketConfig { mode: Mode::Enforce, ..BucketConfig::default() };
    TokenBucket::in_arena(arena, name, "1000/day".parse().expect("a quota"), options, OnConflict::Error)
        .expect("a bucket")
}

/// The slots of the living, by process.
pub(crate) fn living(arena: &Arena) -> Vec<u32> {
    let mut pids: Vec<_> = arena.members().iter().filter(|member| member.alive).map(|member| member.pid).collect();
    pids.sort_unstable();
    pids
}
