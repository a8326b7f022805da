//! The parts of one object, laid out one after the other.

#[cfg(not(loom))]
use super::{Backing, Mapping};
use super::{SharedSlice, Zeroable};
use crate::ConfigError;
use crate::setting::Field;
#[cfg(not(loom))]
use std::error::Error;
use std::ops::Deref;
use std::sync::Arc;

/// Memory for one object. Whoever opens an object that stands in shared memory asks for the same parts in the same
/// order as who made it.
pub(crate) struct ObjectAllocator {
    huge_pages: bool,
    /// The setting that the next parts are as large as.
    sized_by: Option<&'static Field>,
    #[cfg(not(loom))]
    extent: Option<Extent>,
}

/// A piece of shared memory: `at..end`, taken up to `next`.
#[cfg(not(loom))]
struct Extent {
    backing: Arc<dyn Backing>,
    next: usize,
    end: usize,
    fresh: bool,
    /// Why the filesystem gave no space.
    refusal: Option<Box<dyn Error + Send + Sync>>,
}

/// Parts begin on lines of their own.
#[cfg(not(loom))]
const ALIGN: usize = 128;

impl ObjectAllocator {
    /// In this process.
    pub(crate) fn of_process(huge_pages: bool) -> Self {
        Self {
            huge_pages,
            sized_by: None,
            #[cfg(not(loom))]
            extent: None,
        }
    }

    /// In shared memory, at `at..end`; `fresh` when the object is being made, by the only one who knows the place.
    #[cfg(not(loom))]
    pub(crate) fn within(backing: Arc<dyn Backing>, at: usize, end: usize, fresh: bool) -> Self {
        let extent = Some(Extent { backing, next: at, end, fresh, refusal: None });
        Self { huge_pages: false, sized_by: None, extent }
    }

    /// What `take` takes has the size that a setting of the caller's asks for: where there is no memory for it, that
    /// is the one to make smaller. All else is as large for every object of the kind.
    pub(crate) fn sized_by<T>(&mut self, setting: &'static Field, take: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.sized_by.replace(setting);
        let taken = take(self);
        self.sized_by = before;
        taken
    }

    /// `len` zeroed values; where the object stands already, as they are.
    pub(crate) fn cells<T: Zeroable>(&mut self, len: usize) -> Result<SharedSlice<T>, ConfigError> {
        #[cfg(not(loom))]
        if let Some(extent) = &mut self.extent {
            return extent.cells(len, self.sized_by);
        }
        SharedSlice::of_process(len, self.huge_pages, self.sized_by.map(|setting| setting.name))
    }

    /// One zeroed value.
    pub(crate) fn one<T: Zeroable>(&mut self) -> Result<One<T>, ConfigError> {
        Ok(One(self.cells(1)?))
    }

    /// Whether the object is new, and its first values are to be written.
    pub(crate) fn is_fresh(&self) -> bool {
        #[cfg(not(loom))]
        if let Some(extent) = &self.extent {
            return extent.fresh;
        }
        true
    }

    /// The shared memory, if it lies in one.
    #[cfg(not(loom))]
    pub(crate) fn backing(&self) -> Option<&Arc<dyn Backing>> {
        self.extent.as_ref().map(|extent| &extent.backing)
    }

    /// Why the filesystem gave no space, if that is why a part could not be had.
    #[cfg(not(loom))]
    pub(crate) fn take_refusal(&mut self) -> Option<Box<dyn Error + Send + Sync>> {
        self.extent.as_mut()?.refusal.take()
    }

    /// Where the next part would begin.
    #[cfg(not(loom))]
    pub(crate) fn next(&self) -> usize {
        self.extent.as_ref().map_or(0, |extent| extent.next)
    }
}

#[cfg(not(loom))]
impl Extent {
    fn cells<T: Zeroable>(
        &mut self,
        len: usize,
        sized_by: Option<&'static Field>,
    ) -> Result<SharedSlice<T>, ConfigError> {
        let at = self.next.next_multiple_of(ALIGN);
        let end = len.checked_mul(size_of::<T>()).and_then(|size| at.checked_add(size));
        let Some(end) = end.filter(|&end| end <= self.end) else {
            return Err(self.full(len.saturating_mul(size_of::<T>()), sized_by));
        };
        let mapping = self.backing.mapping();
        if self.fresh {
            if let Err(error) = self.backing.take_space(at, end) {
                let message = error.to_string();
                self.refusal = Some(error);
                return Err(ConfigError::out_of_range("capacity", message));
            }
            mapping.clear(at, end);
        }
        let cells = SharedSlice::shared(mapping, at, len).ok_or_else(|| self.full(end - at, sized_by))?;
        self.next = end;
        Ok(cells)
    }

    #[cold]
    fn full(&self, needs: usize, sized_by: Option<&'static Field>) -> ConfigError {
        self.backing.does_not_fit(needs, self.end.saturating_sub(self.next), sized_by)
    }
}

/// A single value of state.
#[derive(Debug)]
pub(crate) struct One<T>(SharedSlice<T>);

impl<T: Zeroable + 'static> One<T> {
    /// The value at `at` of `all`. Panics beyond its end.
    pub(crate) fn of(all: &Arc<SharedSlice<T>>, at: usize) -> Self {
        Self(all.part(at, 1))
    }
}

#[cfg(not(loom))]
impl<T: Zeroable> One<T> {
    /// The value at `offset` of a mapping. `None`: not within it, or not aligned.
    pub(crate) fn at(mapping: &Arc<Mapping>, offset: usize) -> Option<Self> {
        SharedSlice::shared(mapping, offset, 1).map(Self)
    }
}

impl<T: Zeroable> Deref for One<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.first()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::setting::{Kind, Preset};
    use crate::sync::AtomicU64;

    const PLACES: Field = Field::new("places", Kind::Count { min: 1, max: 9 }, Preset::Count(1), "how many");

    #[test]
    fn the_setting_that_asks_for_too_much_is_named_and_no_other() {
        let mut room = ObjectAllocator::of_process(false);
        let mut told = |by: Option<&'static Field>| {
            let take = |room: &mut ObjectAllocator| room.cells::<AtomicU64>(usize::MAX / 16).map(drop);
            by.map_or_else(|| take(&mut ObjectAllocator::of_process(false)), |by| room.sized_by(by, take))
                .unwrap_err()
                .to_string()
        };
        let mend = "; give a smaller one, or the process more memory";
        assert!(told(Some(&PLACES)).starts_with("places: no memory for ") && told(Some(&PLACES)).ends_with(mend));
        let fixed = told(None);
        assert!(fixed.starts_with("memory: none for ") && fixed.ends_with("); give the process more"), "{fixed}");
        // What comes after is of the kind again.
        assert_eq!(room.cells::<AtomicU64>(usize::MAX / 16).unwrap_err().field(), "memory");
        assert_eq!(room.cells::<AtomicU64>(3).map(|cells| cells.len()), Ok(3));
    }
}
