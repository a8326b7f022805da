//! The threshold: a word that decisions read, and where a step moves it.
//!
//! `expires:40 | shift:4 | threshold:20`. The threshold counts places from the first to be shed, in parts of a level,
//! so that a class in which all are of one level is shed by degrees too. It holds until a millisecond: without somebody
//! who samples nobody is refused any more. `shift` says how seldom calls look at the clock while nobody is refused.

use super::levels::{CALL, Seen};
use super::priority::{LEVELS, PLACES};

/// Parts of a level.
pub(super) const UNIT: u64 = 1024;
const THRESHOLD_BITS: u32 = 20;
const SHIFT_BITS: u32 = 4;
const EXPIRES_BITS: u32 = 40;
/// Each 64th call at most.
const MOST_SHIFT: u32 = 6;
/// So many calls of an interval look at least.
const LOOKS: u64 = 256;
/// Of fewer calls than these not much is known: levels of which none was seen may be asked for all the same.
const FEW: u128 = 20 * CALL as u128 * UNIT as u128;
/// Everything.
pub(super) const TOP: u64 = PLACES as u64 * UNIT;
/// Everything but what is critical.
pub(super) const CRITICAL: u64 = TOP - LEVELS as u64 * UNIT;

/// The word unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) threshold: u64,
    pub(super) shift: u32,
    pub(super) expires_ms: u64,
}

impl Word {
    #[inline]
    pub(super) fn unpack(word: u64) -> Self {
        Self {
            threshold: (word & ((1 << THRESHOLD_BITS) - 1)).min(TOP),
            shift: (word >> THRESHOLD_BITS) as u32 & ((1 << SHIFT_BITS) - 1),
            expires_ms: word >> (THRESHOLD_BITS + SHIFT_BITS),
        }
    }

    pub(super) fn pack(self) -> u64 {
        let expires = self.expires_ms & ((1 << EXPIRES_BITS) - 1);
        expires << (THRESHOLD_BITS + SHIFT_BITS) | u64::from(self.shift) << THRESHOLD_BITS | self.threshold
    }

    /// Whether nobody is refused, whatever the time.
    #[inline]
    pub(super) fn is_open(word: u64) -> bool {
        word & ((1 << THRESHOLD_BITS) - 1) == 0
    }

    /// Of how many calls of a thread one looks at the clock, less one: a mask, while nobody is refused. Also of foreign
    /// bytes it has no more than fifteen bits.
    #[inline]
    pub(super) fn mask(word: u64) -> u64 {
        !(u64::MAX << ((word >> THRESHOLD_BITS) & ((1 << SHIFT_BITS) - 1)))
    }

    /// The threshold as of `now_ms`: 0 where nobody has sampled for `lasts_ms`, or a clock that stepped back put it too
    /// far ahead.
    #[inline]
    pub(super) fn in_force(self, now_ms: u64, lasts_ms: u64) -> u64 {
        if self.left_ms(now_ms, lasts_ms).is_some() { self.threshold } else { 0 }
    }

    /// How long ago the step was; `None` where it is no longer in force.
    pub(super) fn age_ms(self, now_ms: u64, lasts_ms: u64) -> Option<u64> {
        self.left_ms(now_ms, lasts_ms).map(|left| lasts_ms.saturating_sub(left))
    }

    #[inline]
    fn left_ms(self, now_ms: u64, lasts_ms: u64) -> Option<u64> {
        let left = self.expires_ms.wrapping_sub(now_ms) & ((1 << EXPIRES_BITS) - 1);
        // One that is past wraps to a span of years.
        (left != 0 && left <= lasts_ms.saturating_mul(2)).then_some(left)
    }

    /// How seldom calls may look, when there were so many in an interval.
    pub(super) fn shift_for(calls: u64) -> u32 {
        (calls / LOOKS).checked_ilog2().unwrap_or(0).min(MOST_SHIFT)
    }
}

/// Which part of a place's calls the threshold sheds, in [`UNIT`]s.
#[inline]
pub(super) fn shed_at(threshold: u64, place: usize) -> u64 {
    threshold.saturating_sub(place as u64 * UNIT).min(UNIT)
}

/// Calls that pass, times [`UNIT`].
fn passing(seen: &Seen, threshold: u64) -> u128 {
    let one = |(place, count): (usize, &u64)| u128::from(*count) * u128::from(UNIT - shed_at(threshold, place));
    seen.iter().enumerate().map(one).sum()
}

fn all(seen: &Seen) -> u128 {
    seen.iter().map(|count| u128::from(*count)).sum::<u128>() * u128::from(UNIT)
}

/// Which part of the calls is shed.
pub(super) fn share(seen: &Seen, threshold: u64) -> f64 {
    let all = all(seen);
    if all == 0 { threshold as f64 / TOP as f64 } else { 1.0 - passing(seen, threshold) as f64 / all as f64 }
}

/// `part` of `whole`, to a millionth.
fn part_of(part: f64, whole: u128) -> u128 {
    whole * (part * 1e6).round() as u128 / 1_000_000
}

/// That part of all levels.
fn stride(part: f64) -> u64 {
    (part * TOP as f64).ceil() as u64
}

