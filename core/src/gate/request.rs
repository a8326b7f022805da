//! What is asked of a gate.

use super::MOST_DEPENDENCIES;
use crate::concurrency::Partition;
use crate::shed::Priority;
use std::net::IpAddr;
use std::time::Duration;

/// Which of a gate's dependencies a call needs: [`Gate::dependencies`](super::Gate::dependencies).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dependencies(u64);

const _: () = assert!(MOST_DEPENDENCIES <= 64);

impl Dependencies {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// These, and the one at this place of a gate.
    #[must_use]
    pub fn with(self, place: usize) -> Self {
        Self(self.0 | 1_u64.checked_shl(place as u32).unwrap_or(0))
    }

    /// A bit for each place.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// From [`bits`](Self::bits); places that a gate does not have count for nothing.
    pub fn of_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(super) fn places(self, most: usize) -> impl Iterator<Item = usize> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let place = bits.trailing_zeros() as usize;
            bits &= bits.wrapping_sub(1);
            (place < most).then_some(place)
        })
    }
}

/// A call that wants to be let in.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// One for each keyed limit, in order; an access list looks at them too.
    pub keys: &'a [&'a [u8]],
    /// The client's, for an access list.
    pub address: Option<IpAddr>,
    /// Who is shed before whom.
    pub priority: Priority,
    /// The place within its class, 0 to 127: that of the user, [`level_of`](crate::LoadShedder::level_of).
    pub level: u8,
    /// What it takes of each limit.
    pub cost: u32,
    /// How long its caller still waits for it; `None`: without an end. Zero is over.
    pub deadline: Option<Duration>,
    /// What it will call.
    pub dependencies: Dependencies,
    /// Whose share of the concurrency limit it is, [`Gate::partition`](super::Gate::partition); by default nobody's.
    pub partition: Partition,
}

impl<'a> Request<'a> {
    /// With these keys, of normal priority, at a cost of 1.
    pub fn new(keys: &'a [&'a [u8]]) -> Self {
        Self {
            keys,
            address: None,
            priority: Priority::Normal,
            level: 0,
            cost: 1,
            deadline: None,
            dependencies: Dependencies::NONE,
            partition: Partition::default(),
        }
    }
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self::new(&[])
    }
}
