//! Where state lives: in this process, or in an arena. A primitive asks a [`Room`] for its parts, always in the same order.

mod cells;
mod room;

pub(crate) use cells::{Blank, Cells};
pub(crate) use room::{One, Room};
