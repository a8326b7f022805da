//! Partitions of a limit: their names, their shares, and which come first.

use crate::error::shortened;
use crate::{ConfigError, ConfigErrorKind};
use std::fmt;

/// The most partitions of one limit: a permit's word has four bits for the number of its own.
pub(super) const MOST: usize = 8;
/// Bytes of a name.
pub(super) const NAME_BYTES: usize = 32;
/// Shares are kept in parts of a whole.
const WHOLE: u32 = 1_000_000_000;

/// Where a call belongs: a partition of the [`ConcurrencyLimiter`](super::ConcurrencyLimiter) that
/// [named](super::ConcurrencyLimiter::partition) it. By default to none: such a call has no guaranteed share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Partition(u8);

impl Partition {
    /// Its place in the order of declaration, from 1; 0 without one. [`numbered`] leads back.
    ///
    /// [`numbered`]: super::ConcurrencyLimiter::partition_numbered
    pub fn number(self) -> u32 {
        self.0.into()
    }

    #[inline(always)]
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    pub(super) fn numbered(number: usize) -> Self {
        Self(if number <= MOST { number as u8 } else { 0 })
    }
}

/// One partition as it was declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Declared {
    name: [u8; NAME_BYTES],
    /// Bytes of the name; 0: not known here.
    length: u8,
    /// In parts of `WHOLE`.
    share: u32,
    /// 0 comes first.
    rank: u8,
}

impl Declared {
    fn name(&self) -> &str {
        let bytes = self.name.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or("?")
    }
}

/// The shares of a limit that its partitions are guaranteed, and who may starve whom; see
/// [`ConcurrencyConfig::partitions`](super::ConcurrencyConfig::partitions).
///
/// A partition is guaranteed `share × limit` places, rounded down, whatever the limit is at the moment. What a
/// partition leaves unused is lent to whoever asks, and called back when a call within the guarantee is refused: from
/// then on what becomes free is kept for it. What nobody is guaranteed goes to who comes first; with a
/// [priority](Self::with_priority) to the partitions that come first in it.
///
/// ```
/// use tidegate::concurrency::{ConcurrencyConfig, Partitions};
/// use tidegate::{Clock, ConcurrencyLimiter};
///
/// let partitions = Partitions::new([("live", 0.9), ("batch", 0.1)])?;
/// let config = ConcurrencyConfig { partitions, ..ConcurrencyConfig::new(10) };
/// let service = ConcurrencyLimiter::with_config(config, Clock::monotonic())?;
/// let [live, batch] = [service.partition("live")?, service.partition("batch")?];
///
/// // Batch has all ten while nobody else is there.
/// let mut lent: Vec<_> = (0..10).filter_map(|_| service.try_enter_in(batch)).collect();
/// assert_eq!(lent.len(), 10);
/// // Live is refused once; what is given back after that is live's.
/// assert!(service.try_enter_in(live).is_none());
/// lent.pop();
/// assert!(service.try_enter_in(batch).is_none());
/// assert!(service.try_enter_in(live).is_some());
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Partitions {
    count: u8,
    /// How many have a rank of their own; the others, and calls without a partition, share the one behind.
    ranked: u8,
    declared: [Declared; MOST],
}

const PARTITIONS: &str = "partitions";
const PRIORITY: &str = "priority";

impl Partitions {
    /// The most of one limit.
    pub const MOST: usize = MOST;
    /// The most bytes of a name.
    pub const NAME_BYTES: usize = NAME_BYTES;
    /// None: a plain limit.
    pub const NONE: Self = Self {
        count: 0,
        ranked: 0,
        declared: [Declared { name: [0; NAME_BYTES], length: 0, share: 0, rank: 0 }; MOST],
    };

