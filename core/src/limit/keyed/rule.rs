//! The algorithm of one limiter, chosen when it is made: each call goes to the table with the right kind.

use super::cell::LONGEST_PENALTY_NS;
use super::hash::KeyHash;
use super::kind::{Charge, Fixed, Gcra, Kind, Layout, Log, MAX_LOG, Sliding};
use super::ops::{Acquire, Locate, Penalize, Refund, Reset, Take, Taken, Undo};
use super::table::{Op, Spot, Step, Table};
use super::time::{Now, Present};
use super::units::{Units, bucket_ticks, bucket_units};
use super::{Hits, Windows};
use crate::limit::Algorithm;
use crate::memory::Room;
use crate::quota::{BURST, PERIOD};
use crate::setting::time;
use crate::{ConfigError, ConfigErrorKind, Quota};

const MAX_FIXED: u32 = (1 << 20) - 1;
const MAX_SLIDING: u32 = (1 << 18) - 1;

#[derive(Debug)]
pub(super) enum Rule {
    Bucket(Gcra),
    Fixed(Fixed),
    Sliding(Sliding),
    Log(Log),
}

macro_rules! with_kind {
    ($rule:expr, $kind:ident => $do:expr) => {
        match $rule {
            Rule::Bucket($kind) => $do,
            Rule::Fixed($kind) => $do,
            Rule::Sliding($kind) => $do,
            Rule::Log($kind) => $do,
        }
    };
}

impl Rule {
    /// For these quotas: the default, and the fastest if it was declared. One part or none.
    pub(super) fn in_room(
        room: &mut Room,
        algorithm: Algorithm,
        quotas: &[Quota],
        places: usize,
        present: &Present,
    ) -> Result<Self, ConfigError> {
        let limit = quotas.iter().map(Quota::burst).max().unwrap_or(1);
        let period = quotas.iter().map(period_ns).max().unwrap_or(1);
        Ok(match algorithm {
            Algorithm::TokenBucket | Algorithm::LeakyBucket => {
                let ticks = bucket_ticks(quotas)?;
                let tokens = quotas.iter().map(|quota| bucket_units(ticks, quota).map(|units| units.span));
                let fastest = tokens.collect::<Result<Vec<_>, _>>()?.into_iter().min().unwrap_or(1);
                Self::Bucket(Gcra::in_room(room, ticks, fastest, algorithm == Algorithm::LeakyBucket, present.clone())?)
            }
            Algorithm::FixedWindow => {
                within(limit, MAX_FIXED, algorithm)?;
                Self::Fixed(Fixed::new(limit, period))
            }
            Algorithm::SlidingWindow => {
                within(limit, MAX_SLIDING, algorithm)?;
                Self::Sliding(Sliding::new(limit, period))
            }
            Algorithm::SlidingLog => {
                within(limit, MAX_LOG, algorithm)?;
                Self::Log(Log::in_room(room, limit, period, places)?)
            }
        })
    }

