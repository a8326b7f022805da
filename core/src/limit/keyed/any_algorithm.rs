//! The algorithm of one limiter, chosen when it is made, with the state of its keys: each call goes to the right kind.

use super::config::QUEUE;
use super::hash::KeyHash;
use super::kind::{CellAlgorithm, Charge, Fixed, Gcra, Layout, Level, NUMBERS, Sliding};
use super::ops::{Acquire, Claim, Own, Peek, Penalize, Refund, Reset, Take, Taken, Undo, held};
use super::table::{EVICTIONS, OVERFLOWED, Op, Spot, Step, Table};
use super::time::{Now, Present};
use super::units::{MAX_BURST, Units, bucket_measure, bucket_units, of_burst, with_less};
use super::{Hits, Windows};
use crate::limit::log::{self, Log, MAX_LOG};
use crate::limit::{Algorithm, LONGEST_PENALTY_NS};
use crate::memory::ObjectAllocator;
use crate::quota::{BURST, RATE};
use crate::setting::time;
use crate::{ConfigError, ConfigErrorKind, Quota};

const MAX_FIXED: u32 = (1 << 20) - 1;
const MAX_SLIDING: u32 = (1 << 18) - 1;

#[derive(Debug)]
pub(super) enum AnyAlgorithm {
    Bucket(InCells<Gcra>),
    Fixed(InCells<Fixed>),
    Sliding(InCells<Sliding>),
    Log(Log),
}

/// An algorithm over a table of cells.
#[derive(Debug)]
pub(super) struct InCells<K> {
    kind: K,
    table: Table,
}

impl<K> InCells<K> {
    /// The parts of the table.
    fn in_room(room: &mut ObjectAllocator, kind: K, max_keys: usize, present: &Present) -> Result<Self, ConfigError> {
        Ok(Self { kind, table: Table::in_room(room, max_keys, present.clone())? })
    }
}

macro_rules! by_kind {
    ($rule:expr, $kind:ident, $table:ident => $do:expr, $log:ident => $log_does:expr) => {
        match $rule {
            AnyAlgorithm::Bucket(InCells { kind: $kind, table: $table }) => $do,
            AnyAlgorithm::Fixed(InCells { kind: $kind, table: $table }) => $do,
            AnyAlgorithm::Sliding(InCells { kind: $kind, table: $table }) => $do,
            AnyAlgorithm::Log($log) => $log_does,
        }
    };
}

impl AnyAlgorithm {
    /// For these quotas: the default, and the fastest if it was declared. Always the same parts for one algorithm.
    pub(super) fn in_room(
        room: &mut ObjectAllocator,
        algorithm: Algorithm,
        quotas: &[Quota],
        max_keys: usize,
        present: &Present,
    ) -> Result<Self, ConfigError> {
        let limit = quotas.iter().map(Quota::burst).max().unwrap_or(1);
        let period = quotas.iter().map(period_ns).max().unwrap_or(1);
        quotas.iter().try_for_each(|quota| countable(quota, algorithm))?;
        Ok(match algorithm {
            Algorithm::TokenBucket | Algorithm::LeakyBucket => {
                let measure = bucket_measure(quotas)?;
                let tokens = quotas.iter().map(|quota| bucket_units(measure.ticks, quota).map(|units| units.span));
                let fastest = tokens.collect::<Result<Vec<_>, _>>()?.into_iter().min().unwrap_or(1);
                let paced = algorithm == Algorithm::LeakyBucket;
                let kind = Gcra::in_room(room, measure, fastest, paced, present.clone())?;
                Self::Bucket(InCells::in_room(room, kind, max_keys, present)?)
            }
            Algorithm::FixedWindow => {
                let kind = Fixed::in_room(room, limit, period, present.clone())?;
                Self::Fixed(InCells::in_room(room, kind, max_keys, present)?)
            }
            Algorithm::SlidingWindow => {
                let kind = Sliding::new(limit, period, present.clone());
                Self::Sliding(InCells::in_room(room, kind, max_keys, present)?)
            }
            Algorithm::SlidingLog => Self::Log(Log::in_room(room, limit, period, max_keys, present.clone())?),
        })
    }

