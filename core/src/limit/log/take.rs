//! Decisions.

use super::block::{Block, Seen, nth_oldest};
use super::insert::Found;
use super::line::Header;
use super::moment::Ahead;
use super::stamp::{self, IN_HAND};
use super::{Log, OVERFLOWED, Spot};
use crate::decision::NEVER;
use crate::limit::GAVE_UP_NS;
use crate::sync::{Ordering, fence};

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) allowed: bool,
    pub(crate) retry_after_ns: u64,
    pub(crate) remaining: u32,
    pub(crate) reset_after_ns: u64,
    /// What a block of the key's own was charged.
    pub(crate) charge: Option<Charge>,
}

impl Taken {
    fn denied(retry_after_ns: u64) -> Self {
        Self { allowed: false, retry_after_ns, remaining: 0, reset_after_ns: 0, charge: None }
    }
}

/// A charge that may be taken back: under which owner of the block, and as of when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(super) owner: u64,
    pub(super) ns: u64,
}

/// One question.
#[derive(Clone, Copy, Debug)]
struct Ask {
    reading: u64,
    burst: u32,
    n: u32,
    look: bool,
}

/// What is counted for a key: its own block, and the shared one where that may hold charges of it.
#[derive(Clone, Copy, Debug)]
struct Counted<'a> {
    own: Option<Block<'a>>,
    shared: Option<Block<'a>>,
    /// As of when it is judged: not before the reading.
    now: u64,
    penalty_left: Option<u64>,
}

impl Counted<'_> {
    fn look(&self, horizon: u64) -> Seen {
        let mut seen = self.own.map(|block| block.look(horizon)).unwrap_or_default();
        if let Some(shared) = self.shared {
            let others = shared.look(horizon);
            seen.live = seen.live.saturating_add(others.live);
            seen.newest = seen.newest.max(others.newest);
        }
        seen
    }
}

impl Log {
    /// Takes `n`, or nothing, and tells what is left. `look`: only says what it would.
    pub(crate) fn take(&self, key: u64, ns: u64, burst: u32, n: u32, look: bool) -> Taken {
        let look = look || n == 0;
        // No more than there are slots, whatever a quota's word says.
        let ask = Ask { reading: ns.min(stamp::LAST_NS), burst: burst.min(self.limit), n, look };
        let (line, tag) = self.place(key);
        let taken = Self::insist(|| match self.find(line, tag)? {
            Found::Own(spot) => self.take_own(spot, &ask),
            Found::Absent(header) => self.take_absent(line, tag, header, &ask),
        });
        taken.unwrap_or(Taken::denied(GAVE_UP_NS))
    }

    /// Of who only looked and was denied, a member of a set: a reading that something lies impossibly far ahead of
    /// tells against it, as that of a denied call, or it would not heal.
    pub(crate) fn tell_against(&self, key: u64, ns: u64, burst: u32) {
        let ask = Ask { reading: ns.min(stamp::LAST_NS), burst: burst.min(self.limit), n: 1, look: false };
        let (line, tag) = self.place(key);
        let _ = Self::insist(|| match self.find(line, tag)? {
            Found::Own(spot) => {
                let block = self.block(spot.line, spot.index);
                if self.is_far(ask.reading, block.floor().ns()) {
                    return self.far_floor(block, spot, &ask);
                }
                self.told(block, Some(spot), &block.look(0), &ask, Taken::denied(0))
            }
            Found::Absent(_) => {
                let shared = self.shared(line);
                self.told(shared, None, &shared.look(0), &ask, Taken::denied(0))
            }
        });
    }

    fn take_own(&self, spot: Spot, ask: &Ask) -> Option<Taken> {
        let block = self.block(spot.line, spot.index);
        let floor = block.floor();
        if self.is_far(ask.reading, floor.ns()) {
            return self.far_floor(block, spot, ask);
        }
        if let Some(wait) = self.before(ask.reading, floor.ns()) {
            return self.is_still(spot).then(|| self.too_early(Some(spot), wait, ask));
        }
        let now = ask.reading.max(floor.ns());
        // Acquire: as the stamps.
        let penalty_left = self.penalties.left(block.penalty.load(Ordering::Acquire), spot.owner.tag(), now);
        let counted = Counted { own: Some(block), shared: self.shared_by(spot.line, floor, now), now, penalty_left };
        let seen = counted.look(self.horizon(now));
        match self.judge(&counted, &seen, ask) {
            Ok(taken) if ask.look => self.is_still(spot).then_some(taken),
            Ok(taken) => {
                self.charge(block, &counted, &seen, ask, || self.is_still(spot))?;
                if block.watch.is_set() {
                    self.weigh(block, Some(spot), &seen, ask);
                }
                Some(Taken { charge: Some(Charge { owner: spot.owner.0, ns: now }), ..taken })
            }
            Err(taken) => {
                if !self.is_still(spot) {
                    return None;
                }
                self.told(block, Some(spot), &seen, ask, taken)
            }
        }
    }

