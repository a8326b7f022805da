//! How a key comes to a block of its own, and whose it was leaves it.
//!
//! Insertions into a line take turns by its header, and anybody who meets one finishes it, so that a dead thread stops
//! nobody. The block's owner goes from its key to *closing*, and from there to the new key, or back:
//!
//! - *A live key keeps its block.* Its threads claim, pass a SeqCst fence and read the owner; whoever gives the block
//!   away makes the owner closing, passes one and looks at the block. Of the two one sees the other: the claim is taken
//!   back, or the block is given back.
//! - *No key has two blocks.* An insertion is announced by an exchange of the header as it was before the line was
//!   searched. A late helper of an earlier one reads the header again after it made the owner closing, and gives it
//!   away only if the header is still its own; and no insertion begins while it finds an owner closing. With a SeqCst
//!   fence between header and owners in both, one of them sees the other.
//!
//! Each exchange of an owner is another generation, so a late helper's fails.

use super::line::{Header, OWN};
use super::{EVICTIONS, Log, Spot, stamp};
use crate::memory::TRIES;
use crate::sync::{Ordering, fence};

/// What a search of a line found.
pub(super) enum Found {
    Own(Spot),
    /// Nothing, while the header was this one.
    Absent(Header),
}

impl Log {
    /// The key's own block. `None`: look again.
    #[inline]
    pub(super) fn find(&self, line: usize, tag: u64) -> Option<Found> {
        match self.search(line, tag) {
            Some(spot) if !spot.owner.is_closing() => Some(Found::Own(spot)),
            Some(spot) => self.settle(spot),
            None => self.find_absent(line, tag),
        }
    }

    /// The block that has the key's tag, whether it is closing or not.
    #[inline]
    pub(super) fn search(&self, line: usize, tag: u64) -> Option<Spot> {
        (0..OWN).map(|index| Spot { line, index, owner: self.owner(line, index) }).find(|spot| spot.owner.tag() == tag)
    }

    #[cold]
    fn find_absent(&self, line: usize, tag: u64) -> Option<Found> {
        let header = self.header(line);
        if header.is_busy() {
            self.help(line, header);
            return None;
        }
        // SeqCst: between header and owners, see the module's second point.
        fence(Ordering::SeqCst);
        for index in 0..OWN {
            let spot = Spot { line, index, owner: self.owner(line, index) };
            if spot.owner.is_closing() {
                return self.settle(spot);
            }
            if spot.owner.tag() == tag {
                return None;
            }
        }
        Some(Found::Absent(header))
    }

    pub(super) fn header(&self, line: usize) -> Header {
        // Acquire: what is read after it is at least as new.
        Header(self.lines[line].header.load(Ordering::Acquire))
    }

    /// Brings a block that is closing to an end. `None`: look again.
    #[cold]
    fn settle<T>(&self, spot: Spot) -> Option<T> {
        let header = self.header(spot.line);
        if header.is_busy() {
            self.help(spot.line, header);
        } else {
            // A late helper closed it after its insertion had ended; it will find that it is too late.
            self.exchange_owner(spot, spot.owner.open(spot.owner.tag()));
        }
        None
    }

    /// Begins to give the key a block, `header` as the search found it. False: there is no room. Either way, look
    /// again.
    #[cold]
    pub(super) fn insert(&self, line: usize, tag: u64, header: Header, moment: u64) -> bool {
        // Not the same block again and again: one that was just given away has nothing in it yet.
        let at = |step| (step + header.seq()) % OWN;
        let spots = || (0..OWN).map(at).map(|index| Spot { line, index, owner: self.owner(line, index) });
        let victim = spots().find(|spot| spot.owner.tag() == 0).or_else(|| {
            let mut spots = spots();
            spots.find(|&spot| self.is_dead(spot, moment))
        });
        let Some(victim) = victim else { return false };
        let busy = header.busy(victim.index, tag);
        if self.exchange_header(line, header, busy) {
            self.help(line, busy);
        }
        true
    }

    fn exchange_header(&self, line: usize, old: Header, new: Header) -> bool {
        let word = &self.lines[line].header;
        // AcqRel: whoever sees the line at rest sees what the insertion did. Relaxed on failure: somebody else was
        // faster.
        word.compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Finishes the insertion that `header` announces, whoever began it.
    #[cold]
    fn help(&self, line: usize, header: Header) {
        let (index, tag) = (header.index(), header.tag());
        for _ in 0..TRIES {
            let spot = Spot { line, index, owner: self.owner(line, index) };
            // Read after the owner, which so was there while this insertion was pending.
            if self.header(line) != header {
                return;
            }
            // At least what the one who announced it raised it to.
            let moment = self.moment.get();
            if spot.owner.is_closing() {
                self.give_away(spot, header, moment);
            } else if spot.owner.tag() == tag || !self.is_dead(spot, moment) {
                // It is done, or the block's own key came back first.
                self.exchange_header(line, header, header.at_rest());
                return;
            } else {
                self.exchange_owner(spot, spot.owner.closing());
            }
        }
    }

    /// The block is closing: to the new key if it is dead now, else back to its own.
    fn give_away(&self, spot: Spot, header: Header, moment: u64) {
        // SeqCst: after the owner was read as closing, before the header and the block: see the module's points.
        fence(Ordering::SeqCst);
        let (block, shared) = (self.block(spot.line, spot.index), self.shared(spot.line));
        // Acquire: what was put into the shared block before; after the fence.
        let shared_until = shared.penalty.load(Ordering::Acquire);
        let since = self.moment.starting(moment, moment, &self.present);
        // What the key was charged in the shared block counts beside its own, or is over from then on.
        let (floor, shares) = (since.max(shared_until.min(moment)), shared_until > moment);
        let dead = if self.header(spot.line) == header { self.dead_since(spot, moment) } else { None };
        let give = dead.is_some() && block.raise_floor(floor, shares);
        if let Some(until) = dead.filter(|_| give) {
            self.moment.give(until.max(shared_until), moment);
        }
        let to = if give { header.tag() } else { spot.owner.tag() };
        if self.exchange_owner(spot, spot.owner.open(to)) && give && spot.owner.tag() != 0 {
            self.counts.add(EVICTIONS, 1);
        }
    }

    /// Until when anything in a block counted that is dead as of `moment`; 0 is nobody's. `None`: it is not dead.
    fn dead_since(&self, spot: Spot, moment: u64) -> Option<u64> {
        let (block, tag) = (self.block(spot.line, spot.index), spot.owner.tag());
        // Acquire: as the stamps.
        let penalty = self.penalties.left(block.penalty.load(Ordering::Acquire), tag, 0).unwrap_or(0);
        let newest = block.newest();
        let is_dead = penalty <= moment && newest <= self.horizon(moment);
        let counted = if newest > 0 { stamp::ns(newest).saturating_add(self.period) } else { 0 };
        is_dead.then_some(if tag == 0 { 0 } else { counted.max(penalty) })
    }
}