    /// The quota in the table's units.
    pub(super) fn units(&self, quota: &Quota) -> Result<Units, ConfigError> {
        match self {
            Self::Bucket(InCells { kind, .. }) => {
                countable(quota, kind.algorithm())?;
                let units = bucket_units(kind.ticks(), quota)?;
                kind.fills().raise(&units);
                Ok(units)
            }
            Self::Fixed(InCells { kind, .. }) => {
                let (longest, most) = kind.bounds();
                within(quota, most, Algorithm::FixedWindow)?;
                let window = kind.ticks().count(period_ns(quota).into(), 1);
                if window > longest {
                    return Err(too_long(quota));
                }
                kind.raise_longest(window);
                Ok(Units::new(window, quota.burst()))
            }
            Self::Sliding(InCells { kind, .. }) => {
                within(quota, kind.most() as u32, Algorithm::SlidingWindow)?;
                one_period(quota, kind.period())?;
                Ok(Units::new(0, quota.burst()))
            }
            Self::Log(log) => {
                within(quota, log.limit(), Algorithm::SlidingLog)?;
                one_period(quota, log.period())?;
                Ok(Units::new(0, quota.burst()))
            }
        }
    }

    /// A quota, with less of its burst where a table of buckets cannot hold all of it.
    pub(super) fn nearest(&self, quota: &Quota) -> Quota {
        match self {
            Self::Bucket(InCells { kind, .. }) => with_less(kind.ticks(), quota).unwrap_or(*quota),
            _ => *quota,
        }
    }

    /// A quota with the number that states of it carry, if it has one already.
    pub(super) fn numbered(&self, quota: &Quota, units: &Units) -> Option<(Quota, Units)> {
        match self {
            Self::Bucket(InCells { kind, .. }) => kind.fills().numbered(units).map(|units| (*quota, units)),
            _ => Some((*quota, *units)),
        }
    }

    /// A quota with the number that states of it carry: the seven that were first have one each, by how long they take
    /// to fill, and what comes later may have to do with a smaller burst. Only under the lock, or by who makes the
    /// limiter.
    ///
    /// Errors: `burst` where there is none.
    pub(super) fn number(&self, quota: &Quota, units: &Units) -> Result<(Quota, Units), ConfigError> {
        let Self::Bucket(InCells { kind, .. }) = self else { return Ok((*quota, *units)) };
        let units = kind.fills().add(units).ok_or_else(|| too_many(quota, kind.algorithm()))?;
        let whole = units.burst == quota.burst();
        Ok((if whole { *quota } else { quota.with_burst(units.burst.into())? }, units))
    }

    /// The same quota while only `burst` of it is open.
    pub(super) fn warming(&self, units: &Units, burst: u32) -> Units {
        match self {
            Self::Bucket(_) => units.warming(burst),
            _ => Units { burst, ..*units },
        }
    }

    /// Takes `n` that can be used at once, or nothing.
    #[inline]
    pub(super) fn acquire(&self, key: KeyHash, ns: u64, units: &Units, n: u32) -> bool {
        if n == 0 {
            return self.look(key, ns, units, 0).allowed;
        }
        match self {
            Self::Bucket(InCells { kind, table }) => table.apply(kind, key, ns, &Acquire { kind, units, n }),
            _ => self.acquire_other(key, ns, units, n),
        }
    }

    #[inline(never)]
    fn acquire_other(&self, key: KeyHash, ns: u64, units: &Units, n: u32) -> bool {
        by_kind!(self,
            kind, table => table.apply(kind, key, ns, &Acquire { kind, units, n }),
            log => log.take(key.bits(), ns, units.burst, n, false).allowed)
    }

    /// Takes `n`, or nothing, and tells what is left.
    pub(super) fn take(&self, key: KeyHash, ns: u64, units: &Units, n: u32) -> Taken {
        if n == 0 {
            return self.look(key, ns, units, 0);
        }
        by_kind!(self,
            kind, table => table.apply(kind, key, ns, &Take { kind, units, n, look: false }),
            log => of_log(log.take(key.bits(), ns, units.burst, n, false)))
    }

    /// What [`take`](Self::take) would answer, with what is left now.
    pub(super) fn look(&self, key: KeyHash, ns: u64, units: &Units, n: u32) -> Taken {
        by_kind!(self,
            kind, table => table.look(kind, key, ns, &Take { kind, units, n, look: true }),
            log => of_log(log.take(key.bits(), ns, units.burst, n, true)))
    }

    /// What a denial by the quota leaves behind, for who has only looked.
    pub(super) fn claim(&self, key: KeyHash, ns: u64, units: &Units) {
        if let Self::Bucket(InCells { kind, table }) = self
            && kind.fills().differ()
        {
            table.apply(kind, key, ns, &Claim { kind, units });
        }
    }

    /// Of who only looked and was denied: see [`Log::tell_against`]. In cells a look does it.
    pub(super) fn tell_against(&self, key: KeyHash, ns: u64, units: &Units) {
        if let Self::Log(log) = self {
            log.tell_against(key.bits(), ns, units.burst);
        }
    }

    pub(super) fn refund(&self, key: KeyHash, ns: u64, units: &Units, n: u32) {
        by_kind!(self,
            kind, table => table.apply(kind, key, ns, &Refund { kind, units, n }),
            log => log.refund(key.bits(), ns, n));
    }