    /// What would be answered: an admission, or a denial.
    fn judge(&self, counted: &Counted<'_>, seen: &Seen, ask: &Ask) -> Result<Taken, Taken> {
        let Ask { burst, n, reading, look } = *ask;
        let horizon = self.horizon(counted.now);
        if counted.penalty_left.is_none() && (n == 0 || seen.live.saturating_add(n) <= burst) {
            let taken = if look { 0 } else { n };
            let newest = if taken > 0 { seen.newest.max(stamp::at(counted.now)) } else { seen.newest };
            return Ok(Taken {
                allowed: true,
                retry_after_ns: 0,
                remaining: burst.saturating_sub(seen.live.saturating_add(taken)),
                reset_after_ns: self.until_dead(newest, horizon, reading),
                charge: None,
            });
        }
        let left = counted.penalty_left.map(|left| left.saturating_add(counted.now - reading));
        let retry_after_ns = match left {
            _ if n > burst => NEVER,
            Some(left) => left,
            None => {
                // So many of the oldest must go first.
                let must_go = seen.live.saturating_add(n).saturating_sub(burst).min(seen.live);
                let last = nth_oldest(&[counted.own, counted.shared], horizon + 1, must_go);
                last.map_or(0, |last| self.until_dead(last, horizon, reading))
            }
        };
        Err(Taken {
            allowed: false,
            retry_after_ns,
            remaining: if left.is_some() { 0 } else { burst.saturating_sub(seen.live) },
            reset_after_ns: self.until_dead(seen.newest, horizon, reading).max(left.unwrap_or(0)),
            charge: None,
        })
    }

    fn until_dead(&self, stamp: u64, horizon: u64, reading: u64) -> u64 {
        if stamp > horizon { stamp::ns(stamp).saturating_add(self.period).saturating_sub(reading) } else { 0 }
    }

    /// Claims, looks again, and confirms. `None`: it was taken back, look again.
    fn charge(
        &self,
        block: Block<'_>,
        counted: &Counted<'_>,
        seen: &Seen,
        ask: &Ask,
        is_right: impl FnOnce() -> bool,
    ) -> Option<()> {
        let (horizon, stamp) = (self.horizon(counted.now), stamp::at(counted.now));
        let first = block.claim(seen, horizon, ask.n, stamp | IN_HAND, self.period)?;
        // SeqCst: between the claim and what is read after it, see the module.
        fence(Ordering::SeqCst);
        // Where all slots may be used, and nothing else counts, to have them is enough.
        let slots_are_all = ask.burst == self.limit && counted.shared.is_none();
        let holds = is_right() && (slots_are_all || counted.look(horizon).live <= ask.burst);
        let put = if holds { stamp } else { stamp::ghost(stamp, self.period) };
        block.put_down(first, ask.n, stamp | IN_HAND, put);
        holds.then_some(())
    }

    /// A reading that is admitted speaks to the watch as well: the clock may step back behind it, and what it was
    /// charged must not be dated back by a note of before.
    #[cold]
    fn weigh(&self, block: Block<'_>, spot: Option<Spot>, seen: &Seen, ask: &Ask) {
        let far = self.is_far(ask.reading, stamp::ns(seen.newest));
        let at = if far { self.present.ns(ask.reading) } else { ask.reading };
        if block.watch.judge(!far, at) {
            block.watch.clear();
            self.date_to(block, spot, at);
        }
    }

    /// The denial, after what a bad reading put has been seen to. `spot`: of the key's own block. `None`: look again.
    fn told(&self, block: Block<'_>, spot: Option<Spot>, seen: &Seen, ask: &Ask, taken: Taken) -> Option<Taken> {
        if seen.newest == 0 || !self.is_far(ask.reading, stamp::ns(seen.newest)) {
            if !ask.look {
                block.watch.clear();
            }
            return Some(taken);
        }
        if ask.look || taken.retry_after_ns == NEVER {
            return Some(taken);
        }
        let at = self.present.ns(ask.reading);
        if block.watch.judge(false, at) {
            block.watch.clear();
            self.date_to(block, spot, at);
            return None;
        }
        // Then what is far ahead is dated to the present.
        let healed = block.watch.wait(at).saturating_add(at - ask.reading).saturating_add(self.period);
        Some(Taken { retry_after_ns: taken.retry_after_ns.min(healed), ..taken })
    }