    /// These, each with its share of the limit: above 0 and at most 1, and no more than 1 together.
    ///
    /// Errors: a share outside its range, or all of them above 1 together; a name that is empty, longer than 32 bytes
    /// or there twice; more than eight.
    pub fn new<N: AsRef<str>>(shares: impl IntoIterator<Item = (N, f64)>) -> Result<Self, ConfigError> {
        let (mut all, mut sum) = (Self::NONE, 0.0);
        for (name, share) in shares {
            let name = name.as_ref();
            if name.is_empty() || name.len() > NAME_BYTES {
                let message =
                    format!("the name {:?} has {} bytes; 1 to {NAME_BYTES} are allowed", shortened(name), name.len());
                return Err(ConfigError::out_of_range(PARTITIONS, message));
            }
            if !(share > 0.0 && share <= 1.0) {
                let message = format!(
                    "the share of {name:?} is {share}; it is above 0 and at most 1, a part of the limit (calls \
                     without a partition need none)"
                );
                return Err(ConfigError::out_of_range(PARTITIONS, message));
            }
            if all.names().any(|other| other == name) {
                let message = format!("{name:?} is there twice; give each partition a name of its own");
                return Err(ConfigError::new(ConfigErrorKind::Conflict, PARTITIONS, message));
            }
            let Some(free) = all.declared.get_mut(usize::from(all.count)) else {
                let message = format!("more than {MOST}; put some of them together");
                return Err(ConfigError::out_of_range(PARTITIONS, message));
            };
            free.name[..name.len()].copy_from_slice(name.as_bytes());
            free.length = name.len() as u8;
            free.share = ((share * f64::from(WHOLE)).round() as u32).max(1);
            all.count += 1;
            sum += share;
        }
        // Sums of fractions like 0.1 are off by a little.
        if sum > 1.0 + 1e-9 {
            let message = format!("the shares are {sum} together; lower some of them, they are parts of one limit");
            return Err(ConfigError::new(ConfigErrorKind::Conflict, PARTITIONS, message));
        }
        Ok(all)
    }

    /// The same with an order: who comes first may starve those behind it, and those that are not named, and calls
    /// without a partition, of all but their guaranteed shares.
    ///
    /// Errors: a name that is none of the partitions, or there twice.
    pub fn with_priority<N: AsRef<str>>(
        mut self,
        first_to_last: impl IntoIterator<Item = N>,
    ) -> Result<Self, ConfigError> {
        let mut order: Vec<usize> = Vec::new();
        for name in first_to_last {
            let name = name.as_ref();
            let Some(index) = self.names().position(|other| other == name) else {
                return Err(ConfigError::out_of_range(PRIORITY, self.none_of(name)));
            };
            if order.contains(&index) {
                let message = format!("{name:?} is there twice; each partition has one place in the order");
                return Err(ConfigError::new(ConfigErrorKind::Conflict, PRIORITY, message));
            }
            order.push(index);
        }
        self.ranked = order.len() as u8;
        for (index, part) in self.declared.iter_mut().take(self.count.into()).enumerate() {
            part.rank = order.iter().position(|&ranked| ranked == index).unwrap_or(order.len()) as u8;
        }
        Ok(self)
    }

    fn none_of(&self, name: &str) -> String {
        let names: Vec<String> = self.names().map(|name| format!("{name:?}")).collect();
        match names.is_empty() {
            true => format!("{name:?} is none: the limit was made without partitions"),
            false => format!("{name:?} is none of {}", names.join(", ")),
        }
    }

    pub(super) fn find(&self, name: &str) -> Result<Partition, ConfigError> {
        let found = self.names().position(|other| other == name);
        let found = found.ok_or_else(|| ConfigError::out_of_range("partition", self.none_of(name)))?;
        Ok(Partition::numbered(found + 1))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn all(&self) -> &[Declared] {
        self.declared.get(..self.len()).unwrap_or_default()
    }

    /// Their names, in the order in which they were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all().iter().map(Declared::name)
    }

    /// Names and shares.
    pub fn shares(&self) -> impl Iterator<Item = (&str, f64)> {
        self.all().iter().map(|part| (part.name(), f64::from(part.share) / f64::from(WHOLE)))
    }

    /// Those of the priority, the first first.
    pub fn priority(&self) -> impl Iterator<Item = &str> {
        let of_rank = |rank| self.all().iter().find(move |part| part.rank == rank).map(Declared::name);
        (0..self.ranked).filter_map(of_rank)
    }

    /// By number of partition, 0 without one: the rank.
    pub(super) fn rank(&self, partition: Partition) -> usize {
        let own = partition.index().checked_sub(1).and_then(|index| self.all().get(index));
        own.map_or(self.ranked, |part| part.rank).into()
    }

