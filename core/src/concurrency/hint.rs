//! Where a thread looks for a free place first: where it gave one back last, or behind the one that it found.

#[cfg(not(loom))]
mod remembered {
    use std::cell::Cell;

    /// Words of a cache line: threads begin on lines of their own.
    const LINE: u32 = 8;
    const UNKNOWN: u32 = u32::MAX;

    thread_local! {
        // One for all limiters: a hint that is wrong costs a search. Without a destructor, so that reading it is one
        // load.
        static NEXT: Cell<u32> = const { Cell::new(UNKNOWN) };
    }

    /// A place below `limit` (0 if there is none).
    #[inline(always)]
    pub(in super::super) fn start(limit: u32) -> u32 {
        let next = NEXT.get();
        if next < limit { next } else { within(next, limit) }
    }

    #[cold]
    fn within(next: u32, limit: u32) -> u32 {
        let next = if next == UNKNOWN { (crate::counters::thread_hint() as u32).wrapping_mul(LINE) } else { next };
        let place = next.checked_rem(limit).unwrap_or(0);
        NEXT.set(place);
        place
    }

    /// Where a search ended.
    #[inline(always)]
    pub(in super::super) fn found(place: u32) {
        NEXT.set(place + 1);
    }

    #[inline(always)]
    pub(in super::super) fn given_back(place: u32) {
        // The next exchange waits for every store before it.
        if NEXT.get() != place {
            NEXT.set(place);
        }
    }
}

/// Under loom all threads want the same place.
#[cfg(loom)]
mod remembered {
    pub(in super::super) fn start(_limit: u32) -> u32 {
        0
    }

    pub(in super::super) fn found(_place: u32) {}

    pub(in super::super) fn given_back(_place: u32) {}
}

pub(super) use remembered::{found, given_back, start};
