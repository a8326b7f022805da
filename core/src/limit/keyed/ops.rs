//! What a limiter does to a key, as steps of its table.

use super::kind::{CellAlgorithm, Charge, Level, Verdict};
use super::table::{Op, Spot, Step, Table};
use super::time::Now;
use super::units::Units;
use crate::Decision;
use crate::limit::{GAVE_UP_NS, log};

/// The answer to a [`Take`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) allowed: bool,
    pub(super) retry_after_ns: u64,
    pub(super) delay_ns: u64,
    pub(super) level: Level,
    /// What the charge put, if it charged what is the key's own.
    pub(super) own: Option<Own>,
}

/// What a charge put, by which it may be taken back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Own {
    /// The state of a cell.
    Cell(u64),
    Log(log::Charge),
}

impl Taken {
    pub(super) fn decision(&self, units: &Units) -> Decision {
        Decision {
            allowed: self.allowed,
            limit: units.burst,
            remaining: self.level.remaining,
            retry_after_ns: self.retry_after_ns,
            reset_after_ns: self.level.reset_after_ns,
            delay_ns: self.delay_ns,
        }
    }
}

/// Takes `n` (at least 1) that can be used at once, or nothing: yes or no, and nothing else is worked out.
pub(super) struct Acquire<'a, K> {
    pub(super) kind: &'a K,
    pub(super) units: &'a Units,
    pub(super) n: u32,
}

impl<K: CellAlgorithm> Op for Acquire<'_, K> {
    type Answer = bool;
    const HOLDS: bool = K::EXTENDS;

    fn give_up(&self) -> bool {
        false
    }

    #[inline]
    fn judge(&self, spot: Spot, state: u64, now: Now) -> Step<bool> {
        match self.kind.judge(self.units, state, now, self.n) {
            Verdict::Admit { state: new, delay_ns: 0 } if spot == Spot::Shared => {
                Step::Put(self.kind.extend(self.units, new, now), true)
            }
            Verdict::Admit { state: new, delay_ns: 0 } => Step::Put(new, true),
            Verdict::Deny { heal: Some(healed), .. } => Step::Put(healed, false),
            Verdict::Admit { .. } | Verdict::Deny { .. } => Step::Keep(false),
        }
    }

    fn hold(&self, state: u64, now: Now) -> Option<u64> {
        held(self.kind, self.units, state, now)
    }
}

/// Takes `n`, or nothing, and tells what there is to tell.
pub(super) struct Take<'a, K> {
    pub(super) kind: &'a K,
    pub(super) units: &'a Units,
    pub(super) n: u32,
    /// Only looks.
    pub(super) look: bool,
}

impl<K: CellAlgorithm> Take<'_, K> {
    fn level(&self, state: u64, now: Now) -> Level {
        match self.kind.penalties().left(state, now) {
            // From the end of a penalty on the state says when it is free.
            Some(left) => {
                Level { remaining: 0, reset_after_ns: self.kind.level(self.units, state, now).reset_after_ns.max(left) }
            }
            None => self.kind.level(self.units, state, now),
        }
    }

    #[inline]
    fn denied(&self, state: u64, now: Now, retry_after_ns: u64) -> Taken {
        let mut level = self.level(state, now);
        if level.remaining > 0 && self.kind.is_closed(state, now) {
            level.remaining = 0;
        }
        Taken { allowed: false, retry_after_ns, delay_ns: 0, level, own: None }
    }

    /// What takes nothing is denied under a penalty only.
    #[cold]
    #[inline(never)]
    fn of_none(&self, state: u64, now: Now) -> Taken {
        let left = self.kind.penalties().left(state, now);
        Taken { allowed: left.is_none(), ..self.denied(state, now, left.unwrap_or(0)) }
    }
}

impl<K: CellAlgorithm> Op for Take<'_, K> {
    type Answer = Taken;
    const HOLDS: bool = K::EXTENDS;

    #[cold]
    fn give_up(&self) -> Taken {
        Taken { allowed: false, retry_after_ns: GAVE_UP_NS, delay_ns: 0, level: Level::default(), own: None }
    }

    fn judge(&self, spot: Spot, state: u64, now: Now) -> Step<Taken> {
        if self.n == 0 {
            return Step::Keep(self.of_none(state, now));
        }
        match self.kind.judge(self.units, state, now, self.n) {
            Verdict::Admit { state: new, delay_ns } if self.look => {
                let (allowed, level) = (true, self.level(state, now));
                Step::Keep(Taken { allowed, retry_after_ns: 0, delay_ns, level, own: Some(Own::Cell(new)) })
            }
            Verdict::Admit { state: new, delay_ns } => {
                let new = if spot == Spot::Shared { self.kind.extend(self.units, new, now) } else { new };
                let level = self.level(new, now);
                let own = (spot == Spot::Own).then_some(Own::Cell(new));
                Step::Put(new, Taken { allowed: true, retry_after_ns: 0, delay_ns, level, own })
            }
            Verdict::Deny { retry_after_ns, heal } => {
                let answer = self.denied(state, now, retry_after_ns);
                match heal {
                    Some(healed) if !self.look => Step::Put(healed, answer),
                    _ => Step::Keep(answer),
                }
            }
        }
    }

    fn hold(&self, state: u64, now: Now) -> Option<u64> {
        held(self.kind, self.units, state, now)
    }
}

