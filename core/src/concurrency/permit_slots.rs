//! The places that permits stand in, one word each: `slot:8 | incarnation:24 | nonce:32`, high to low. Where a limit
//! has partitions, the nonce's first four bits are the number of the permit's.
//!
//! A word without an owner is free; its nonce stays and grows with every taking, so that a permit given back twice
//! never frees another's: only after 2^32 takings of one place by one process (2^28 by one partition of it) would
//! its word come again. Owner and count are the same word: whatever instruction a process dies at, a place is either
//! free or names who is to be asked for.
//!
//! Never more than the limit: as long as nobody stands above it, that is for want of places. A lowered limit is marked
//! as such while somebody does, and then whoever has taken a place counts all, and leaves again if they are too many.
//! Of those who hold at once, the last to have taken its place counted all of them.
//!
//! Who found no place free says so, for the next who would not wait: it writes the rule into the head, *then* looks at
//! all places once more, and takes its word back if one is free. Who frees a place frees it first and then takes the
//! word back. So while the word stands and the rule is the same, either no place is free, or who freed one is about to
//! take it back. It may be stopped between the two, or die there: in an arena those who are refused by the word doubt
//! it every 10 ms, and take it back if a place is free ([`Owners`](super::owners::Owners)). In the memory of one
//! process, which stops as a whole, nobody doubts it: a thread that is not run between the two keeps others from the
//! place for so long. Only who would not wait asks the word: those in a line, and `poll`, look at the places.

use super::ConcurrencyPermit;
use super::hint;
use super::lending::Taken;
use super::partition::Partition;
use crate::ConfigError;
use crate::memory::{ObjectAllocator, One, SharedSlice};
use crate::sync::{AtomicU64, Ordering, in_order};

const NONCE: u64 = (1 << 32) - 1;

/// The part of a word that says whose it is.
#[inline(always)]
pub(super) fn owner_in(word: u64) -> u64 {
    word & !NONCE
}

/// In the words of partitions: their number, and the nonce that is left.
const PARTITION_AT: u32 = 28;
const NONCE_IN: u64 = (1 << PARTITION_AT) - 1;

/// Who takes a place, and the word that it puts there.
pub(super) trait Taker: Copy {
    fn word(self, free: u64) -> u64;
}

/// An owner's word: a limit without partitions.
impl Taker for u64 {
    #[inline(always)]
    fn word(self, free: u64) -> u64 {
        self | (free + 1) & NONCE
    }
}

/// An owner's word, and whom in its process the place is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnerIn {
    pub(super) owner: u64,
    pub(super) partition: Partition,
}

impl Taker for OwnerIn {
    #[inline(always)]
    fn word(self, free: u64) -> u64 {
        self.owner | (self.partition.index() as u64) << PARTITION_AT | free.wrapping_add(1) & NONCE_IN
    }
}

/// The number of the partition in a word.
fn partition_in(word: u64) -> usize {
    Partition::numbered((word >> PARTITION_AT & 15) as usize).index()
}

/// The rule: `changes:47 | lowered:1 | limit:16`. The count of changes makes every rule another word.
const LIMIT: u64 = (1 << 16) - 1;
const LOWERED: u64 = 1 << 16;
const CHANGE: u64 = 1 << 17;

/// How often a change of the rule may upset one taking; then it is a denial.
pub(super) const PATIENCE: u32 = 100;

/// Words of the head: a line written by changes of the limit and reclaims only, and one for the word of a full limit:
/// the rule by which no place was free, or `UNKNOWN`.
const HEAD: usize = 16;
const RULE: usize = 0;
const RECLAIMED: usize = 1;
const FULL: usize = 8;

/// No rule: the limit of one is never 0.
const UNKNOWN: u64 = 0;

#[derive(Debug)]
pub(super) struct PermitSlots {
    head: One<[AtomicU64; HEAD]>,
    words: SharedSlice<AtomicU64>,
}

