//! Which policy is in force for all who share an arena.
//!
//! What a policy says, the arena does not know: its objects have it. Here stands which one was the last, so that a
//! process with another file can tell.

use super::Arena;
#[cfg(feature = "policy")]
use super::ArenaError;
use super::layout::{HEADER_AT, Header};
use crate::sync::Ordering;

/// A policy in force, as an arena has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyInForce {
    /// Tells what it says from what others do.
    pub hash: u64,
    /// How many were put in force, this one among them.
    pub generation: u64,
}

impl Arena {
    /// The policy in force; `None`: none was ever put. No lock.
    pub fn policy(&self) -> Option<PolicyInForce> {
        let header = self.mapping().value::<Header>(HEADER_AT)?;
        // Acquire: with a generation one sees the hash that was stored before it, or a later one.
        let generation = header.policy_generation.load(Ordering::Acquire);
        // Relaxed: ordered by the load above.
        let hash = header.policy_hash.load(Ordering::Relaxed);
        (hash != 0).then_some(PolicyInForce { hash, generation })
    }

    /// Puts a policy in force; the one that is already stays, with its generation. `hash`: not 0.
    ///
    /// Errors: those of the arena's lock.
    #[cfg(feature = "policy")]
    pub(crate) fn put_policy(&self, hash: u64) -> Result<PolicyInForce, ArenaError> {
        let _held = self.lock()?;
        let Some(header) = self.mapping().value::<Header>(HEADER_AT) else {
            // Shorter than a header is none that was opened.
            return Ok(PolicyInForce { hash, generation: 0 });
        };
        // Relaxed, all loads: under the lock.
        let generation = header.policy_generation.load(Ordering::Relaxed);
        if header.policy_hash.load(Ordering::Relaxed) == hash {
            return Ok(PolicyInForce { hash, generation });
        }
        // The hash first: who is killed between the two leaves a generation too low, never a hash that is not so.
        // Relaxed: published by the next store.
        header.policy_hash.store(hash, Ordering::Relaxed);
        let generation = generation.wrapping_add(1);
        // Release: whoever reads this generation finds its hash.
        header.policy_generation.store(generation, Ordering::Release);
        Ok(PolicyInForce { hash, generation })
    }
}