/// See [`Op::hold`].
pub(super) fn held<K: CellAlgorithm>(kind: &K, units: &Units, state: u64, now: Now) -> Option<u64> {
    let held = kind.extend(units, state, now);
    (held != state).then_some(held)
}

/// What a denial stores of a change of quota, for who has only looked.
pub(super) struct Claim<'a, K> {
    pub(super) kind: &'a K,
    pub(super) units: &'a Units,
}

impl<K: CellAlgorithm> Op for Claim<'_, K> {
    type Answer = ();

    fn give_up(&self) {}

    fn judge(&self, _spot: Spot, state: u64, now: Now) -> Step<()> {
        match self.kind.claim(self.units, state, now) {
            Some(new) => Step::Put(new, ()),
            None => Step::Keep(()),
        }
    }
}

/// Gives `n` back.
pub(super) struct Refund<'a, K> {
    pub(super) kind: &'a K,
    pub(super) units: &'a Units,
    pub(super) n: u32,
}

impl<K: CellAlgorithm> Op for Refund<'_, K> {
    type Answer = ();

    fn give_up(&self) {}

    fn judge(&self, spot: Spot, state: u64, now: Now) -> Step<()> {
        let own = spot == Spot::Own;
        if !own || self.n == 0 || self.kind.penalties().left(state, now).is_some() {
            return Step::Keep(());
        }
        match self.kind.refund(self.units, state, now, self.n) {
            Some(new) => Step::Put(new, ()),
            None => Step::Keep(()),
        }
    }
}

/// Takes a charge back that another limit of a set did not agree to.
pub(super) struct Undo<'a, K> {
    pub(super) kind: &'a K,
    pub(super) units: &'a Units,
    pub(super) charge: Charge,
    pub(super) table: &'a Table,
    /// The table's [resets](Table::resets) before the charge.
    pub(super) resets: u64,
}

impl<K: CellAlgorithm> Op for Undo<'_, K> {
    type Answer = ();

    fn give_up(&self) {}

    fn judge(&self, spot: Spot, state: u64, now: Now) -> Step<()> {
        let stands = spot == Spot::Own && self.table.resets() == self.resets;
        if !stands || self.kind.penalties().left(state, now).is_some() {
            return Step::Keep(());
        }
        match self.kind.undo(self.units, state, now, self.charge) {
            Some(new) => Step::Put(new, ()),
            None => Step::Keep(()),
        }
    }
}

/// Nothing before `end_ns`; the answer is whether there was a cell to note it in.
pub(super) struct Penalize<'a, K> {
    pub(super) kind: &'a K,
    pub(super) end_ns: u64,
}

impl<K: CellAlgorithm> Op for Penalize<'_, K> {
    type Answer = bool;

    fn give_up(&self) -> bool {
        false
    }

    fn judge(&self, spot: Spot, state: u64, now: Now) -> Step<bool> {
        if spot == Spot::Shared {
            return Step::Keep(false);
        }
        let left = self.kind.penalties().left(state, now).unwrap_or(0);
        if now.ns.saturating_add(left) >= self.end_ns {
            return Step::Keep(true);
        }
        let counted = if left > 0 { 0 } else { self.kind.counted_for(state, now) };
        let end_ns = self.end_ns.max(now.ns.saturating_add(counted));
        Step::Put(self.kind.penalties().until(end_ns), true)
    }
}

/// The key as new.
pub(super) struct Reset<'a, K> {
    pub(super) kind: &'a K,
    pub(super) table: &'a Table,
}

impl<K: CellAlgorithm> Op for Reset<'_, K> {
    type Answer = ();

    fn give_up(&self) {}

    fn judge(&self, spot: Spot, state: u64, now: Now) -> Step<()> {
        // A key that shares a word cannot be told from the others there; one that has no cell is new.
        if spot != Spot::Own {
            return Step::Keep(());
        }
        if self.kind.free_at(state, now) == now.tick {
            return Step::Keep(());
        }
        self.table.note_reset();
        Step::Put(self.kind.fresh(now.tick), ())
    }
}

/// The state in the key's own cell, if it has one.
pub(super) struct Peek;

impl Op for Peek {
    type Answer = Option<u64>;

    fn give_up(&self) -> Self::Answer {
        None
    }

    fn judge(&self, spot: Spot, state: u64, _now: Now) -> Step<Self::Answer> {
        Step::Keep((spot == Spot::Own).then_some(state))
    }
}
