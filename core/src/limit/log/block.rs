//! The words of one block: `floor | penalty | watch | stamps`, as many stamps as the largest limit.

use super::stamp::{IN_HAND, LAST_NS, ghost};
use crate::memory::{TRIES, Watch};
use crate::sync::{AtomicU64, Ordering};

/// Words of a block before its stamps.
pub(super) const HEAD: usize = 3;

/// In shared memory: any words are survived, and no loop is longer than the block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    floor: &'a AtomicU64,
    /// Of a key's own block its penalty; of the shared one the moment until which it may hold something live.
    pub(super) penalty: &'a AtomicU64,
    pub(super) watch: &'a Watch,
    stamps: &'a [AtomicU64],
}

/// `ns:63 | shares:1`: no reading of the block's key counts as one before it. `shares`: the key may have charges in the
/// shared block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Floor(u64);

impl Floor {
    pub(super) fn ns(self) -> u64 {
        (self.0 >> 1).min(LAST_NS)
    }

    pub(super) fn shares(self) -> bool {
        self.0 & 1 == 1
    }

    fn new(ns: u64, shares: bool) -> Self {
        Self(ns << 1 | u64::from(shares))
    }
}

/// What was found in one look at the stamps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) live: u32,
    /// 0: none at all.
    pub(super) newest: u64,
    /// The oldest of all, dead ones too, and its slot.
    oldest: u64,
    slot: usize,
}

impl<'a> Block<'a> {
    /// `words`: at least [`HEAD`].
    pub(super) fn new(words: &'a [AtomicU64]) -> Self {
        Self { floor: &words[0], penalty: &words[1], watch: Watch::of(&words[2]), stamps: &words[HEAD..] }
    }

    pub(super) fn floor(&self) -> Floor {
        // Relaxed: written before the owner was (release), which was read before (acquire).
        Floor(self.floor.load(Ordering::Relaxed))
    }

    /// The floor at `ns` at least; false if too many races were lost. An earlier owner's may be left, and one that is
    /// later only denies.
    pub(super) fn raise_floor(&self, ns: u64, shares: bool) -> bool {
        (0..TRIES).any(|_| {
            let old = self.floor();
            let new = Floor::new(old.ns().max(ns), shares || old.ns() >= ns && old.shares());
            // Relaxed: published by the exchange of the owner.
            old == new || self.exchange_floor(old, new)
        })
    }

    /// A floor that a bad reading put.
    pub(super) fn heal_floor(&self, old: Floor, ns: u64) {
        self.exchange_floor(old, Floor::new(ns, old.shares()));
    }

    fn exchange_floor(&self, old: Floor, new: Floor) -> bool {
        // Relaxed: it says nothing of other words.
        self.floor.compare_exchange(old.0, new.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The stamp in a slot. Acquire: whatever is read after it is at least as new; so an owner that is still the same
    /// was so then.
    pub(super) fn stamp(&self, slot: usize) -> u64 {
        self.stamps[slot].load(Ordering::Acquire)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (usize, u64)> + use<'a> {
        // Acquire: as `stamp`.
        self.stamps.iter().map(|stamp| stamp.load(Ordering::Acquire)).enumerate()
    }

    #[inline]
    pub(super) fn look(&self, horizon: u64) -> Seen {
        let (mut live, mut newest, mut oldest, mut slot) = (0, 0, u64::MAX, 0);
        for (at, stamp) in self.all() {
            live += u32::from(stamp > horizon);
            newest = newest.max(stamp);
            if stamp < oldest {
                (oldest, slot) = (stamp, at);
            }
        }
        Seen { live, newest, oldest, slot }
    }

    /// 0: none at all.
    pub(super) fn newest(&self) -> u64 {
        self.all().map(|(_, stamp)| stamp).max().unwrap_or(0)
    }

    pub(super) fn is_dead(&self, horizon: u64) -> bool {
        self.all().all(|(_, stamp)| stamp <= horizon)
    }

    /// Takes `n` slots of the oldest stamps, all dead, for a stamp in hand; the first of them. `None`: somebody else
    /// was faster.
    ///
    /// The oldest, so that a late reading finds all that is live to it as long as any slot is dead to it.
    pub(super) fn claim(&self, seen: &Seen, horizon: u64, n: u32, stamp: u64, period: u64) -> Option<usize> {
        let take = |slot: usize, old: u64| {
            // AcqRel: who sees the stamp sees who owned the block before. Relaxed on failure: look again.
            old <= horizon
                && self.stamps[slot].compare_exchange(old, stamp, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if n == 1 {
            return take(seen.slot, seen.oldest).then_some(seen.slot);
        }
        let last = nth_oldest(&[Some(*self)], 0, n)?;
        let (mut first, mut left) = (None, n);
        // Those before the last first; of its equals any.
        for equals in [false, true] {
            for (slot, old) in self.all() {
                let wanted = if equals { old == last } else { old < last };
                if left > 0 && wanted && take(slot, old) {
                    first = first.or(Some(slot));
                    left -= 1;
                }
            }
        }
        if left > 0 {
            self.put_down(first.unwrap_or(0), n - left, stamp, ghost(stamp, period));
            return None;
        }
        first
    }

    /// Puts down `n` of the stamps of this value that are in hand, as `put`. Fewer where some were dead to somebody and
    /// written over: then what stands there counts in their place.
    pub(super) fn put_down(&self, from: usize, n: u32, in_hand: u64, put: u64) {
        let mut left = n;
        for slot in (from..self.stamps.len()).chain(0..from.min(self.stamps.len())) {
            if left == 0 {
                break;
            }
            // Release: as the claim. Acquire on failure: who put this one down has claimed another before.
            let put = || self.stamps[slot].compare_exchange(in_hand, put, Ordering::Release, Ordering::Acquire);
            left -= u32::from(self.stamp(slot) == in_hand && put().is_ok());
        }
    }

    /// Puts another stamp in the place of one that a thread has had in hand for long, or left so when it was killed. If
    /// it comes after all, what stands there counts in its place, as with [`put_down`](Self::put_down).
    pub(super) fn take_over(&self, slot: usize, in_hand: u64, put: u64) {
        // AcqRel: as the claim. Relaxed on failure: that thread has put it down.
        let _ = self.stamps[slot].compare_exchange(in_hand, put, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Takes a stamp that was put down in hand again.
    pub(super) fn pick_up(&self, slot: usize, stamp: u64) -> bool {
        let exchange = |slot: &AtomicU64| {
            // AcqRel: as the claim. Relaxed on failure: it has gone.
            slot.compare_exchange(stamp, stamp | IN_HAND, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        stamp & IN_HAND == 0 && exchange(&self.stamps[slot])
    }
}

/// The `rank`-th oldest of the stamps from `from` on. By halves: nothing to sort, nothing to allocate.
pub(super) fn nth_oldest(blocks: &[Option<Block<'_>>], from: u64, rank: u32) -> Option<u64> {
    let stamps =
        || blocks.iter().flatten().flat_map(Block::all).map(|(_, stamp)| stamp).filter(move |&stamp| stamp >= from);
    let mut low = stamps().min()?;
    if rank <= 1 {
        return Some(low);
    }
    let mut high = stamps().max()?.max(low);
    while low < high {
        let middle = low + (high - low) / 2;
        if stamps().filter(|&stamp| stamp <= middle).count() >= rank as usize {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(low)
}