/// Why a taking gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All places are taken, or kept for other partitions.
    Taken,
    /// As above, and a place was taken for a moment meanwhile: others may have found it taken.
    Disturbed,
}

impl PermitSlots {
    /// `most`: how many there can ever be.
    pub(super) fn lay_out(room: &mut ObjectAllocator, limit: u32, most: usize) -> Result<Self, ConfigError> {
        let places = Self { head: room.one()?, words: room.cells(most)? };
        if room.is_fresh() {
            // Relaxed: published with the object.
            places.head[RULE].store(u64::from(limit), Ordering::Relaxed);
        }
        Ok(places)
    }

    /// Takes a free place for `owner`, having looked at all of them.
    #[inline]
    pub(super) fn take(&self, owner: impl Taker) -> Result<ConcurrencyPermit, Full> {
        self.take_or_wait::<true>(owner)
    }

    /// The same for who does not wait: nothing is looked at while the limit is known to be full.
    #[inline]
    pub(super) fn take_at_once(&self, owner: impl Taker) -> Result<ConcurrencyPermit, Full> {
        self.take_or_wait::<false>(owner)
    }

    #[inline(always)]
    fn take_or_wait<const WAITS: bool>(&self, owner: impl Taker) -> Result<ConcurrencyPermit, Full> {
        let rule = in_order(&self.head[RULE]);
        let limit = self.limit_by(rule);
        let start = hint::start(limit);
        if rule & LOWERED == 0
            && start < limit
            && let Some(place) = self.words.get(start as usize)
            && let Some(permit) = claim(place, start, owner)
        {
            if in_order(&self.head[RULE]) == rule {
                return Ok(permit);
            }
            self.give_back(permit);
            return self.take_apart::<WAITS>(owner, true).map(ConcurrencyPermit::together);
        }
        if !WAITS && in_order(&self.head[FULL]) == rule {
            return Err(Full::Taken);
        }
        self.take_apart::<WAITS>(owner, false).map(ConcurrencyPermit::together)
    }

    /// [`take_with_care`](Self::take_with_care) in parts: a permit that comes whole from a function out of line comes
    /// through memory, and then the common way's does as well, written in halves and read as one.
    #[inline(never)]
    fn take_apart<const WAITS: bool>(&self, owner: impl Taker, disturbed: bool) -> Result<(u64, u32), Full> {
        let mut taken = self.take_with_care(owner, disturbed);
        if !WAITS {
            for _ in 0..PATIENCE {
                let Err(full) = taken else { break };
                if !self.is_full_after_all() {
                    taken = self.take_with_care(owner, full == Full::Disturbed);
                } else {
                    break;
                }
            }
        }
        taken.map(ConcurrencyPermit::apart)
    }

    /// Says that no place is free, where that is so.
    fn is_full_after_all(&self) -> bool {
        let rule = in_order(&self.head[RULE]);
        if rule & LOWERED != 0 {
            return true;
        }
        // SeqCst: before the look at the places that follows. Who frees one after that look finds this word.
        self.head[FULL].swap(rule, Ordering::SeqCst);
        let limit = self.limit_by(rule) as usize;
        let full = self.words.iter().take(limit).all(|word| owner_in(in_order(word)) != 0);
        if !full {
            self.tell_not_full();
        }
        full
    }

    /// Takes the word of a full limit back where a place is free all the same; whether one is.
    pub(super) fn doubt_full(&self) -> bool {
        let rule = in_order(&self.head[RULE]);
        if rule & LOWERED != 0 || in_order(&self.head[FULL]) != rule || !self.has_more_than(0) {
            return false;
        }
        self.tell_not_full();
        true
    }

