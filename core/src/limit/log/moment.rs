//! The evicting moment: the latest as of which a block was given away.
//!
//! Whatever a key had when it lost its block was dead as of that moment, so a key without a block is judged no earlier,
//! however old the reading of the clock: it cannot come back as fresh for a thread that is late.
//!
//! One bad reading puts it far ahead. Readings that are more than [`AHEAD_NS`] behind are denied, and once they have
//! gone on for a minute without one that was not (the clock is read again to tell), the moment is set to the present
//! one (see [`Watch`]): so long, at most, are new keys denied. What was given away as of the bad reading stays given
//! away.

use super::stamp::LAST_NS;
use crate::ConfigError;
use crate::limit::present::Present;
use crate::memory::{ObjectAllocator, One, TRIES, Watch};
use crate::sync::{AtomicU64, Ordering};

/// So far at most is one reading older than another: what lies further ahead of one is a bad reading's, or the reader
/// is late.
pub(super) const AHEAD_NS: u64 = 60_000_000_000;

pub(super) fn is_far(reading: u64, ns: u64) -> bool {
    ns > reading.saturating_add(AHEAD_NS)
}

#[derive(Debug)]
pub(super) struct Moment {
    ns: One<AtomicU64>,
    watch: One<Watch>,
    /// It moves in steps of 2^grain, so that not every insertion writes it.
    grain: u32,
}

/// It lies too far ahead: wait so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ahead(pub(super) u64);

impl Moment {
    /// Two parts.
    pub(super) fn in_room(room: &mut ObjectAllocator, period: u64) -> Result<Self, ConfigError> {
        Ok(Self { ns: room.one()?, watch: room.one()?, grain: (period / 16).max(1).ilog2() })
    }

    pub(super) fn get(&self) -> u64 {
        self.word().min(LAST_NS)
    }

    fn word(&self) -> u64 {
        // Acquire: at least what whoever evicted what was read before raised it to.
        self.ns.load(Ordering::Acquire)
    }

    fn coarse(&self, now: u64) -> u64 {
        now & !((1 << self.grain) - 1)
    }

    /// Moves it to `now`, a step at a time, and says what it is: not after `now` unless somebody's reading was.
    pub(super) fn advance(&self, now: u64, present: &Present) -> Result<u64, Ahead> {
        for _ in 0..TRIES {
            let moment = self.word();
            let (at, bad) = self.weigh(now, moment, present)?;
            let coarse = self.coarse(at);
            if !bad && moment >= coarse {
                return Ok(moment.min(LAST_NS));
            }
            if self.exchange(moment, coarse) {
                return Ok(coarse);
            }
        }
        Ok(self.get())
    }

    /// What [`advance`](Self::advance) would say, for who only looks: it is moved only where it is a bad reading's.
    pub(super) fn seen_from(&self, now: u64, present: &Present) -> Result<u64, Ahead> {
        let moment = self.word();
        let (at, bad) = self.weigh(now, moment, present)?;
        let coarse = self.coarse(at);
        if bad {
            self.exchange(moment, coarse);
        }
        Ok(if bad { coarse } else { coarse.max(moment) }.min(LAST_NS))
    }

    /// When `now` is, as its clock says it if it is late; and whether `moment` has been shown to be a bad reading's.
    fn weigh(&self, now: u64, moment: u64, present: &Present) -> Result<(u64, bool), Ahead> {
        let late = is_far(now, moment);
        let at = if late { present.ns(now) } else { now };
        let plausible = !late || !is_far(at, moment);
        let bad = self.watch.judge(plausible, at);
        if plausible || bad { Ok((at, bad)) } else { Err(Ahead(self.watch.wait(at).saturating_add(at - now))) }
    }

    fn exchange(&self, moment: u64, to: u64) -> bool {
        // AcqRel: raised before the claim that uses it. Relaxed on failure: look again.
        self.ns.compare_exchange(moment, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// An operator's wish: all is forgotten as of the present.
    pub(super) fn forget(&self, now: u64) {
        let moment = self.word();
        if is_far(now, moment) {
            // AcqRel, Relaxed: as above. Lost: somebody else has moved it.
            let _ = self.ns.compare_exchange(moment, now, Ordering::AcqRel, Ordering::Relaxed);
        }
        self.watch.clear();
    }
}
