//! What a push says of its item.

use super::judge::NEVER;
use std::time::Duration;

/// What a push says of its item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushOptions {
    /// Its lane, 0 .. `lanes`: 0 is the most urgent, and the default.
    pub lane: usize,
    /// It is dropped when it comes to the front later than so long after the call. Default: never.
    pub deadline: Option<Duration>,
}

/// Where an item goes, and until when it is of use (nanoseconds of the queue's clock).
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub lane: usize,
    pub due: u64,
}

impl Default for Place {
    fn default() -> Self {
        Self { lane: 0, due: NEVER }
    }
}

impl PushOptions {
    /// `now` is called for deadlines only.
    #[doc(hidden)]
    pub fn place(self, now: impl FnOnce() -> u64) -> Place {
        let ns = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(NEVER);
        Place { lane: self.lane, due: self.deadline.map_or(NEVER, |span| now().saturating_add(ns(span))) }
    }
}
