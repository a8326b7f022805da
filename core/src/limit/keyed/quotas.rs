//! The default quota: for all who have the limiter open.
#![allow(unsafe_code)] // `unsafe impl Zeroable` for atomics.

use super::units::Units;
use crate::memory::{ChangeLock, ObjectAllocator, One, Zeroable};
use crate::sync::{AtomicU64, Ordering, fence};
use crate::{ConfigError, Quota};

/// Changes of the default quota before one's words are written over.
const DEFAULTS: usize = Units::SPARES as usize;
/// Lost races after which a reader takes what it has.
const PATIENCE: usize = 100;

/// What is shared. Only ever added to or moved on, so that who dies in between has changed nothing.
#[repr(C, align(64))]
#[derive(Debug)]
struct Shared {
    /// The default quota in the table's units, and which of `defaults` it is.
    units: AtomicU64,
    _line: [AtomicU64; 7],
    defaults: [Words; DEFAULTS],
}

/// Count, period in nanoseconds, burst.
type Words = [AtomicU64; 3];

// SAFETY: atomics only.
unsafe impl Zeroable for Shared {
    #[cfg(loom)]
    fn blank() -> Self {
        Self { units: Zeroable::blank(), _line: Zeroable::blank(), defaults: Zeroable::blank() }
    }
}

#[derive(Debug)]
pub(super) struct Quotas {
    shared: One<Shared>,
    changes: ChangeLock,
    /// What the limiter was made with: read where foreign bytes are no quota.
    first: Quota,
}

impl Quotas {
    /// One part. `first`: the default quota that the limiter is or was made with.
    pub(super) fn in_room(room: &mut ObjectAllocator, first: Quota) -> Result<Self, ConfigError> {
        Ok(Self { shared: room.one()?, changes: ChangeLock::of(room), first })
    }

    /// The default quota in force, in the table's units.
    #[inline]
    pub(super) fn units(&self) -> Units {
        // Acquire: pairs with the release of `put`, so that what the rule was told of the quota is there.
        Units::unpack(self.shared.units.load(Ordering::Acquire))
    }

    /// The default quota in force.
    pub(super) fn default(&self) -> Quota {
        let mut quota = None;
        for _ in 0..PATIENCE {
            // Acquire: pairs with the release of `put`.
            let units = self.shared.units.load(Ordering::Acquire);
            quota = quota_of(load(&self.shared.defaults[Units::spare(units)]));
            // Acquire: the load below is not before those above.
            fence(Ordering::Acquire);
            // Relaxed: ordered by the fence. The words are written again only after the next seven were named.
            if self.shared.units.load(Ordering::Relaxed) == units {
                break;
            }
        }
        quota.unwrap_or(self.first)
    }

    /// Does `change` under the lock.
    ///
    /// Errors: `arena` where the system refuses its lock.
    pub(super) fn locked<T>(&self, change: impl FnOnce() -> T) -> Result<T, ConfigError> {
        let _turn = self.changes.lock()?;
        Ok(change())
    }

    /// Makes `quota` the default: its words, then one store that names them. Only under the lock, or by who makes the
    /// limiter.
    pub(super) fn put(&self, quota: &Quota, units: Units) {
        // Relaxed: only who holds the lock writes it.
        let next = (Units::spare(self.shared.units.load(Ordering::Relaxed)) + 1) % DEFAULTS;
        // Release: a reader that sees one of the words below sees that those before them were named.
        fence(Ordering::Release);
        write(&self.shared.defaults[next], quota);
        // Release: after the words, and after what the rule was told of the quota.
        self.shared.units.store(units.pack_with(next), Ordering::Release);
    }
}

fn write(words: &Words, quota: &Quota) {
    for (word, value) in words.iter().zip(words_of(quota)) {
        // Relaxed: published by the word that names them.
        word.store(value, Ordering::Relaxed);
    }
}

fn load(words: &Words) -> [u64; 3] {
    // Relaxed: read after the word that names them.
    words.each_ref().map(|word| word.load(Ordering::Relaxed))
}

/// A quota as numbers.
pub(super) fn words_of(quota: &Quota) -> [u64; 3] {
    [quota.count(), quota.period().as_nanos() as u64, quota.burst().into()]
}

/// The quota that numbers from shared memory say, if they do.
pub(super) fn quota_of([count, period_ns, burst]: [u64; 3]) -> Option<Quota> {
    Quota::from_parts(count, period_ns, u32::try_from(burst).ok()?)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn quota(count: u64) -> Quota {
        Quota::new(count, std::time::Duration::from_secs(60)).unwrap()
    }

    fn units(count: u64) -> Units {
        Units::new(1 << 20, count as u32)
    }

    #[test]
    fn who_dies_while_changing_has_changed_nothing() {
        let quotas = Quotas::in_room(&mut ObjectAllocator::of_process(false), quota(1)).unwrap();
        quotas.put(&quota(1), units(1));
        for count in 2..20 {
            // Killed before the store that names them: in the words of the next default.
            let present = Units::spare(quotas.shared.units.load(Ordering::Relaxed));
            write(&quotas.shared.defaults[(present + 1) % DEFAULTS], &quota(99));
            quotas.shared.defaults[(present + 1) % DEFAULTS][1].store(0, Ordering::Relaxed);
            assert_eq!((quotas.default(), quotas.units().burst), (quota(count - 1), count as u32 - 1));
            // Who comes next finds all in order.
            quotas.put(&quota(count), units(count));
            assert_eq!((quotas.default(), quotas.units().burst), (quota(count), count as u32));
        }
    }
}