/// Up until a part `rise` of those that pass would not have; not above `most`. Where few were seen by no larger a part
/// of the levels.
pub(super) fn risen(seen: &Seen, threshold: u64, rise: f64, most: u64) -> u64 {
    let passing = passing(seen, threshold);
    let most = if all(seen) < FEW { most.min(threshold.saturating_add(stride(rise))) } else { most };
    let mut excess = part_of(rise, passing);
    if excess == 0 {
        // Nobody passes: there is nothing to be had.
        return threshold.min(most);
    }
    let mut at = threshold;
    while at < most {
        let (place, within) = ((at / UNIT) as usize, at % UNIT);
        let count = u128::from(seen[place]);
        let rest = u128::from(UNIT - within) * count;
        if rest >= excess {
            // A part of this level is enough: rounded up, so that each step is one.
            return (at + excess.div_ceil(count) as u64).min(most);
        }
        excess -= rest;
        at += UNIT - within;
    }
    most
}

/// Down until a part `fall` of all more would have passed. Where few were seen by no larger a part of the levels.
pub(super) fn fallen(seen: &Seen, threshold: u64, fall: f64) -> u64 {
    let all = all(seen);
    let mut more = part_of(fall, all);
    let least = if all < FEW { threshold.saturating_sub(stride(fall)) } else { 0 };
    let mut at = threshold;
    while at > least {
        let place = ((at - 1) / UNIT) as usize;
        let within = at - place as u64 * UNIT;
        let count = u128::from(seen[place]);
        let rest = u128::from(within) * count;
        if count > 0 && rest >= more {
            return (at - more.div_ceil(count).max(1) as u64).max(least);
        }
        more = more.saturating_sub(rest);
        at -= within;
    }
    least
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn seen(counts: &[(usize, u64)]) -> Seen {
        let mut seen = [0; PLACES];
        counts.iter().for_each(|&(place, count)| seen[place] = count);
        seen
    }

    #[test]
    fn rises_until_a_twentieth_fewer_pass_and_falls_until_a_fiftieth_more() {
        let even = seen(&(0..PLACES).map(|place| (place, 100)).collect::<Vec<_>>());
        let once = risen(&even, 0, 0.05, TOP);
        assert_eq!(once, (0.05 * TOP as f64).ceil() as u64);
        let twice = risen(&even, once, 0.05, TOP);
        assert!((twice as f64 / TOP as f64 - (1.0 - 0.95 * 0.95)).abs() < 1e-4, "{twice}");
        assert!((share(&even, twice) - (1.0 - 0.95 * 0.95)).abs() < 1e-4);
        let down = fallen(&even, twice, 0.02);
        assert!((((twice - down) as f64) / TOP as f64 - 0.02).abs() < 1e-4, "{down}");
        assert_eq!(fallen(&even, 10, 0.02), 0);
    }

    #[test]
    fn one_level_is_shed_by_parts() {
        // Only `normal`, all of level 0.
        let one = seen(&[(255, 1_000)]);
        let once = risen(&one, 0, 0.05, CRITICAL);
        assert_eq!(once, 255 * UNIT + 52);
        assert_eq!((shed_at(once, 255), shed_at(once, 254), shed_at(once, 256)), (52, UNIT, 0));
        let many = (0..200).fold(0, |at, _| risen(&one, at, 0.05, CRITICAL));
        assert_eq!(many, 256 * UNIT, "and no higher than what was seen");
        assert_eq!(fallen(&one, many, 0.02), 256 * UNIT - 21);
        assert_eq!(fallen(&one, 255 * UNIT, 0.02), 0);
    }

    #[test]
    fn nobody_came() {
        let none = seen(&[]);
        assert_eq!(risen(&none, 5, 0.05, TOP), 5);
        assert_eq!(fallen(&none, TOP, 0.5), TOP / 2);
        assert_eq!(fallen(&none, 1, 0.5), 0);
    }

    #[test]
    fn a_few_calls_say_little_of_the_others() {
        let few = seen(&[(PLACES - 1, 19 * CALL)]);
        let stride = (0.05 * TOP as f64).ceil() as u64;
        assert_eq!((risen(&few, 0, 0.05, CRITICAL), risen(&few, 7, 0.05, 9)), (stride, 9));
        assert_eq!(fallen(&few, CRITICAL, 0.05), CRITICAL - stride);
        let more = seen(&[(PLACES - 1, 20 * CALL)]);
        assert_eq!((risen(&more, 0, 0.05, CRITICAL), fallen(&more, CRITICAL, 0.05)), (CRITICAL, 0));
    }

    #[test]
    fn never_above_the_most() {
        let critical = seen(&[(PLACES - 1, 1_000)]);
        assert_eq!(risen(&critical, 0, 0.05, CRITICAL), CRITICAL);
        assert!(risen(&critical, 0, 0.05, TOP) > CRITICAL);
        assert_eq!(risen(&critical, TOP, 0.05, CRITICAL), CRITICAL);
    }

    #[test]
    fn a_word_expires_and_any_bytes_are_one() {
        let word = Word { threshold: TOP, shift: 3, expires_ms: 2_000 };
        assert_eq!(Word::unpack(word.pack()), word);
        let force = |now| word.in_force(now, 2_000);
        assert_eq!([force(0), force(1_999), force(2_000), force(9_999_999)], [TOP, TOP, 0, 0]);
        assert_eq!(Word { expires_ms: 4_001, ..word }.in_force(0, 2_000), 0, "too far ahead");
        let any = Word::unpack(u64::MAX);
        assert!(any.threshold <= TOP && Word::mask(u64::MAX) < 1 << 15);
        assert_eq!([0, 1, 6].map(|shift| Word::mask(Word { shift, ..word }.pack())), [0, 1, 63]);
        assert_eq!([0, 511, 512, 1 << 20, u64::MAX].map(Word::shift_for), [0, 0, 1, 6, 6]);
    }
}
