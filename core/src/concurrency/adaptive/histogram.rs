//! Latencies as counts in log-spaced words: eight an octave from 1,024 ns (1 µs) to 2^40 ns (1,100 s). What is shorter
//! or longer is in the first or the last.

use crate::ConfigError;
use crate::memory::{ObjectAllocator, SharedSlice};
use crate::sync::{AtomicU64, Ordering};

/// Words an octave, as a power of two.
const STEPS: u32 = 3;
const FIRST_OCTAVE: u32 = 10;
#[cfg(not(loom))]
const OCTAVES: u32 = 30;
/// A model looks at each access.
#[cfg(loom)]
const OCTAVES: u32 = 1;
const WORDS: usize = (OCTAVES as usize) << STEPS;

#[derive(Debug)]
pub(super) struct Histogram(SharedSlice<AtomicU64>);

/// Counts taken out of it.
#[derive(Clone, Debug)]
pub(super) struct Counts([u64; WORDS]);

/// Which word a latency is counted in.
fn word_of(ns: u64) -> usize {
    let octave = ns.checked_ilog2().unwrap_or(0);
    if octave < FIRST_OCTAVE {
        return 0;
    }
    let step = (ns >> (octave - STEPS)) as usize & ((1 << STEPS) - 1);
    (((octave - FIRST_OCTAVE) as usize) << STEPS | step).min(WORDS - 1)
}

/// From where a word counts, ns.
fn start_of(word: usize) -> f64 {
    let (octave, step) = (word as u32 >> STEPS, word & ((1 << STEPS) - 1));
    f64::from(1_u32 << STEPS | step as u32) * 2_f64.powi((octave + FIRST_OCTAVE - STEPS) as i32)
}

impl Histogram {
    /// The next part of `room`.
    pub(super) fn in_room(room: &mut ObjectAllocator) -> Result<Self, ConfigError> {
        Ok(Self(room.cells(WORDS)?))
    }

    #[inline]
    pub(super) fn add(&self, ns: u64, weight: u64) {
        if let Some(word) = self.0.get(word_of(ns)) {
            // Relaxed: each count stands for itself, and is taken out by one exchange.
            word.fetch_add(weight, Ordering::Relaxed);
        }
    }

    /// Takes all counts out: what is added meanwhile is in these or in the next, once.
    pub(super) fn take(&self) -> Counts {
        let mut counts = [0; WORDS];
        for (count, word) in counts.iter_mut().zip(self.0.iter()) {
            // Relaxed, both: as above.
            if word.load(Ordering::Relaxed) != 0 {
                *count = word.swap(0, Ordering::Relaxed);
            }
        }
        Counts(counts)
    }
}

impl Counts {
    pub(super) fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum: u64, &count| sum.saturating_add(count))
    }

    /// The upper median, ns, by its place among those of its word; 0 of nothing.
    pub(super) fn median(&self) -> f64 {
        let mut before = 0;
        let rank = self.total() / 2;
        for (word, &count) in self.0.iter().enumerate() {
            if rank - before < count {
                let (from, to) = (start_of(word), start_of(word + 1));
                return from + (to - from) * ((rank - before) as f64 + 0.5) / count as f64;
            }
            before += count;
        }
        0.0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_latency_is_within_its_word() {
        for ns in (0..63).flat_map(|bit| [1_u64 << bit, (1 << bit) + (1 << bit) / 3, (2 << bit) - 1]) {
            let word = word_of(ns);
            if (1_024..1 << 40).contains(&ns) {
                assert!(start_of(word) <= ns as f64 && (ns as f64) < start_of(word + 1), "{ns} in {word}");
            } else {
                assert_eq!(word, if ns < 1_024 { 0 } else { WORDS - 1 }, "{ns}");
            }
        }
        assert_eq!((WORDS, start_of(0), start_of(WORDS)), (240, 1_024.0, (1_u64 << 40) as f64));
    }

    #[test]
    fn the_median_is_within_an_eighth() {
        let histogram = Histogram::in_room(&mut ObjectAllocator::of_process(false)).unwrap();
        let mut latencies: Vec<u64> = (1..=101).map(|i| i * i * 10_000).collect();
        latencies.iter().for_each(|&ns| histogram.add(ns, 1));
        latencies.sort_unstable();
        let (counts, exact) = (histogram.take(), latencies[50] as f64);
        assert_eq!((counts.total(), histogram.take().total()), (101, 0));
        assert!((counts.median() - exact).abs() < exact / 8.0, "{} for {exact}", counts.median());
        assert_eq!(histogram.take().median(), 0.0);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn loom_a_sample_is_in_one_window() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(|| {
            let histogram = Arc::new(Histogram::in_room(&mut ObjectAllocator::of_process(false)).unwrap());
            let other = thread::spawn({
                let histogram = histogram.clone();
                move || {
                    histogram.add(0, 1);
                    histogram.take().total()
                }
            });
            histogram.add(0, 1);
            let here = histogram.take().total();
            let there = other.join().unwrap();
            assert_eq!(here + there + histogram.take().total(), 2);
        });
    }
}