    /// To be read before a charge that may be taken back: see [`Reclaim::resets`](super::reclaim::Reclaim::resets). A
    /// log tells by itself.
    pub(super) fn resets(&self) -> u64 {
        by_kind!(self, _kind, table => table.resets(), _log => 0)
    }

    /// Takes back what was charged at `charged_ns`: at most what it still holds, and nothing after a reset.
    pub(super) fn undo(&self, key: KeyHash, ns: u64, units: &Units, charged: (u32, Own, u64), resets: u64) {
        let (n, own, charged_ns) = charged;
        by_kind!(self,
        kind, table => if let Own::Cell(own) = own {
            let charge = Charge { n, own, at: kind.now(charged_ns) };
            table.apply(kind, key, ns, &Undo { kind, units, charge, table, resets });
        },
        log => if let Own::Log(charge) = own {
            log.undo(key.bits(), charge, n);
        });
    }

    pub(super) fn penalize(&self, key: KeyHash, ns: u64, wait_ns: u64) -> bool {
        let end_ns = ns.saturating_add(wait_ns.min(LONGEST_PENALTY_NS));
        by_kind!(self,
            kind, table => table.apply(kind, key, ns, &Penalize { kind, end_ns }),
            log => log.penalize(key.bits(), ns, end_ns))
    }

    pub(super) fn is_penalised(&self, key: KeyHash, ns: u64) -> bool {
        by_kind!(self,
            kind, table => {
                let found = table.look(kind, key, ns, &Peek);
                found.is_some_and(|state| kind.penalties().left(state, kind.now(ns)).is_some())
            },
            log => log.is_penalised(key.bits(), ns))
    }

    pub(super) fn reset(&self, key: KeyHash, ns: u64) {
        by_kind!(self,
            kind, table => table.apply(kind, key, ns, &Reset { kind, table }),
            log => log.reset(key.bits(), ns));
    }

    pub(super) fn clear(&self, ns: u64) {
        by_kind!(self, kind, table => table.clear(kind, ns), log => log.clear(ns));
    }

    pub(super) fn hit(&self, key: KeyHash, ns: u64, units: &Units, n: u32) -> Option<Hits> {
        match self {
            Self::Fixed(InCells { kind, table }) => {
                let hit = Hit { kind, units, n };
                Some(if n == 0 { table.look(kind, key, ns, &hit) } else { table.apply(kind, key, ns, &hit) })
            }
            _ => None,
        }
    }

    pub(super) fn windows(&self, key: KeyHash, ns: u64) -> Option<Windows> {
        match self {
            Self::Sliding(InCells { kind, table }) => Some(table.look(kind, key, ns, &Both { kind })),
            _ => None,
        }
    }

    pub(super) fn len(&self, ns: u64) -> usize {
        by_kind!(self, kind, table => table.len(kind, ns), log => log.len(ns))
    }

    pub(super) fn memory(&self) -> usize {
        by_kind!(self, _kind, table => table.memory(), log => log.memory())
    }

    /// Idle keys that made room for others.
    pub(super) fn evictions(&self) -> u64 {
        by_kind!(self, _kind, table => table.counts.sum(EVICTIONS), log => log.evictions())
    }

    /// Calls decided by what keys without room share.
    pub(super) fn overflowed(&self) -> u64 {
        by_kind!(self, _kind, table => table.counts.sum(OVERFLOWED), log => log.overflowed())
    }
}

fn of_log(taken: log::Taken) -> Taken {
    let log::Taken { allowed, retry_after_ns, remaining, reset_after_ns, charge } = taken;
    let level = Level { remaining, reset_after_ns };
    Taken { allowed, retry_after_ns, delay_ns: 0, level, own: charge.map(Own::Log) }
}

/// Counts whatever the limit.
struct Hit<'a> {
    kind: &'a Fixed,
    units: &'a Units,
    n: u32,
}

impl Hit<'_> {
    /// Whether the caller may admit what came to this count: past the limit nothing has to count longer. Of a caller
    /// that has limits of its own, and made the limiter with the largest, any hit may be one that it admits.
    fn may_admit(&self, count: u32) -> bool {
        count <= self.units.burst
    }
}

impl Op for Hit<'_> {
    type Answer = Hits;
    const HOLDS: bool = true;

    fn give_up(&self) -> Hits {
        Hits { count: self.kind.most_hits(), reset_after_ns: 0 }
    }

    fn judge(&self, spot: Spot, state: u64, now: Now) -> Step<Hits> {
        let (mut state, count, mut reset_after_ns) = self.kind.hit(self.units, state, now, self.n);
        if spot == Spot::Shared && self.may_admit(count) {
            state = self.kind.extend(self.units, state, now);
            reset_after_ns = self.kind.level(self.units, state, now).reset_after_ns;
        }
        Step::Put(state, Hits { count, reset_after_ns })
    }

    fn hold(&self, state: u64, now: Now) -> Option<u64> {
        let (_, count, _) = self.kind.hit(self.units, state, now, self.n);
        if self.may_admit(count) { held(self.kind, self.units, state, now) } else { None }
    }
}