    /// After a place has become free.
    #[inline(always)]
    fn tell_not_full(&self) {
        if in_order(&self.head[FULL]) != UNKNOWN {
            // An exchange, so that it comes after the word that was read: a store might come before one said meanwhile.
            // SeqCst: as that. Taken back once too often, it costs a search.
            self.head[FULL].swap(UNKNOWN, Ordering::SeqCst);
        }
    }

    /// [`take`](Self::take) where the first place is taken, or the rule is new.
    #[inline(never)]
    fn take_with_care(&self, owner: impl Taker, mut disturbed: bool) -> Result<ConcurrencyPermit, Full> {
        for _ in 0..PATIENCE {
            let rule = in_order(&self.head[RULE]);
            if rule & LOWERED != 0 && self.held() > self.limit_by(rule).saturating_sub(1) {
                break;
            }
            let Some(permit) = self.search(self.limit_by(rule), owner) else { break };
            if self.admits(rule) {
                hint::found(permit.place() as u32);
                return Ok(permit);
            }
            self.give_back(permit);
            disturbed = true;
        }
        Err(if disturbed { Full::Disturbed } else { Full::Taken })
    }

    /// The rule in force.
    pub(super) fn rule(&self) -> u64 {
        in_order(&self.head[RULE])
    }

    /// Whether who has taken a place by `rule` may stay.
    pub(super) fn admits(&self, rule: u64) -> bool {
        (rule & LOWERED == 0 || self.fits(rule)) && in_order(&self.head[RULE]) & !LOWERED == rule & !LOWERED
    }

    /// Takes a free place: from the hint on, then before it.
    pub(super) fn search(&self, limit: u32, owner: impl Taker) -> Option<ConcurrencyPermit> {
        let start = hint::start(limit);
        let (before, behind) = self.words.get(..limit as usize)?.split_at_checked(start as usize)?;
        claim_any(behind, start, owner).or_else(|| claim_any(before, 0, owner))
    }

