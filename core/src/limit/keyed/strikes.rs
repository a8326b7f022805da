//! Who goes on after being denied: `strikes:5 | count:8 | t:26`, in a table of its own beside the limiter's.

use super::config::Block;
use super::hash::KeyHash;
use super::kind::Layout;
use super::table::{Op, Spot, Step, Table};
use super::time::{Now, Present, Ticks, later, unwrap};
use crate::ConfigError;
use crate::limit::LONGEST_PENALTY_NS;
use crate::memory::ObjectAllocator;

const TIME_BITS: u32 = 26;
const COUNT_BITS: u32 = 8;
const MAX_STRIKES: u64 = 31;

/// Counts the denials of keys, and says when one is to be blocked.
#[derive(Debug)]
pub(super) struct Strikes {
    table: Table,
    layout: Denials,
}

/// `t` is the end of the window in which denials are counted, or of the last block.
#[derive(Debug)]
struct Denials {
    ticks: Ticks,
    block: Block,
    within: u64,
}

#[derive(Clone, Copy)]
struct Record {
    t: u64,
    count: u64,
    strikes: u64,
}

impl Strikes {
    /// The parts of its table.
    pub(super) fn in_room(
        room: &mut ObjectAllocator,
        block: Block,
        max_keys: usize,
        present: Present,
    ) -> Result<Self, ConfigError> {
        let longest = u128::from(block.within_ns.max(block.max_ns)) * 3;
        let shift = (20..63).find(|&shift| longest <= 1 << (TIME_BITS - 2 + shift)).unwrap_or(63);
        let ticks = Ticks::new(shift as i32);
        let layout = Denials { ticks, block, within: ticks.count(block.within_ns.into(), 1) };
        Ok(Self { table: Table::in_room(room, max_keys, present)?, layout })
    }

    /// One more denial; the nanoseconds to block the key for, if it was one too many.
    pub(super) fn denied(&self, key: KeyHash, ns: u64) -> Option<u64> {
        self.table.apply(&self.layout, key, ns, &Strike(&self.layout))
    }

    pub(super) fn forget(&self, key: KeyHash, ns: u64) {
        self.table.apply(&self.layout, key, ns, &Forget(&self.layout));
    }

    pub(super) fn clear(&self, ns: u64) {
        self.table.clear(&self.layout, ns);
    }

    pub(super) fn memory(&self) -> usize {
        self.table.memory()
    }
}

impl Denials {
    fn unpack(&self, state: u64, now: Now) -> Record {
        // It is forgotten up to two epochs after `t`, and looked for as long before what can be read.
        let near = now.near.wrapping_sub(2 << self.epoch_bits());
        Record {
            t: unwrap(state & ((1 << TIME_BITS) - 1), TIME_BITS, near),
            count: state >> TIME_BITS & ((1 << COUNT_BITS) - 1),
            strikes: state >> (TIME_BITS + COUNT_BITS) & MAX_STRIKES,
        }
    }

    fn pack(&self, record: Record) -> u64 {
        let t = record.t & ((1 << TIME_BITS) - 1);
        record.strikes.min(MAX_STRIKES) << (TIME_BITS + COUNT_BITS) | record.count << TIME_BITS | t
    }

    /// The block after so many others.
    fn length(&self, strikes: u64) -> u64 {
        let ns = self.block.duration_ns as f64 * self.block.growth.powi(strikes as i32);
        (ns.min(self.block.max_ns as f64) as u64).min(LONGEST_PENALTY_NS)
    }

    fn forgotten(&self, record: Record) -> u64 {
        let memory = match record.strikes.checked_sub(1) {
            Some(last) => self.within.max(self.ticks.count(u128::from(self.length(last)) * 2, 1)),
            None => 0,
        };
        record.t.wrapping_add(memory)
    }
}

impl Layout for Denials {
    const COUNTS: bool = false;

    fn now(&self, ns: u64) -> Now {
        let tick = self.ticks.at(ns);
        Now::new(ns, tick)
    }

    fn ns(&self, ticks: u64) -> u64 {
        self.ticks.whole_ns(ticks)
    }

    fn time_bits(&self) -> u32 {
        TIME_BITS
    }

    fn coarse(&self, now: Now) -> u64 {
        self.ticks.coarse(now, (self.within / 16).max(1).ilog2())
    }

    fn used_up(&self, at: u64) -> u64 {
        // What is not known is not held against a key.
        self.fresh(at)
    }

    fn free_at(&self, state: u64, now: Now) -> u64 {
        self.forgotten(self.unpack(state, now))
    }

    fn fresh(&self, at: u64) -> u64 {
        self.pack(Record { t: at, count: 0, strikes: 0 })
    }

    fn merge(&self, a: u64, b: u64, now: Now) -> u64 {
        if later(self.free_at(b, now), self.free_at(a, now)) { b } else { a }
    }
}

struct Strike<'a>(&'a Denials);

impl Op for Strike<'_> {
    type Answer = Option<u64>;

    fn give_up(&self) -> Option<u64> {
        None
    }

    fn judge(&self, spot: Spot, state: u64, now: Now) -> Step<Option<u64>> {
        // Nobody is blocked for what others did.
        let layout = self.0;
        if spot == Spot::Shared {
            return Step::Keep(None);
        }
        let mut record = layout.unpack(state, now);
        if later(record.t, now.tick) {
            record.count += 1;
        } else {
            let strikes = if later(layout.forgotten(record), now.tick) { record.strikes } else { 0 };
            record = Record { t: now.tick.wrapping_add(layout.within), count: 1, strikes };
        }
        if record.count < layout.block.after.into() {
            return Step::Put(layout.pack(record), None);
        }
        let length = layout.length(record.strikes);
        let t = now.tick.wrapping_add(layout.ticks.count(length.into(), 1));
        let blocked = Record { t, count: 0, strikes: record.strikes + 1 };
        Step::Put(layout.pack(blocked), Some(length))
    }
}

struct Forget<'a>(&'a Denials);

impl Op for Forget<'_> {
    type Answer = ();

    fn give_up(&self) {}

    fn judge(&self, spot: Spot, state: u64, now: Now) -> Step<()> {
        let at_rest = !later(self.0.free_at(state, now), now.tick);
        match spot {
            Spot::Own if !at_rest => Step::Put(self.0.fresh(now.tick), ()),
            _ => Step::Keep(()),
        }
    }
}
