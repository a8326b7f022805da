//! The parts of one object, laid out one after the other.

use super::{Blank, Cells};
use crate::ConfigError;
use std::ops::Deref;

#[cfg(not(loom))]
use crate::arena::{Arena, ArenaError};
#[cfg(not(loom))]
use std::sync::Arc;

/// Memory for one object. Whoever opens an object that stands in an arena asks for the same parts in the same order as who made it.
pub(crate) struct Room {
    huge_pages: bool,
    #[cfg(not(loom))]
    plot: Option<Plot>,
}

/// A piece of an arena: `at..end`, taken up to `next`.
#[cfg(not(loom))]
struct Plot {
    arena: Arc<Arena>,
    next: usize,
    end: usize,
    fresh: bool,
    /// Why the filesystem gave no space.
    refusal: Option<ArenaError>,
}

/// Parts begin on lines of their own.
#[cfg(not(loom))]
const ALIGN: usize = 128;

impl Room {
    /// In this process.
    pub(crate) fn of_process(huge_pages: bool) -> Self {
        Self {
            huge_pages,
            #[cfg(not(loom))]
            plot: None,
        }
    }

    /// In an arena, at `at..end`; `fresh` when the object is being made, by the only one who knows the place.
    #[cfg(not(loom))]
    pub(crate) fn of_arena(arena: &Arc<Arena>, at: usize, end: usize, fresh: bool) -> Self {
        Self { huge_pages: false, plot: Some(Plot { arena: arena.clone(), next: at, end, fresh, refusal: None }) }
    }

    /// `len` zeroed values; where the object stands already, as they are.
    pub(crate) fn cells<T: Blank>(&mut self, len: usize) -> Result<Cells<T>, ConfigError> {
        #[cfg(not(loom))]
        if let Some(plot) = &mut self.plot {
            return plot.cells(len);
        }
        Cells::of_process(len, self.huge_pages)
    }

    /// One zeroed value.
    pub(crate) fn one<T: Blank>(&mut self) -> Result<One<T>, ConfigError> {
        Ok(One(self.cells(1)?))
    }

    /// Whether the object is new, and its first values are to be written.
    pub(crate) fn is_fresh(&self) -> bool {
        #[cfg(not(loom))]
        if let Some(plot) = &self.plot {
            return plot.fresh;
        }
        true
    }

    /// The arena, if it stands in one.
    #[cfg(not(loom))]
    pub(crate) fn arena(&self) -> Option<&Arc<Arena>> {
        self.plot.as_ref().map(|plot| &plot.arena)
    }

    /// Why the filesystem gave no space, if that is why a part could not be had.
    #[cfg(not(loom))]
    pub(crate) fn take_refusal(&mut self) -> Option<ArenaError> {
        self.plot.as_mut()?.refusal.take()
    }

    /// Where the next part would begin.
    #[cfg(not(loom))]
    pub(crate) fn next(&self) -> usize {
        self.plot.as_ref().map_or(0, |plot| plot.next)
    }
}

#[cfg(not(loom))]
impl Plot {
    fn cells<T: Blank>(&mut self, len: usize) -> Result<Cells<T>, ConfigError> {
        let at = self.next.next_multiple_of(ALIGN);
        let end = len.checked_mul(size_of::<T>()).and_then(|size| at.checked_add(size));
        let Some(end) = end.filter(|&end| end <= self.end) else {
            return Err(self.full(len.saturating_mul(size_of::<T>())));
        };
        let mapping = self.arena.mapping();
        if self.fresh {
            if let Err(error) = self.arena.reserve(at, end) {
                let message = error.message().to_owned();
                self.refusal = Some(error);
                return Err(ConfigError::out_of_range("capacity", message));
            }
            mapping.clear(at, end);
        }
        let cells = Cells::of_arena(mapping, at, len).ok_or_else(|| self.full(end - at))?;
        self.next = end;
        Ok(cells)
    }

    #[cold]
    fn full(&self, needs: usize) -> ConfigError {
        let left = self.end.saturating_sub(self.next);
        let mend = match self.arena.path() {
            Some(_) => "make it larger where it is first opened (capacity, TIDEGATE_CAPACITY), after `tidegate rm`",
            None => "make it larger where the process starts (TIDEGATE_CAPACITY)",
        };
        let message = format!(
            "{needs} bytes do not fit into the {left} that are left of the arena {:?}; it never grows: {mend}, or use another \
             arena",
            self.arena.name()
        );
        ConfigError::out_of_range("capacity", message)
    }
}

/// A single value of state.
#[derive(Debug)]
pub(crate) struct One<T>(Cells<T>);

#[cfg(not(loom))]
impl<T: Blank> One<T> {
    /// The value at `offset` of an arena. `None`: not within it, or not aligned.
    pub(crate) fn at(mapping: &Arc<crate::arena::Mapping>, offset: usize) -> Option<Self> {
        Cells::of_arena(mapping, offset, 1).map(Self)
    }
}

impl<T: Blank> Deref for One<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.first()
    }
}
