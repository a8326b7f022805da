//! Where state lives: in this process, or in memory shared with others. A primitive asks a [`Room`] for its parts,
//! always in the same order.

#[cfg(not(loom))]
mod backing;
mod cells;
mod changes;
mod latest;
#[cfg(not(loom))]
mod mapping;
mod room;
mod watch;

#[cfg(not(loom))]
pub(crate) use backing::{Backing, StripeOwners};
pub(crate) use cells::{Blank, Cells};
pub(crate) use changes::Changes;
pub(crate) use latest::Latest;
#[cfg(not(loom))]
pub(crate) use mapping::Mapping;
pub(crate) use room::{One, Room};
pub(crate) use watch::Watch;

/// Lost races after which an operation gives up and denies: a hostile process must not keep anybody for ever, and no
/// honest thread loses so many in a row.
pub(crate) const PATIENCE: usize = 10_000;