    /// The first of the two steps of giving back: whoever dies or is stopped behind it has freed the place.
    #[inline(always)]
    pub(super) fn free(&self, permit: ConcurrencyPermit) -> bool {
        let Some(place) = self.words.get(permit.place()) else { return false };
        // SeqCst: before the look for waiters that follows; what was done under the permit is seen by who takes the
        // place next.
        // Relaxed: a failure says only that the place is another's.
        let free = permit.word & NONCE;
        place.compare_exchange(permit.word, free, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Frees the permit's place. False: it is not its any more.
    #[inline(always)]
    pub(super) fn give_back(&self, permit: ConcurrencyPermit) -> bool {
        let given = self.free(permit);
        if given {
            self.tell_not_full();
            hint::given_back(permit.place() as u32);
        }
        given
    }

    /// Whether all who hold are within a lowered limit; the mark goes when nobody stands above it.
    #[cold]
    fn fits(&self, rule: u64) -> bool {
        let limit = self.limit_by(rule);
        let above = self.words.iter().skip(limit as usize).any(|word| owner_in(in_order(word)) != 0);
        if self.held() > limit {
            return false;
        }
        if !above {
            // SeqCst: after the look above, which no older rule's taker outlives: it looks at the rule again and
            // leaves.
            // Relaxed: a rule that has changed keeps its mark.
            let _ = self.head[RULE].compare_exchange(rule, rule & !LOWERED, Ordering::SeqCst, Ordering::Relaxed);
        }
        true
    }

    /// Whether more than `count` places are free now.
    pub(super) fn has_more_than(&self, count: usize) -> bool {
        let rule = in_order(&self.head[RULE]);
        let limit = self.limit_by(rule);
        if rule & LOWERED != 0 {
            return limit.saturating_sub(self.held()) as usize > count;
        }
        self.words.iter().take(limit as usize).filter(|word| owner_in(in_order(word)) == 0).nth(count).is_some()
    }

    /// Places taken now.
    pub(super) fn held(&self) -> u32 {
        self.words.iter().filter(|word| owner_in(in_order(word)) != 0).count() as u32
    }

    /// The same for who asks often: nobody stands above a limit that is not marked as lowered.
    pub(super) fn held_below_limit(&self) -> u32 {
        let rule = in_order(&self.head[RULE]);
        let most = if rule & LOWERED == 0 { self.limit_by(rule) as usize } else { self.words.len() };
        self.words.iter().take(most).filter(|word| owner_in(in_order(word)) != 0).count() as u32
    }

    /// The same by partition, under `rule`.
    pub(super) fn taken(&self, rule: u64) -> Taken {
        let most = if rule & LOWERED == 0 { self.limit_by(rule) as usize } else { self.words.len() };
        let mut taken = Taken::default();
        for word in self.words.iter().take(most).map(in_order).filter(|&word| owner_in(word) != 0) {
            taken.all += 1;
            taken.of[partition_in(word)] += 1;
        }
        taken
    }

    /// The words of places taken now.
    pub(super) fn owners(&self) -> impl Iterator<Item = u64> {
        self.words.iter().map(in_order).map(owner_in).filter(|&owner| owner != 0)
    }

    /// Frees the places of owners that are gone; how many.
    pub(super) fn sweep(&self, is_gone: impl Fn(u64) -> bool) -> u64 {
        let free = |place: &AtomicU64| {
            let word = in_order(place);
            // SeqCst, Relaxed: as giving back.
            let freed =
                |_: &u64| place.compare_exchange(word, word & NONCE, Ordering::SeqCst, Ordering::Relaxed).is_ok();
            Some(owner_in(word)).filter(|&owner| owner != 0 && is_gone(owner)).filter(freed).is_some()
        };
        let freed = self.words.iter().filter(|place| free(place)).count() as u64;
        // Also where it frees nothing: who died after it had freed a place may not have said so.
        self.tell_not_full();
        if freed > 0 {
            // Relaxed: a statistic orders nothing.
            self.head[RECLAIMED].fetch_add(freed, Ordering::Relaxed);
        }
        freed
    }

    /// How many places were swept free.
    pub(super) fn reclaimed(&self) -> u64 {
        // Relaxed: a statistic orders nothing.
        self.head[RECLAIMED].load(Ordering::Relaxed)
    }

    /// The limit in force.
    pub(super) fn limit(&self) -> u32 {
        self.limit_by(in_order(&self.head[RULE]))
    }

    /// Whatever another process has written there, no more than the places.
    #[inline(always)]
    pub(super) fn limit_by(&self, rule: u64) -> u32 {
        (rule & LIMIT).min(self.words.len() as u64) as u32
    }

    /// Puts another limit in force.
    pub(super) fn set_limit(&self, limit: u32) {
        // Always marked: the next to take a place sees whether somebody stands above it.
        let next = |rule: u64| (rule | (CHANGE - 1)).wrapping_add(1) | LOWERED | u64::from(limit);
        let mut rule = in_order(&self.head[RULE]);
        for _ in 0..PATIENCE {
            // SeqCst: who took a place by the old rule sees this one and leaves, or stands there when the places are
            // counted.
            match self.head[RULE].compare_exchange(rule, next(rule), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return,
                Err(now) => rule = now,
            }
        }
    }
}

/// Takes one of `places`, of which the first has the number `from`. Two of these, not one that wraps round: that takes
/// four times as long.
fn claim_any(places: &[AtomicU64], from: u32, owner: impl Taker) -> Option<ConcurrencyPermit> {
    (from..).zip(places).find_map(|(cell, place)| claim(place, cell, owner))
}

#[inline(always)]
fn claim(place: &AtomicU64, cell: u32, owner: impl Taker) -> Option<ConcurrencyPermit> {
    let word = in_order(place);
    if owner_in(word) != 0 {
        return None;
    }
    let mine = owner.word(word);
    // SeqCst: before the look at the rule that follows, and before any later count of the places. Relaxed: a lost race
    // is no news.
    place.compare_exchange(word, mine, Ordering::SeqCst, Ordering::Relaxed).ok()?;
    Some(ConcurrencyPermit { word: mine, cell: u64::from(cell) })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A permit given back again, 2^24 and 2^32 - 1 takings later.
    #[test]
    fn an_old_permit_frees_nobodys_place() {
        let places = PermitSlots::lay_out(&mut ObjectAllocator::of_process(false), 1, 1).unwrap();
        let owner: u64 = 1 << 32;
        let old = places.take(owner).unwrap();
        assert!(places.give_back(old));
        for takings in [1_u64, 1 << 24, NONCE] {
            // Relaxed: one thread.
            places.words[0].store((old.word & NONCE).wrapping_add(takings - 1) & NONCE, Ordering::Relaxed);
            let new = places.take(owner).unwrap();
            assert!(!places.give_back(old), "after {takings} takings");
            assert!(places.give_back(new));
        }
    }

    /// While the limit is marked as lowered somebody may stand above it.
    #[test]
    fn who_stands_above_a_lowered_limit_is_counted() {
        let places = PermitSlots::lay_out(&mut ObjectAllocator::of_process(false), 8, 8).unwrap();
        let owner: u64 = 1 << 32;
        let permits: Vec<_> = (0..8).map(|_| places.take(owner).unwrap()).collect();
        assert_eq!(places.held_below_limit(), 8);
        places.set_limit(4);
        assert_eq!((places.held(), places.held_below_limit()), (8, 8));
        permits.into_iter().for_each(|permit| assert!(places.give_back(permit)));
        let last = places.take(owner).unwrap();
        assert_eq!((places.held(), places.held_below_limit()), (1, 1));
        assert!(places.give_back(last));
        assert_eq!(places.held_below_limit(), 0);
    }

    /// Killed after it had freed a place and before it said so: until the next sweep, no longer.
    #[test]
    fn a_sweep_says_what_a_dead_owner_did_not() {
        let places = PermitSlots::lay_out(&mut ObjectAllocator::of_process(false), 2, 2).unwrap();
        let owner: u64 = 1 << 32;
        let permits = [places.take(owner).unwrap(), places.take(owner).unwrap()];
        assert_eq!(places.take_at_once(owner).unwrap_err(), Full::Taken);
        let word = places.head[FULL].load(Ordering::Relaxed);
        assert_eq!(word, places.rule());
        let first = permits.into_iter().find(|permit| permit.place() == 0).unwrap();
        assert!(places.give_back(first));
        places.head[FULL].store(word, Ordering::Relaxed);
        // Behind the place that is free, where nobody looks without asking.
        hint::found(0);
        assert_eq!(places.take_at_once(owner).unwrap_err(), Full::Taken);
        assert_eq!(places.sweep(|_| false), 0);
        assert!(places.take_at_once(owner).is_ok());
    }

    #[test]
    fn a_partition_and_its_nonce_stay_apart() {
        let places = PermitSlots::lay_out(&mut ObjectAllocator::of_process(false), 1, 1).unwrap();
        for (number, nonce) in [(0, NONCE_IN), (8, NONCE_IN), (3, 7), (1, NONCE)] {
            // Relaxed: one thread.
            places.words[0].store(nonce, Ordering::Relaxed);
            let owner = OwnerIn { owner: 1 << 56 | 1 << 32, partition: Partition::numbered(number) };
            let permit = places.take(owner).unwrap();
            assert_eq!((owner_in(permit.word), partition_in(permit.word)), (owner.owner, number));
            assert_eq!(permit.word & NONCE_IN, (nonce + 1) & NONCE_IN);
            assert_eq!((places.taken(places.rule()).all, places.taken(places.rule()).of[number]), (1, 1));
            assert!(places.give_back(permit));
            assert_eq!(places.taken(places.rule()).all, 0);
        }
    }
}