/// Looks at the two windows of a sliding counter.
struct Both<'a> {
    kind: &'a Sliding,
}

impl Op for Both<'_> {
    type Answer = Windows;

    fn give_up(&self) -> Windows {
        let most = self.kind.most() as u32;
        Windows { previous: most, current: most, left_ns: self.kind.period() }
    }

    fn judge(&self, _spot: Spot, state: u64, now: Now) -> Step<Windows> {
        Step::Keep(self.kind.windows(state, now))
    }
}

fn period_ns(quota: &Quota) -> u64 {
    quota.period().as_nanos() as u64
}

#[cold]
fn too_many(quota: &Quota, algorithm: Algorithm) -> ConfigError {
    let leaky = algorithm == Algorithm::LeakyBucket;
    let message = format!(
        "{} fills in {}, sooner than each of the {NUMBERS} times that this limiter tells apart; give it a \
         {} that fills as one of the quotas before it does, or a limiter of its own",
        quota.brief(),
        time(u64::try_from(quota.fill_time().as_nanos()).unwrap_or(u64::MAX)),
        if leaky { "queue" } else { "burst" }
    );
    let of_queue = if of_burst(quota).name == BURST.name { &QUEUE } else { &RATE };
    if leaky { of_queue } else { of_burst(quota) }.error(ConfigErrorKind::Conflict, message)
}

/// What an algorithm can count at most.
fn most(algorithm: Algorithm) -> u32 {
    match algorithm {
        Algorithm::TokenBucket | Algorithm::LeakyBucket => MAX_BURST,
        Algorithm::FixedWindow => MAX_FIXED,
        Algorithm::SlidingWindow => MAX_SLIDING,
        Algorithm::SlidingLog => MAX_LOG,
    }
}

fn countable(quota: &Quota, algorithm: Algorithm) -> Result<(), ConfigError> {
    let (burst, most) = (quota.burst(), most(algorithm));
    if burst <= most { Ok(()) } else { Err(too_large(quota, most, algorithm)) }
}

/// How the rate can be had nearly.
#[cold]
fn too_large(quota: &Quota, most: u32, algorithm: Algorithm) -> ConfigError {
    let (burst, brief) = (quota.burst(), quota.brief());
    match algorithm {
        Algorithm::TokenBucket => {
            let why =
                format!(": no key holds more at once; with a burst of {most} or less the rate of {brief} can be had");
            BURST.outside_of(burst.into(), most.into(), &why)
        }
        Algorithm::LeakyBucket => {
            let (queue, most) = (burst - 1, most - 1);
            let message = format!(
                "{queue} is not within 0 to {most}: no more calls wait for a key; with a queue of {most} or less the \
                 rate of {brief} can be had"
            );
            QUEUE.error(ConfigErrorKind::OutOfRange, message)
        }
        _ => {
            let message = format!(
                "{brief} is more than the {most} that a {algorithm} counts; take fewer in a shorter period, or a \
                 token_bucket with a burst of {MAX_BURST} or less"
            );
            RATE.error(ConfigErrorKind::OutOfRange, message)
        }
    }
}

/// Of a table that was made to count to `most`.
fn within(quota: &Quota, most: u32, algorithm: Algorithm) -> Result<(), ConfigError> {
    countable(quota, algorithm)?;
    if quota.burst() <= most {
        return Ok(());
    }
    let message = format!(
        "{} is more than the {most} that this limiter was made to count; declare the largest quota that any key will \
         ever have as `fastest` when it is made",
        quota.brief()
    );
    Err(RATE.error(ConfigErrorKind::OutOfRange, message))
}

fn one_period(quota: &Quota, period: u64) -> Result<(), ConfigError> {
    if period_ns(quota) == period {
        return Ok(());
    }
    let message = format!(
        "{} is per {}, and all quotas of this limiter per {}",
        quota.brief(),
        time(period_ns(quota)),
        time(period)
    );
    Err(RATE.error(ConfigErrorKind::Conflict, message))
}

#[cold]
fn too_long(quota: &Quota) -> ConfigError {
    let message = format!(
        "{} has a longer window than this limiter was made for; declare the quota with the longest as `fastest` when \
         it is made",
        quota.brief()
    );
    RATE.error(ConfigErrorKind::OutOfRange, message)
}
