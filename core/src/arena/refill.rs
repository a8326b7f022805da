//! One refiller a machine: who holds the kernel's lock on one byte keeps the leases of an arena.

use super::Arena;
use super::error::{ArenaError, ArenaErrorKind};
use super::layout::REFILL_LOCK;
use crate::sync::Ordering;
use crate::sys::generation;
use std::sync::Arc;

/// Held by who keeps the leases of an arena with a store. The kernel lets go of it when the process ends, in whatever
/// way; a child of fork does not hold it.
#[derive(Debug)]
pub struct Refilling {
    arena: Arc<Arena>,
    generation: u32,
}

impl Arena {
    /// Takes the part of the one who keeps this arena's leases. `None`: another has it, a process or a thread of this
    /// one.
    ///
    /// Errors: [`Permission`](ArenaErrorKind::Permission) for what is only looked at;
    /// [`System`](ArenaErrorKind::System) where the kernel refuses the lock.
    pub fn try_refill(self: &Arc<Self>) -> Result<Option<Refilling>, ArenaError> {
        self.check_writable()?;
        let generation = generation();
        // Acquire: what the one before did in this process is over. Another generation is a parent's, who is elsewhere.
        let taken = self
            .refilling
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |holder| (holder != generation).then_some(generation));
        if taken.is_err() {
            return Ok(None);
        }
        // Dropped, it gives the part back, where the lock cannot be had.
        let held = Refilling { arena: self.clone(), generation };
        let Some(file) = self.members.file() else { return Ok(Some(held)) };
        if !file.is_whole() {
            return Err(self.lost_descriptor());
        }
        match file.try_lock(REFILL_LOCK) {
            Ok(true) => Ok(Some(held)),
            Ok(false) => Ok(None),
            Err(error) => {
                let message = format!("the refiller's lock of the arena {:?} was refused: {error}", self.name());
                Err(ArenaError::new(ArenaErrorKind::System, message))
            }
        }
    }

    /// Whether other processes that live have it open. Some system calls.
    pub fn is_shared(&self) -> bool {
        let own = self.members.registered().filter(|_| self.members.file().is_some()).map(|member| member.slot);
        self.members.file().is_some() && self.members().iter().any(|member| member.alive && Some(member.slot) != own)
    }

    /// Whether somebody keeps its leases now. A system call.
    pub fn is_refilled(&self) -> bool {
        // Relaxed: a look.
        self.refilling.load(Ordering::Relaxed) == generation()
            || self.members.file().is_some_and(|file| file.is_locked(REFILL_LOCK).unwrap_or(false))
    }
}

impl Drop for Refilling {
    fn drop(&mut self) {
        if self.generation != generation() {
            // A child of fork holds nothing.
            return;
        }
        if let Some(file) = self.arena.members.file() {
            // Before the part is given back: a thread that takes it finds the byte free.
            let _ = file.unlock(REFILL_LOCK);
        }
        // Release: who takes the part next in this process comes after all that was done here.
        let _ = self.arena.refilling.compare_exchange(self.generation, 0, Ordering::Release, Ordering::Relaxed);
    }
}
