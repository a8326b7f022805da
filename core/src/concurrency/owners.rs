//! Whose permits are whose: this process's word for itself, and those who are gone.

use super::permit_slots::owner_in;
use crate::memory::ObjectAllocator;
use crate::sync::{AtomicU64, Ordering};
use crate::sys::generation;

#[cfg(not(loom))]
use crate::arena::Arena;
#[cfg(not(loom))]
use std::sync::Arc;

const SLOT: u32 = 56;
const INCARNATION: u32 = 32;
/// Places are swept so often at least, if there are denials.
const SWEEP_EVERY_NS: u64 = 1_000_000_000;
/// So often is doubted, if there are denials, that no place is free: a process may have been stopped after it had freed
/// one and before it said so.
const DOUBT_EVERY_NS: u64 = 10_000_000;

#[cfg(not(loom))]
const _: () = assert!(crate::arena::layout::PROCESSES <= 1 << (64 - SLOT), "a slot's number fits");

/// `slot:8 | incarnation:24 | 0:32`
#[inline(always)]
fn word(slot: u16, incarnation: u32) -> u64 {
    owner_in(u64::from(slot) << SLOT | u64::from(incarnation) << INCARNATION)
}

/// Slot and incarnation.
pub(super) fn member(owner: u64) -> (u16, u32) {
    ((owner >> SLOT) as u16, (owner >> INCARNATION & 0xff_ffff) as u32)
}

#[derive(Debug)]
pub(super) struct Owners {
    #[cfg(not(loom))]
    arena: Option<Arc<Arena>>,
    /// What [`changes`](Self::changes) said when places were last swept, and when that was.
    swept: AtomicU64,
    swept_ns: AtomicU64,
    /// When it was last doubted that no place is free.
    doubted_ns: AtomicU64,
}

impl Owners {
    pub(super) fn of(room: &ObjectAllocator) -> Self {
        #[cfg(loom)]
        let _ = room;
        Self {
            #[cfg(not(loom))]
            arena: Arena::of(room),
            swept: AtomicU64::new(u64::MAX),
            swept_ns: AtomicU64::new(0),
            doubted_ns: AtomicU64::new(0),
        }
    }

    /// Whether others may hold permits whose releases wake nobody here.
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
            return arena.registered().map(|member| word(member.slot, member.incarnation));
        }
        Some(word(0, generation()))
    }

    /// [`present`](Self::present), registered if need be; `None`: the arena has no slot for another process.
    #[inline(always)]
    pub(super) fn join(&self) -> Option<u64> {
        self.present().or_else(|| self.register())
    }

    #[cold]
    fn register(&self) -> Option<u64> {
        #[cfg(not(loom))]
        self.arena.as_ref()?.member().ok()?;
        self.present()
    }

    /// Looks for owners that are gone, and has the places swept if there are new ones, or after a second: foreign bytes
    /// may say that a place is somebody's who never was. Between sweeps it has them `doubt` every 10 ms that none is
    /// free. Whether one is to be had now. On the path of a denial.
    pub(super) fn reclaim(
        &self,
        sweep: impl FnOnce(&dyn Fn(u64) -> bool) -> u64,
        doubt: impl FnOnce() -> bool,
    ) -> bool {
        let now = self.now();
        let changes = self.changes(now);
        // Relaxed, both: an older number costs a sweep.
        let recent = now.abs_diff(self.swept_ns.load(Ordering::Relaxed)) < SWEEP_EVERY_NS;
        if recent && self.swept.load(Ordering::Relaxed) == changes {
            // Relaxed, both: an older number costs a look.
            if now.abs_diff(self.doubted_ns.load(Ordering::Relaxed)) < DOUBT_EVERY_NS {
                return false;
            }
            self.doubted_ns.store(now, Ordering::Relaxed);
            return doubt();
        }
        let freed = sweep(&|owner| self.is_gone(owner));
        // Relaxed, both: as above. After the sweep, so that none who died before is left.
        self.swept.store(changes, Ordering::Relaxed);
        self.swept_ns.store(now, Ordering::Relaxed);
        freed > 0
    }

    /// Of the arena's clock. Without one there is nobody else.
    fn now(&self) -> u64 {
        #[cfg(not(loom))]
        if let Some(arena) = &self.arena {
            return arena.clock().now();
        }
        0
    }

    /// A number that changes when somebody may be gone.
    fn changes(&self, now: u64) -> u64 {
        #[cfg(not(loom))]
        if let Some(arena) = &self.arena {
            return arena.reap(now);
        }
        let _ = now;
        generation().into()
    }

    fn is_gone(&self, owner: u64) -> bool {
        #[cfg(not(loom))]
        if let Some(arena) = &self.arena {
            let (slot, incarnation) = member(owner);
            return !arena.is_current(crate::arena::Member { slot, incarnation });
        }
        Some(owner) != self.present()
    }
}
