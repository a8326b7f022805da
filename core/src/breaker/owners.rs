//! Which process holds a probe: a dead one's come back before their time.

use crate::memory::ObjectAllocator;
use crate::sys::{generation, watch};

#[cfg(not(loom))]
use crate::arena::Arena;
#[cfg(not(loom))]
use std::sync::Arc;

/// A process, as far as a probe's word has room for it: `slot:8 | incarnation:8`; without an arena which one of a line
/// of forks.
///
/// A slot that has changed hands 256 times looks the same again; then the lease's own end frees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(pub(super) u16);

/// Who can hold probes of this breaker.
#[derive(Clone, Debug)]
pub(super) struct Owners {
    #[cfg(not(loom))]
    arena: Option<Arc<Arena>>,
}

impl Owners {
    pub(super) fn of(room: &ObjectAllocator) -> Self {
        #[cfg(loom)]
        let _ = room;
        watch();
        Self {
            #[cfg(not(loom))]
            arena: Arena::of(room),
        }
    }

    /// This process; `None` where its arena has no slot for it.
    pub(super) fn me(&self) -> Option<Owner> {
        #[cfg(not(loom))]
        if let Some(arena) = &self.arena {
            let member = arena.member().ok()?;
            return Some(of(member.slot, member.incarnation));
        }
        Some(of_line())
    }

    /// Whether a probe of `owner` may be ended here: not by a child of fork with its parent's permit.
    pub(super) fn is_me(&self, owner: Owner) -> bool {
        #[cfg(not(loom))]
        if let Some(arena) = &self.arena {
            return arena.registered().is_some_and(|member| of(member.slot, member.incarnation) == owner);
        }
        owner == of_line()
    }

    /// Looks, at most once in 10 ms, which processes have died.
    pub(super) fn survey(&self, now: u64) {
        #[cfg(not(loom))]
        if let Some(arena) = &self.arena {
            arena.reap(now);
        }
        let _ = now;
    }

    /// Whether that process is gone, as of the last [`survey`](Self::survey).
    pub(super) fn is_gone(&self, owner: Owner) -> bool {
        #[cfg(not(loom))]
        if let Some(arena) = &self.arena {
            let slot = owner.0 >> 8;
            return arena.incarnation(slot).is_none_or(|incarnation| of(slot, incarnation) != owner);
        }
        owner != of_line()
    }
}

/// This process in its line of forks: a child has a copy of its parent's probes, and nobody in it who would end them.
fn of_line() -> Owner {
    Owner(generation() as u16)
}

#[cfg(not(loom))]
fn of(slot: u16, incarnation: u32) -> Owner {
    Owner(slot << 8 | incarnation as u16 & 0xff)
}
