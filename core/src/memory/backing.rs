//! Memory that objects share with others: what they ask of an arena, whatever that is.

use super::Mapping;
use crate::ConfigError;
use crate::setting::Field;
use crate::sync::AtomicU64;
use std::any::Any;
use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

/// Where the objects of an arena lie.
pub(crate) trait Backing: Any + Debug + Send + Sync {
    /// Its bytes.
    fn mapping(&self) -> &Arc<Mapping>;

    /// Takes the space of `at..end`, before anything there is touched.
    ///
    /// Errors: the filesystem has none.
    fn take_space(&self, at: usize, end: usize) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// Says that a part of `needs` bytes does not fit into the `left` ones; `sized_by`: the setting that asks for so
    /// many.
    fn does_not_fit(&self, needs: usize, left: usize, sized_by: Option<&'static Field>) -> ConfigError;

    /// Waits for the lock under which names and quotas change; it is given back by the drop of what is returned.
    ///
    /// Errors: `arena` where the system refuses it.
    fn lock_changes(&self) -> Result<Box<dyn Debug + '_>, ConfigError>;

    /// Which threads own which counter stripes in it.
    fn stripe_owners(&self) -> &dyn StripeOwners;
}

/// Owners of counter stripes: a word for each, 0 or its owner's mark.
pub(crate) trait StripeOwners {
    /// Another one for each arena that this process opens.
    fn number(&self) -> u64;

    /// The words.
    fn words(&self) -> &[AtomicU64];

    /// This process's mark, never 0; `None`: it can own nothing here.
    fn mark(&self) -> Option<u64>;

    /// Whether the process of that mark is gone; what its threads stored is seen.
    fn is_gone(&self, mark: u64) -> bool;

    /// Looks which processes have died.
    fn reap(&self);
}