    /// The quota in the table's units.
    pub(super) fn units(&self, quota: &Quota) -> Result<Units, ConfigError> {
        match self {
            Self::Bucket(kind) => {
                let units = bucket_units(kind.ticks(), quota)?;
                kind.admit(&units);
                Ok(units)
            }
            Self::Fixed(kind) => {
                let (longest, most) = kind.bounds();
                within(quota.burst(), most, Algorithm::FixedWindow)?;
                let window = kind.ticks().count(period_ns(quota).into(), 1);
                if window > longest {
                    let message = "is longer than this table was made for; declare the longest as `fastest`";
                    return Err(PERIOD.error(ConfigErrorKind::OutOfRange, message));
                }
                Ok(Units::new(window, quota.burst()))
            }
            Self::Sliding(kind) => {
                within(quota.burst(), kind.most() as u32, Algorithm::SlidingWindow)?;
                one_period(quota, kind.period())?;
                Ok(Units::new(0, quota.burst()))
            }
            Self::Log(kind) => {
                within(quota.burst(), kind.limit(), Algorithm::SlidingLog)?;
                one_period(quota, kind.period())?;
                Ok(Units::new(0, quota.burst()))
            }
        }
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
    pub(super) fn acquire(&self, table: &Table, key: KeyHash, ns: u64, units: &Units, n: u32) -> bool {
        match self {
            Self::Bucket(kind) => table.apply(kind, key, kind.now(ns), &Acquire { kind, units, n }),
            _ => self.acquire_other(table, key, ns, units, n),
        }
    }

    #[inline(never)]
    fn acquire_other(&self, table: &Table, key: KeyHash, ns: u64, units: &Units, n: u32) -> bool {
        with_kind!(self, kind => table.apply(kind, key, kind.now(ns), &Acquire { kind, units, n }))
    }

    /// Takes `n`, or nothing, and tells what is left.
    pub(super) fn take(&self, table: &Table, key: KeyHash, ns: u64, units: &Units, n: u32) -> Taken {
        with_kind!(self, kind => table.apply(kind, key, kind.now(ns), &Take { kind, units, n, look: false }))
    }

    /// What [`take`](Self::take) would answer, with what is left now.
    pub(super) fn look(&self, table: &Table, key: KeyHash, ns: u64, units: &Units, n: u32) -> Taken {
        with_kind!(self, kind => table.apply(kind, key, kind.now(ns), &Take { kind, units, n, look: true }))
    }

    pub(super) fn refund(&self, table: &Table, key: KeyHash, ns: u64, units: &Units, n: u32) {
        with_kind!(self, kind => {
            let now = kind.now(ns);
            table.apply(kind, key, now, &Refund { kind, units, n });
            elsewhere(kind, table, key, now, |place| kind.forget(place, now, n));
        });
    }

    #[allow(clippy::too_many_arguments)] // A receipt, field by field.
    /// `charge`: how much, the state that it put, and when.
    pub(super) fn undo(&self, table: &Table, key: KeyHash, ns: u64, units: &Units, charge: (u32, u64, u64)) {
        let (n, own, charged_ns) = charge;
        with_kind!(self, kind => {
            let (now, at) = (kind.now(ns), kind.now(charged_ns));
            table.apply(kind, key, now, &Undo { kind, units, charge: Charge { n, own, at } });
            elsewhere(kind, table, key, now, |place| kind.unclaim(place, at, n));
        });
    }

    pub(super) fn penalize(&self, table: &Table, key: KeyHash, ns: u64, wait_ns: u64) -> bool {
        let end_ns = ns.saturating_add(wait_ns.min(LONGEST_PENALTY_NS));
        with_kind!(self, kind => table.apply(kind, key, kind.now(ns), &Penalize { kind, end_ns }))
    }

    pub(super) fn is_penalised(&self, table: &Table, key: KeyHash, ns: u64) -> bool {
        with_kind!(self, kind => {
            let found = table.apply(kind, key, kind.now(ns), &Locate);
            found.is_some_and(|(_, state)| kind.penalties().left(state, kind.now(ns)).is_some())
        })
    }

    pub(super) fn reset(&self, table: &Table, key: KeyHash, ns: u64) {
        with_kind!(self, kind => table.apply(kind, key, kind.now(ns), &Reset { kind }));
    }

    pub(super) fn clear(&self, table: &Table, ns: u64) {
        with_kind!(self, kind => table.clear(kind, kind.now(ns)));
    }

    pub(super) fn hit(&self, table: &Table, key: KeyHash, ns: u64, units: &Units, n: u32) -> Option<Hits> {
        match self {
            Self::Fixed(kind) => Some(table.apply(kind, key, kind.now(ns), &Hit { kind, units, n })),
            _ => None,
        }
    }

    pub(super) fn windows(&self, table: &Table, key: KeyHash, ns: u64) -> Option<Windows> {
        match self {
            Self::Sliding(kind) => Some(table.apply(kind, key, kind.now(ns), &Both { kind })),
            _ => None,
        }
    }

    pub(super) fn len(&self, table: &Table, ns: u64) -> usize {
        with_kind!(self, kind => table.len(kind, kind.now(ns)))
    }

    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Log(kind) => kind.memory(),
            _ => 0,
        }
    }
}

/// Does `then` at the key's own place, where there is more to a key than its state. A live key keeps its place.
fn elsewhere<K: Kind>(kind: &K, table: &Table, key: KeyHash, now: Now, then: impl Fn(super::kind::Place)) {
    if K::ELSEWHERE
        && let Some((place, state)) = table.apply(kind, key, now, &Locate)
        && kind.penalties().left(state, now).is_none()
    {
        then(place);
    }
}

/// Counts whatever the limit.
struct Hit<'a> {
    kind: &'a Fixed,
    units: &'a Units,
    n: u32,
}

impl Op for Hit<'_> {
    type Answer = Hits;

    fn give_up(&self) -> Hits {
        Hits { count: self.kind.most_hits(), reset_after_ns: 0 }
    }

    fn judge(&self, _spot: Spot, state: u64, now: Now) -> Step<Hits> {
        let (state, count, reset_after_ns) = self.kind.hit(self.units, state, now, self.n);
        let answer = Hits { count, reset_after_ns };
        if self.n == 0 { Step::Keep(answer) } else { Step::Put(state, answer) }
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

fn within(limit: u32, most: u32, algorithm: Algorithm) -> Result<(), ConfigError> {
    if limit <= most {
        return Ok(());
    }
    Err(BURST.outside_of(limit.into(), most.into(), &format!(": this {algorithm} can count no more")))
}

fn one_period(quota: &Quota, period: u64) -> Result<(), ConfigError> {
    if period_ns(quota) == period {
        return Ok(());
    }
    let message = format!("{} is not {}, which all quotas of this limiter share", time(period_ns(quota)), time(period));
    Err(PERIOD.error(ConfigErrorKind::Conflict, message))
}
