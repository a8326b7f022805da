//! A table's own time: ticks of a power of two of a nanosecond, kept modulo what a cell has room for.
//!
//! Ticks are compared by their difference, so that they may wrap.

pub(super) use crate::limit::present::Present;

/// A moment, read once per decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Nanoseconds since the epoch.
    pub(super) ns: u64,
    /// The last tick (or window) that has begun.
    pub(super) tick: u64,
    /// The tick next to which the bits of a state are read: one of the epoch that the state's line is in. For who comes
    /// in that epoch it is the reading itself; for who comes late the states are ahead, and read next to the reading
    /// they would be taken for past.
    pub(super) near: u64,
    /// The latest moment that the table knows of, where it had to look; 0 where it had not.
    pub(super) latest_ns: u64,
}

impl Now {
    /// Read next to itself.
    #[inline]
    pub(super) fn new(ns: u64, tick: u64) -> Self {
        Self { ns, tick, near: tick, latest_ns: 0 }
    }
}

/// Whether `a` comes after `b`.
#[inline]
pub(super) fn later(a: u64, b: u64) -> bool {
    a.wrapping_sub(b) as i64 > 0
}

/// The later of two ticks.
#[inline]
pub(super) fn latest(a: u64, b: u64) -> u64 {
    if later(a, b) { a } else { b }
}

/// The tick next to `near` whose low `bits` are `low`.
#[inline]
pub(super) fn unwrap(low: u64, bits: u32, near: u64) -> u64 {
    let away = low.wrapping_sub(near) << (64 - bits);
    near.wrapping_add((away as i64 >> (64 - bits)) as u64)
}

/// The tick from `from` on whose low `bits` are `low`.
#[inline]
pub(super) fn unwrap_from(low: u64, bits: u32, from: u64) -> u64 {
    from.wrapping_add(low.wrapping_sub(from) & ((1 << bits) - 1))
}

/// A stretch of ticks in which a line is swept once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    /// Its first tick.
    pub(super) start: u64,
    bits: u32,
}

impl Epoch {
    /// That of a tick: 2^`bits` ticks long.
    #[inline]
    pub(super) fn of(tick: u64, bits: u32) -> Self {
        Self { start: tick >> bits << bits, bits }
    }

    /// The [`number`](Self::number) of [`of`](Self::of), without the rest.
    #[inline]
    pub(super) fn number_at(tick: u64, bits: u32) -> u16 {
        (tick >> bits) as u16
    }

    /// Its number as far as a word has room for it.
    #[inline]
    pub(super) fn number(self) -> u16 {
        (self.start >> self.bits) as u16
    }

    /// The last one of this number that is no later than this.
    pub(super) fn back_to(self, number: u16) -> Self {
        self.back(self.number().wrapping_sub(number).into())
    }

    /// The first one of this number that is no earlier than this.
    pub(super) fn ahead_to(self, number: u16) -> Self {
        let ahead = u64::from(number.wrapping_sub(self.number()));
        Self { start: self.start.wrapping_add(ahead << self.bits), ..self }
    }

    /// So many epochs before.
    pub(super) fn back(self, epochs: u64) -> Self {
        Self { start: self.start.wrapping_sub(epochs << self.bits), ..self }
    }

    /// Its last tick.
    pub(super) fn end(self) -> u64 {
        self.start.wrapping_add((1 << self.bits) - 1)
    }

    /// How many epochs it is after `other`, which it is not before.
    pub(super) fn since(self, other: Self) -> u64 {
        self.start.wrapping_sub(other.start) >> self.bits
    }
}

/// How long a tick is: 2^shift nanoseconds; below zero where a nanosecond is too coarse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticks {
    shift: i32,
}

impl Ticks {
    pub(super) fn new(shift: i32) -> Self {
        Self { shift: shift.clamp(-32, 63) }
    }

    pub(super) fn shift(self) -> i32 {
        self.shift
    }

    /// The tick that `ns` falls into.
    #[inline]
    pub(super) fn at(self, ns: u64) -> u64 {
        if self.shift >= 0 { ns >> self.shift } else { ns.wrapping_shl(self.shift.unsigned_abs()) }
    }

    /// Whether `now` lies within its tick, after its beginning.
    #[inline]
    pub(super) fn is_within(self, now: Now) -> bool {
        self.shift > 0 && now.ns & ((1 << self.shift) - 1) != 0
    }

