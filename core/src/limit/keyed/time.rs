//! A table's own time: ticks of a power of two of a nanosecond, kept modulo what a cell has room for.
//!
//! Ticks are compared by their difference, so that they may wrap.

/// A moment, read once per decision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Nanoseconds since the epoch.
    pub(super) ns: u64,
    /// The last tick (or window) that has begun.
    pub(super) tick: u64,
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

    /// The tick that `ns` falls into, which may be years from `now`: so far away that ticks would come round, one far away on
    /// the same side.
    pub(super) fn near(self, ns: u64, now: Now) -> u64 {
        const FAR: i128 = 1 << 62;
        let away = i128::from(ns) - i128::from(now.ns);
        if self.shift < 0 {
            let ticks = (away << self.shift.unsigned_abs()).clamp(-FAR, FAR);
            now.tick.wrapping_add(ticks as u64)
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
    fn waiting_as_long_as_told_reaches_the_tick_and_no_longer() {
        for shift in [-11, -1, 0, 4, 20] {
            let ticks = Ticks::new(shift);
            for ns in [0, 1, 1_000_003, 1 << 40] {
                let now = Now { ns, tick: ticks.at(ns) };
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
