//! Where native objects live: a table per kind and environment; JavaScript instances hold a place in it.
//!
//! A place is a number that is checked, not a pointer that is trusted, so that no JavaScript can make a call touch
//! freed memory. One function per operation serves every instance, which keeps a call site with many instances as
//! fast as one with a single instance (a function per instance costs twice as much there).

use crate::failure::Failure;
use crate::io::Io;
use std::cell::RefCell;

/// The objects of one kind.
#[derive(Debug)]
pub(crate) struct Table<T> {
    slots: RefCell<Slots<T>>,
}

#[derive(Debug)]
struct Slots<T> {
    taken: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self { slots: RefCell::new(Slots { taken: Vec::new(), free: Vec::new() }) }
    }

    /// Runs `f` on the object that the io block means. `f` must not enter JavaScript or Node-API.
    #[inline]
    pub(crate) fn with<R>(&self, io: Io, f: impl FnOnce(&T) -> R) -> Result<R, Failure> {
        self.at(io.id(), f)
    }

    /// [`with`](Self::with) the object at a place.
    #[inline]
    pub(crate) fn at<R>(&self, place: u32, f: impl FnOnce(&T) -> R) -> Result<R, Failure> {
        match self.slots.borrow().taken.get(place as usize) {
            Some(Some(object)) => Ok(f(object)),
            _ => Err(Failure::Internal("the native object is gone".to_owned())),
        }
    }

    /// Stores an object and gives its place.
    pub(crate) fn insert(&self, object: T) -> u32 {
        let slots = &mut *self.slots.borrow_mut();
        if let Some(place) = slots.free.pop() {
            slots.taken[place as usize] = Some(object);
            place
        } else {
            slots.taken.push(Some(object));
            (slots.taken.len() - 1) as u32
        }
    }

    /// Takes an object out; its place may be used again.
    pub(crate) fn remove(&self, place: u32) -> Option<T> {
        let slots = &mut *self.slots.borrow_mut();
        let object = slots.taken.get_mut(place as usize)?.take()?;
        slots.free.push(place);
        Some(object)
    }

    /// Objects held.
    pub(crate) fn len(&self) -> usize {
        let slots = self.slots.borrow();
        slots.taken.len() - slots.free.len()
    }
}