    /// A reading down to a multiple of 2^`grain` ticks.
    pub(super) fn coarse(self, now: Now, grain: u32) -> u64 {
        let bits = (self.shift + grain as i32).clamp(0, 63);
        now.ns >> bits << bits
    }

    /// Half the nanoseconds in which ticks come round.
    pub(super) fn most_ns(self) -> u64 {
        1 << (62 + self.shift.min(0))
    }

    /// The tick that `ns` falls into, which may be years from `now_ns` in `tick`: so far away that ticks would come
    /// round, one far away on the same side.
    pub(super) fn near(self, ns: u64, now_ns: u64, tick: u64) -> u64 {
        const FAR: i128 = 1 << 62;
        let away = i128::from(ns) - i128::from(now_ns);
        if self.shift < 0 {
            let ticks = (away << self.shift.unsigned_abs()).clamp(-FAR, FAR);
            tick.wrapping_add(ticks as u64)
        } else {
            self.at(ns)
        }
    }

    /// Nanoseconds from `now` until `tick` begins, rounded up; 0 if it has.
    pub(super) fn until(self, tick: u64, now: Now) -> u64 {
        let ahead = tick.wrapping_sub(now.tick) as i64;
        if ahead <= 0 {
            return 0;
        }
        if self.shift >= 0 {
            let begun = now.ns & ((1 << self.shift) - 1);
            self.ns(ahead as u64).saturating_sub(begun)
        } else {
            self.ns(ahead as u64)
        }
    }

    /// The length of so many ticks in nanoseconds, rounded up.
    pub(super) fn ns(self, ticks: u64) -> u64 {
        if self.shift >= 0 {
            u64::try_from(u128::from(ticks) << self.shift).unwrap_or(u64::MAX)
        } else {
            ticks.div_ceil(1 << self.shift.unsigned_abs())
        }
    }

    /// The same rounded down.
    pub(super) fn whole_ns(self, ticks: u64) -> u64 {
        let shift = self.shift.unsigned_abs();
        if self.shift >= 0 { ticks.saturating_mul(1 << shift) } else { ticks >> shift }
    }

    /// Ticks in `num / den` nanoseconds, rounded up.
    pub(super) fn count(self, num: u128, den: u128) -> u64 {
        let shift = self.shift.unsigned_abs();
        let ticks = if self.shift >= 0 {
            num.div_ceil(den.saturating_mul(1 << shift))
        } else {
            num.saturating_mul(1 << shift).div_ceil(den)
        };
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_bits_are_read_next_to_now() {
        for now in [0_u64, 5, 1 << 35, (1 << 36) - 1, 1 << 36, u64::MAX - 3] {
            for away in [0_i64, 1, -1, 1 << 34, -(1 << 34)] {
                let tick = now.wrapping_add(away as u64);
                assert_eq!(unwrap(tick & ((1 << 36) - 1), 36, now), tick, "{now} {away}");
            }
        }
    }

    #[test]
    fn low_bits_are_read_from_a_tick_on() {
        for from in [0_u64, 5, (1 << 36) - 1, u64::MAX - 3] {
            for ahead in [0_u64, 1, 1 << 35, (1 << 36) - 1] {
                let tick = from.wrapping_add(ahead);
                assert_eq!(unwrap_from(tick & ((1 << 36) - 1), 36, from), tick, "{from} {ahead}");
            }
        }
    }

    #[test]
    fn an_epoch_is_known_by_its_number_next_to_a_later_one() {
        let latest = Epoch::of(70_000 << 4 | 3, 4);
        for back in [0_u64, 1, 65_535] {
            let epoch = latest.back(back);
            assert_eq!((latest.back_to(epoch.number()), latest.since(epoch)), (epoch, back));
            assert_eq!(epoch.end() - epoch.start, 15);
        }
    }

    #[test]
    fn waiting_as_long_as_told_reaches_the_tick_and_no_longer() {
        for shift in [-11, -1, 0, 4, 20] {
            let ticks = Ticks::new(shift);
            for ns in [0, 1, 1_000_003, 1 << 40] {
                let now = Now::new(ns, ticks.at(ns));
                for ahead in [1, 2, 16_384] {
                    let tick = now.tick + ahead;
                    let wait = ticks.until(tick, now);
                    assert!(ticks.at(ns + wait) >= tick);
                    assert!(ticks.at(ns + wait - 1) < tick);
                }
            }
        }
    }
}
