//! Why a push or a pop gave nothing.

use std::fmt;

/// Why a push was refused; the item comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PushError<T> {
    /// The item that was not taken.
    pub item: T,
    /// Why.
    pub kind: PushErrorKind,
}

/// Why a push was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushErrorKind {
    /// Full, or above the high watermark and not yet below the low one. After a waiting form: still so at the deadline.
    Full,
    /// Closed.
    Closed,
    /// The queue has no such lane.
    NoLane,
}

/// Why a pop gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PopError {
    /// Empty (after a waiting form: still so at the deadline).
    Empty,
    /// Closed, and everything that was accepted has been popped.
    Closed,
}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Display for PushErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the queue is full",
            Self::Closed => "the queue is closed",
            Self::NoLane => "the queue has no such lane",
        })
    }
}

impl fmt::Display for PopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the queue is empty",
            Self::Closed => "the queue is closed and empty",
        })
    }
}

impl<T> std::error::Error for PushError<T> {}
impl std::error::Error for PushErrorKind {}
impl std::error::Error for PopError {}
