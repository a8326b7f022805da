//! What objects and people ask about the processes that have an arena open.

use super::error::{ArenaError, ArenaErrorKind};
use super::layout::PROCESSES;
use super::members::NoSlot;
use super::{Arena, Member, MemberInfo};

impl Arena {
    /// This process. Registers it if it is not yet, or was and is now a child of fork.
    ///
    /// Errors: [`Full`](ArenaErrorKind::Full) when 256 processes have the arena open;
    /// [`System`](ArenaErrorKind::System) when the descriptor is gone (closed by who closes all, or a child of fork
    /// could not open the file anew).
    pub(crate) fn member(&self) -> Result<Member, ArenaError> {
        self.check_writable()?;
        self.members.member().map_err(|why| match why {
            NoSlot::Full => {
                let message = format!(
                    "{PROCESSES} processes have the arena {:?} open, and no more can join it; close some, or use \
                     another arena",
                    self.name()
                );
                ArenaError::new(ArenaErrorKind::Full, message)
            }
            NoSlot::LostDescriptor => self.lost_descriptor(),
            NoSlot::System(error) => {
                let message = format!("no process slot of the arena {:?} could be locked: {error}", self.name());
                ArenaError::new(ArenaErrorKind::System, message)
            }
        })
    }

    pub(super) fn lost_descriptor(&self) -> ArenaError {
        let message = format!(
            "the descriptor of the arena {:?} is gone: something closed all descriptors of this process, or it is a \
             child of fork that could not open the file anew (no descriptor was free, /proc is not there, or its user \
             may not); it owns no permits and takes none: open the arena after that (in the child), or raise `ulimit \
             -n`",
            self.name()
        );
        ArenaError::new(ArenaErrorKind::System, message)
    }

    /// This process, if it is registered; what was acquired before a fork belongs to the parent. No system call.
    #[inline]
    pub(crate) fn registered(&self) -> Option<Member> {
        self.members.registered()
    }

    /// Whether the slot is still that process's. No system call: as of the last [`reap`](Self::reap).
    pub(crate) fn is_current(&self, member: Member) -> bool {
        self.members.is_current(member)
    }

    /// Who has the slot now, as of the last [`reap`](Self::reap); `None`: nobody. No system call.
    pub(crate) fn incarnation(&self, slot: u16) -> Option<u32> {
        self.members.incarnation(slot)
    }

    /// Frees the slots of processes that have died, at most once in 10 ms; on the path of a denied permit or probe.
    /// Returns a number that changes with every process that joins or dies: who remembers another one has permits to
    /// look for.
    pub(crate) fn reap(&self, now: u64) -> u64 {
        self.members.reap(now)
    }

    /// The processes that have the arena open and did something in it, and those that died and were not yet noticed.
    /// Changes nothing; some microseconds and a system call for each.
    pub fn members(&self) -> Vec<MemberInfo> {
        self.members.survey()
    }
}
