//! What a child of fork begins anew: its parent's threads, and the locks that they held, are not in it.

#[cfg(not(loom))]
use super::fork::{generation, watch};
use std::sync::OnceLock;

/// A value for each process of a line of forks. The child's copy of its parent's is left as it was: a thread that
/// does not exist any more may have been changing it.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    generation: u32,
    value: T,
    child: OnceLock<Box<Self>>,
}

impl<T: Default> PerProcess<T> {
    pub(crate) fn new() -> Self {
        watch();
        Self::of(generation())
    }

    fn of(generation: u32) -> Self {
        Self { generation, value: T::default(), child: OnceLock::new() }
    }

    /// This process's.
    #[inline]
    pub(crate) fn get(&self) -> &T {
        let generation = generation();
        let mut own = self;
        while own.generation != generation {
            // A child of fork. In a grandchild the child's is another that is over.
            own = own.child.get_or_init(|| Box::new(Self::of(generation)));
        }
        &own.value
    }
}

#[cfg(loom)]
pub(crate) fn generation() -> u32 {
    1
}

#[cfg(loom)]
pub(crate) fn watch() {}