    /// The answer to a key that nothing is known of before so long from the reading on. `spot`: of its own block.
    #[cold]
    fn too_early(&self, spot: Option<Spot>, wait: u64, ask: &Ask) -> Taken {
        if ask.n > ask.burst {
            return Taken::denied(NEVER);
        }
        if ask.n > 0 {
            return Taken { reset_after_ns: wait, ..Taken::denied(wait) };
        }
        let left = spot.and_then(|spot| {
            // Acquire: as the stamps.
            let penalty = self.block(spot.line, spot.index).penalty.load(Ordering::Acquire);
            self.penalties.left(penalty, spot.owner.tag(), ask.reading)
        });
        Taken { allowed: left.is_none(), ..Taken::denied(left.unwrap_or(0)) }
    }

    /// The floor is a bad reading's: denied, as stamps that are far ahead.
    #[cold]
    fn far_floor(&self, block: Block<'_>, spot: Spot, ask: &Ask) -> Option<Taken> {
        let floor = block.floor();
        let at = self.present.ns(ask.reading);
        let wait = || block.watch.wait(at).saturating_add(at - ask.reading);
        if !ask.look && (1..=ask.burst).contains(&ask.n) && block.watch.judge(false, at) {
            block.watch.clear();
            self.date_to(block, Some(spot), at);
            // As a key without a block: as of the bad reading it may have lost another.
            block.heal_floor(floor, self.moment.starting(at, at, &self.present));
            return None;
        }
        self.is_still(spot).then(|| self.too_early(Some(spot), wait().max(1), ask))
    }

    /// The key has no block: it is new, but for what the shared block may hold of it.
    #[cold]
    fn take_absent(&self, line: usize, tag: u64, header: Header, ask: &Ask) -> Option<Taken> {
        let shared = self.shared(line);
        let moment = if ask.look {
            self.moment.seen_from(ask.reading, &self.present)
        } else {
            self.moment.advance(ask.reading, &self.present)
        };
        let moment = match moment {
            Ok(moment) => moment,
            Err(Ahead(wait)) => {
                // What strangers put into the shared block goes back with the moment, not a minute after it.
                if !ask.look {
                    let _ = self.told(shared, None, &shared.look(0), ask, Taken::denied(0));
                }
                return Some(self.too_early(None, wait.max(1), ask));
            }
        };
        let since = self.moment.starting(moment, ask.reading, &self.present);
        if let Some(wait) = self.before(ask.reading, since) {
            // Nor may that wait until this is over: what is dated to the present counts for a period from then on.
            if !ask.look {
                let _ = self.told(shared, None, &shared.look(0), ask, Taken::denied(0));
            }
            return Some(self.too_early(None, wait, ask));
        }
        let now = ask.reading.max(since);
        // Acquire: as the stamps, which are charged after it.
        let in_use = shared.penalty.load(Ordering::Acquire) > now;
        let counted = Counted { own: in_use.then_some(shared), shared: None, now, penalty_left: None };
        let seen = counted.look(self.horizon(now));
        match self.judge(&counted, &seen, ask) {
            // What stores nothing needs no block.
            Ok(taken) if ask.look => {
                self.counts.add(OVERFLOWED, in_use.into());
                Some(taken)
            }
            Ok(taken) => {
                if self.insert(line, tag, header, moment) {
                    return None;
                }
                self.take_shared(line, tag, ask, now)?;
                self.counts.add(OVERFLOWED, 1);
                Some(taken)
            }
            Err(taken) => {
                self.counts.add(OVERFLOWED, in_use.into());
                self.told(shared, None, &seen, ask, taken)
            }
        }
    }

    /// Charges the shared block. `None`: look again.
    #[cold]
    fn take_shared(&self, line: usize, tag: u64, ask: &Ask, now: u64) -> Option<()> {
        let shared = self.shared(line);
        let counted = Counted { own: Some(shared), shared: None, now, penalty_left: None };
        let seen = counted.look(self.horizon(now));
        self.judge(&counted, &seen, ask).ok()?;
        // Release: before the claim.
        shared.penalty.fetch_max(now.saturating_add(self.period), Ordering::AcqRel);
        self.charge(shared, &counted, &seen, ask, || {
            // The header first: an insertion that had not begun by then looks at the shared block after it has.
            let header = self.header(line);
            !(header.is_busy() && header.tag() == tag) && self.search(line, tag).is_none()
        })?;
        if shared.watch.is_set() {
            self.weigh(shared, None, &seen, ask);
        }
        Some(())
    }
}
