//! Whose permits are whose: this process's word for itself, and those who are gone.

use super::places::owner_in;

#[cfg(not(loom))]
use crate::arena::{Arena, Member};
#[cfg(not(loom))]
use std::sync::Arc;

/// `slot:16 | incarnation:24 | 0:24`. In memory of its own a process is slot 0, incarnation 1, and nobody dies.
const ALONE: u64 = 1 << INCARNATION;
const SLOT: u32 = 48;
const INCARNATION: u32 = 24;

#[derive(Debug)]
pub(super) struct Owners {
    #[cfg(not(loom))]
    arena: Option<Arc<Arena>>,
    /// The deaths after which places were last swept.
    #[cfg(not(loom))]
    deaths: crate::sync::AtomicU64,
}

impl Owners {
    #[cfg(not(loom))]
    pub(super) fn new(arena: Option<Arc<Arena>>) -> Self {
        Self { arena, deaths: crate::sync::AtomicU64::new(0) }
    }

    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Self {}
    }

    /// Whether other processes may hold permits, whose releases wake nobody here.
    pub(super) fn is_shared(&self) -> bool {
        #[cfg(not(loom))]
        return self.arena.is_some();
        #[cfg(loom)]
        false
    }

    /// This process's word, if it has one. What was taken before a fork is the parent's.
    #[inline(always)]
    pub(super) fn present(&self) -> Option<u64> {
        #[cfg(not(loom))]
        if let Some(arena) = &self.arena {
            return arena.registered().map(word);
        }
        Some(ALONE)
    }

    /// [`present`](Self::present), registered if need be; `None`: the arena has no slot for another process.
    #[inline(always)]
    pub(super) fn join(&self) -> Option<u64> {
        #[cfg(not(loom))]
        if let Some(arena) = &self.arena {
            return arena.registered().or_else(|| arena.member().ok()).map(word);
        }
        Some(ALONE)
    }

    /// Looks for deaths, and has the places swept if there were any; whether that freed one. On the path of a denial.
    #[cfg(not(loom))]
    pub(super) fn reclaim(&self, sweep: impl FnOnce(&dyn Fn(u64) -> bool) -> u64) -> bool {
        use crate::sync::Ordering;

        let Some(arena) = &self.arena else { return false };
        let deaths = arena.reap(arena.clock().now());
        // Relaxed: an older number costs a sweep.
        if self.deaths.load(Ordering::Relaxed) == deaths {
            return false;
        }
        let freed = sweep(&|owner| !arena.is_current(member(owner)));
        // Relaxed: as above. After the sweep: who dies in it has not ended the search for others.
        self.deaths.store(deaths, Ordering::Relaxed);
        freed > 0
    }

    #[cfg(loom)]
    pub(super) fn reclaim(&self, _sweep: impl FnOnce(&dyn Fn(u64) -> bool) -> u64) -> bool {
        false
    }
}

#[cfg(not(loom))]
#[inline(always)]
fn word(member: Member) -> u64 {
    owner_in(u64::from(member.slot) << SLOT | u64::from(member.incarnation) << INCARNATION)
}

#[cfg(not(loom))]
pub(super) fn member(owner: u64) -> Member {
    Member { slot: (owner >> SLOT) as u16, incarnation: (owner >> INCARNATION & 0xff_ffff) as u32 }
}
