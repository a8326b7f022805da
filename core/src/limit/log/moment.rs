//! The evicting moment: the latest as of which a block was given away; and until when anything counted in such a block.
//!
//! Whatever a key had when it lost its block was dead as of the first, and so by the second, which is raised before the
//! block changes hands. So a key without a block is judged no earlier than that, however old the reading of the clock:
//! it cannot come back as fresh for a thread that is late.
//!
//! One bad reading puts it far ahead. Readings that are more than [`AHEAD_NS`] behind are denied, and once they have
//! gone on for a minute without one that was not (the clock is read again to tell), the moment is set to the present
//! one (see [`Watch`]): so long, at most, are new keys denied.
//!
//! What was given away as of the bad reading stays given away, and any key without a block may be the one that lost it.
//! So where any of that counted for longer than until the moment which the evicting one was set back to, a key without
//! a block is denied until it is over, for a period at most.

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
    given: One<AtomicU64>,
    period: u64,
    /// It moves in steps of 2^grain, so that not every insertion writes it.
    grain: u32,
}

/// It lies too far ahead: wait so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ahead(pub(super) u64);

impl Moment {
    /// Three parts.
    pub(super) fn in_room(room: &mut ObjectAllocator, period: u64) -> Result<Self, ConfigError> {
        let grain = (period / 16).max(1).ilog2();
        Ok(Self { ns: room.one()?, watch: room.one()?, given: room.one()?, period, grain })
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

    /// To be called before a block is given away in which something counted until `until`: not after `moment`, as of
    /// which that is dead.
    pub(super) fn give(&self, until: u64, moment: u64) {
        let until = until.min(moment);
        // Acquire: as in `starting`.
        if until > self.given.load(Ordering::Acquire) {
            // AcqRel: before the block changes hands.
            self.given.fetch_max(until, Ordering::AcqRel);
        }
    }

    /// From when on a key without a block is new. `moment`: the evicting one, as it was at a reading of the clock.
    pub(super) fn starting(&self, moment: u64, reading: u64, present: &Present) -> u64 {
        // Acquire: as the moment.
        let given = self.given.load(Ordering::Acquire);
        if given <= moment { given } else { self.bounded(given, moment, reading, present) }
    }

    /// The moment was set back behind what was given away. A key was charged in the present at the latest, or by a bad
    /// reading: beyond that nothing is held against anybody.
    #[cold]
    fn bounded(&self, given: u64, moment: u64, reading: u64, present: &Present) -> u64 {
        let most = present.ns(reading).max(moment).saturating_add(self.period).min(LAST_NS);
        if given > most {
            // Relaxed, both: it says nothing of other words. Lost: somebody else has put another.
            let _ = self.given.compare_exchange(given, most, Ordering::Relaxed, Ordering::Relaxed);
        }
        given.min(most)
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
        // Relaxed: it says nothing of other words.
        self.given.store(0, Ordering::Relaxed);
        self.watch.clear();
    }
}
