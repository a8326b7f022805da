//! An arena as the memory of the objects in it.

use super::layout::{OWNERS_AT, STRIPES};
use super::{Arena, Mapping, Member};
use crate::memory::{Backing, ObjectAllocator, StripeOwners};
use crate::setting::{Field, of_name};
use crate::sync::AtomicU64;
use crate::{ConfigError, ConfigErrorKind};
use std::any::Any;
use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

impl Arena {
    /// In which the room's object lies; `None`: in memory of the process.
    pub(crate) fn of(room: &ObjectAllocator) -> Option<Arc<Self>> {
        let backing: Arc<dyn Any + Send + Sync> = room.backing()?.clone();
        backing.downcast().ok()
    }
}

const _: () = assert!(STRIPES <= crate::counters::MOST_OWNED);

impl Backing for Arena {
    fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    fn take_space(&self, at: usize, end: usize) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.reserve(at, end)?)
    }

    #[cold]
    fn does_not_fit(&self, needs: usize, left: usize, sized_by: Option<&'static Field>) -> ConfigError {
        let mend = match self.path() {
            Some(_) => "make it larger where it is first opened (capacity, TIDEGATE_CAPACITY), after `tidegate rm`",
            None => "make it larger where it is first opened (capacity, TIDEGATE_CAPACITY)",
        };
        let smaller = sized_by.map(|setting| format!(", ask for a smaller {}", of_name(setting))).unwrap_or_default();
        let message = format!(
            "{needs} bytes do not fit into the {left} that are left of the arena {:?}; it never grows: \
             {mend}{smaller}, or use another arena",
            self.name()
        );
        ConfigError::out_of_range("capacity", message)
    }

    fn lock_changes(&self) -> Result<Box<dyn Debug + '_>, ConfigError> {
        match self.lock() {
            Ok(held) => Ok(Box::new(held)),
            Err(error) => Err(ConfigError::new(ConfigErrorKind::Conflict, "arena", error.message().to_owned())),
        }
    }

    fn stripe_owners(&self) -> &dyn StripeOwners {
        self
    }
}

impl StripeOwners for Arena {
    fn number(&self) -> u64 {
        self.members.number()
    }

    fn words(&self) -> &[AtomicU64] {
        self.mapping.slice(OWNERS_AT, STRIPES).unwrap_or_default()
    }

    /// `used:1 | slot:8 | incarnation:24`.
    fn mark(&self) -> Option<u64> {
        let member = self.member().ok()?;
        Some(1 << 32 | u64::from(member.slot & 0xff) << 24 | u64::from(member.incarnation))
    }

    fn is_gone(&self, mark: u64) -> bool {
        let member = Member { slot: (mark >> 24 & 0xff) as u16, incarnation: (mark & 0x00ff_ffff) as u32 };
        !self.is_current(member)
    }

    fn reap(&self) {
        self.members.reap(self.clock().now());
    }
}