    /// Shares and ranks as words that processes share: two shares a word, then four bits a rank, the last of them of
    /// calls without a partition.
    pub(super) fn to_words(self) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        for (index, part) in self.declared.iter().enumerate() {
            words[index / 2] |= u64::from(part.share) << (32 * (index % 2));
            words[RANKS] |= u64::from(part.rank & 15) << (4 * index);
        }
        words[RANKS] |= u64::from(self.ranked & 15) << (4 * MOST);
        words
    }

    /// As [`to_words`](Self::to_words) wrote them, for who looks inside: names are not known then.
    pub(super) fn of_words(count: u64, words: [u64; WORDS]) -> Self {
        let mut all = Self { count: count.min(MOST as u64) as u8, ..Self::NONE };
        for (index, part) in all.declared.iter_mut().enumerate().take(all.count.into()) {
            part.share = share_in(&words, index);
            part.rank = rank_in(words[RANKS], index);
        }
        all.ranked = rank_in(words[RANKS], MOST);
        all
    }

    /// Names as words that processes share.
    pub(super) fn name_words(&self) -> [u64; NAME_WORDS] {
        let mut words = [0; NAME_WORDS];
        for (part, own) in self.declared.iter().zip(words.chunks_exact_mut(NAME_BYTES / 8)) {
            for (word, bytes) in own.iter_mut().zip(part.name.chunks_exact(8)) {
                *word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
            }
        }
        words
    }

    /// Fills in the names that are not known here.
    pub(super) fn named(mut self, words: [u64; NAME_WORDS]) -> Self {
        for (part, own) in self.declared.iter_mut().zip(words.chunks_exact(NAME_BYTES / 8)) {
            if part.length == 0 {
                let bytes = own.iter().flat_map(|word| word.to_le_bytes());
                part.name.iter_mut().zip(bytes).for_each(|(byte, read)| *byte = read);
                part.length = part.name.iter().position(|&byte| byte == 0).unwrap_or(NAME_BYTES) as u8;
            }
        }
        self
    }
}

impl fmt::Debug for Partitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shares()).finish()
    }
}

/// Words of shares and ranks.
pub(super) const WORDS: usize = MOST / 2 + 1;
pub(super) const RANKS: usize = MOST / 2;
pub(super) const NAME_WORDS: usize = MOST * NAME_BYTES / 8;

pub(super) fn share_in(words: &[u64; WORDS], index: usize) -> u32 {
    (words[(index / 2).min(RANKS - 1)] >> (32 * (index % 2))) as u32
}

pub(super) fn rank_in(word: u64, index: usize) -> u8 {
    (word >> (4 * index.min(MOST)) & 15) as u8
}

/// The places that a share of `limit` is. A share that is no fraction of `WHOLE`, like a third, is off by less than a
/// part; all together are not more than the limit for that.
pub(super) fn guaranteed(share: u32, limit: u32) -> u32 {
    if share == 0 {
        return 0;
    }
    let places = (u64::from(share) + 1) * u64::from(limit) / u64::from(WHOLE);
    places.min(limit.into()) as u32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn shares_are_parts_of_the_limit_rounded_down() {
        let places = |shares: &[f64], limit| -> Vec<u32> {
            let names = (0..shares.len()).map(|i| i.to_string());
            let all = Partitions::new(names.zip(shares.iter().copied())).unwrap();
            all.all().iter().map(|part| guaranteed(part.share, limit)).collect()
        };
        assert_eq!(places(&[0.9, 0.1], 10), [9, 1]);
        assert_eq!(places(&[0.9, 0.1], 9), [8, 0]);
        assert_eq!(places(&[0.29], 100), [29]);
        assert_eq!(places(&[1.0 / 3.0; 3], 3), [1; 3]);
        assert_eq!(places(&[1.0 / 7.0; 7], 4_095), [585; 7]);
        assert_eq!(places(&[1.0 / 6.0; 6], 4_096), [682; 6]);
        assert_eq!(places(&[1.0], 4_096), [4_096]);
        assert_eq!(places(&[1e-300, 1.0], 4_096), [0, 4_096]);
        for limit in 1..=4_096 {
            for count in 1..=MOST {
                assert!(places(&vec![1.0 / count as f64; count], limit).iter().sum::<u32>() <= limit);
            }
        }
    }

    #[test]
    fn what_processes_share_is_what_was_declared() {
        let name = "é".repeat(16);
        let all = Partitions::new([("live", 0.6), ("b", 0.25), (&name, 0.1)]).unwrap().with_priority(["b"]).unwrap();
        let read = Partitions::of_words(3, all.to_words()).named(all.name_words());
        assert_eq!(read, all);
        assert_eq!(all.priority().collect::<Vec<_>>(), ["b"]);
        assert_eq!((0..4).map(|number| all.rank(Partition::numbered(number))).collect::<Vec<_>>(), [1, 1, 0, 1]);
        // Whatever stands there.
        let spoilt = Partitions::of_words(u64::MAX, [u64::MAX; WORDS]).named([u64::MAX; NAME_WORDS]);
        assert_eq!((spoilt.len(), spoilt.names().next()), (MOST, Some("?")));
        assert!(spoilt.all().iter().all(|part| guaranteed(part.share, 10) <= 10));
    }
}
