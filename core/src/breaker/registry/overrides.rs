//! Settings of patterns that were changed at run time, for all who share the registry: a few slots in its memory.
//!
//! Read and written under the registry's lock. A writer that is killed leaves what was, or what it wrote: it fills a
//! free slot, publishes it by its number, and frees the one before; of two for a pattern the later one holds.

use super::config::RegistryConfig;
use crate::breaker::BreakerConfig;
use crate::breaker::layout::Layout;
use crate::breaker::words::{self, CONFIG_WORDS, words};
use crate::memory::{ObjectAllocator, SharedSlice};
use crate::sync::{AtomicU64, Ordering};
use crate::{ConfigError, ConfigErrorKind};

/// Patterns that all processes can be told of.
pub(super) const MOST: usize = 16;
/// Bytes of such a pattern.
pub(super) const LONGEST: usize = 64;

/// One more, so that there is a free one to write to.
const SLOTS: usize = MOST + 1;
/// In a slot: when it was written, 0 for free; when the pattern was first changed; its length; the pattern; the
/// settings.
const NUMBER: usize = 0;
const FIRST: usize = 1;
const LENGTH: usize = 2;
const PATTERN: usize = 3;
const CONFIG: usize = PATTERN + LONGEST / 8;
const SLOT_WORDS: usize = CONFIG + CONFIG_WORDS;

/// The number of the latest change, and the slots.
#[derive(Debug)]
pub(super) struct Overrides(SharedSlice<AtomicU64>);

/// What a slot holds, as far as it can be true.
struct Kept {
    number: u64,
    first: u64,
    slot: usize,
    pattern: Vec<u8>,
    config: BreakerConfig,
}

// Relaxed, all accesses: who holds the lock alone has them.
impl Overrides {
    pub(super) fn in_room(room: &mut ObjectAllocator) -> Result<Self, ConfigError> {
        room.cells(1 + SLOTS * SLOT_WORDS).map(Self)
    }

    fn word(&self, slot: usize, at: usize) -> &AtomicU64 {
        &self.0[1 + slot * SLOT_WORDS + at]
    }

    /// Changes with each change.
    pub(super) fn version(&self) -> u64 {
        self.0[0].load(Ordering::Relaxed)
    }

    /// Whatever the memory says, patterns and settings that can be, for breakers of this layout.
    fn kept(&self, slot: usize, layout: &Layout) -> Option<Kept> {
        let word = |at| self.word(slot, at).load(Ordering::Relaxed);
        let (number, first, length) = (word(NUMBER), word(FIRST), word(LENGTH));
        if number == 0 || length == 0 || length > LONGEST as u64 {
            return None;
        }
        let mut pattern: Vec<u8> = (PATTERN..CONFIG).flat_map(|at| word(at).to_le_bytes()).collect();
        pattern.truncate(length as usize);
        let config = words::config(&std::array::from_fn(|at| word(CONFIG + at)));
        (config.validate().is_ok() && layout.check(&config).is_ok()).then_some(Kept {
            number,
            first,
            slot,
            pattern,
            config,
        })
    }

    /// Of each pattern the latest, in the order in which they were first changed: of two that say as much of a key the
    /// first holds, in every process and whatever is changed again.
    fn all(&self, layout: &Layout) -> Vec<Kept> {
        let mut all: Vec<_> = (0..SLOTS).filter_map(|slot| self.kept(slot, layout)).collect();
        all.sort_by_key(|kept| std::cmp::Reverse(kept.number));
        let mut latest: Vec<Kept> = Vec::new();
        for kept in all {
            if latest.iter().all(|other| other.pattern != kept.pattern) {
                latest.push(kept);
            }
        }
        latest.sort_by_key(|kept| (kept.first, kept.number));
        latest
    }

    /// `config` with what was changed at run time.
    pub(super) fn over(&self, config: &RegistryConfig, layout: &Layout) -> RegistryConfig {
        let mut new = config.clone();
        for Kept { pattern, config, .. } in self.all(layout) {
            match new.overrides.iter_mut().find(|(other, _)| *other == pattern) {
                Some((_, known)) => *known = config,
                None => new.overrides.push((pattern, config)),
            }
        }
        new
    }

    /// Keeps settings of a pattern for all.
    ///
    /// Errors: a pattern that is too long; one too many.
    pub(super) fn keep(&self, pattern: &[u8], config: &BreakerConfig, layout: &Layout) -> Result<(), ConfigError> {
        let wrong = |message: String| Err(ConfigError::new(ConfigErrorKind::OutOfRange, "pattern", message));
        if pattern.len() > LONGEST {
            let message = format!("has {} bytes; in a shared scope at most {LONGEST} can be kept", pattern.len());
            return wrong(message);
        }
        let all = self.all(layout);
        let before = all.iter().find(|kept| kept.pattern == pattern);
        if before.is_none() && all.len() >= MOST {
            let message = format!("is one more than the {MOST} that can be changed in a shared scope; use one of them");
            return wrong(message);
        }
        // What is not in the list is free, or was left by who was killed, or is nothing that can be.
        let slot = (0..SLOTS).find(|&slot| all.iter().all(|kept| kept.slot != slot)).unwrap_or(0);
        self.word(slot, NUMBER).store(0, Ordering::Relaxed);
        let number = all.iter().map(|kept| kept.number).fold(self.version(), u64::max).wrapping_add(1).max(1);
        // First: whoever comes after one that is killed from here on looks again.
        self.0[0].store(number, Ordering::Relaxed);
        self.write(slot, pattern, config);
        self.word(slot, FIRST).store(before.map_or(number, |before| before.first), Ordering::Relaxed);
        // Release, with the stores before it: a process that is killed leaves no number without its words.
        self.word(slot, NUMBER).store(number, Ordering::Release);
        if let Some(before) = before {
            self.word(before.slot, NUMBER).store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    fn write(&self, slot: usize, pattern: &[u8], config: &BreakerConfig) {
        let mut bytes = [0; LONGEST];
        bytes[..pattern.len()].copy_from_slice(pattern);
        let (chunks, _) = bytes.as_chunks::<8>();
        let of_pattern = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk));
        self.word(slot, LENGTH).store(pattern.len() as u64, Ordering::Relaxed);
        for (at, word) in (PATTERN..).zip(of_pattern.chain(words(config))) {
            self.word(slot, at).store(word, Ordering::Relaxed);
        }
    }

    /// Forgets them all.
    pub(super) fn clear(&self) {
        self.0[0].store(self.version().wrapping_add(1), Ordering::Relaxed);
        (0..SLOTS).for_each(|slot| self.word(slot, NUMBER).store(0, Ordering::Relaxed));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    fn overrides() -> (Overrides, RegistryConfig, Layout) {
        let config = RegistryConfig::default();
        let layout = Layout::of(&config.defaults);
        (Overrides::in_room(&mut ObjectAllocator::of_process(false)).expect("memory"), config, layout)
    }

    fn with(seconds: u64) -> BreakerConfig {
        BreakerConfig { cooldown: Duration::from_secs(seconds), ..BreakerConfig::default() }
    }

    /// What is told of each pattern.
    fn told(it: &(Overrides, RegistryConfig, Layout)) -> Vec<(String, u64)> {
        let of = |(pattern, config): (Vec<u8>, BreakerConfig)| {
            (String::from_utf8_lossy(&pattern).into_owned(), config.cooldown.as_secs())
        };
        it.0.over(&it.1, &it.2).overrides.into_iter().map(of).collect()
    }

    #[test]
    fn keeps_the_latest_of_each_pattern_up_to_a_number_of_them() {
        let it = overrides();
        for round in 1..5 {
            for pattern in 0..MOST as u64 {
                it.0.keep(format!("{pattern}*").as_bytes(), &with(100 * round + pattern), &it.2).expect("room");
            }
            let mut all = told(&it);
            all.sort_by_key(|(_, seconds)| *seconds);
            let expected: Vec<_> = (0..MOST as u64).map(|it| (format!("{it}*"), 100 * round + it)).collect();
            assert_eq!(all, expected);
        }
        let error = it.0.keep(b"more", &with(1), &it.2).expect_err("one too many");
        assert!(error.field() == "pattern" && error.message().contains("16"), "{error}");
        let error = it.0.keep(&[b'a'; LONGEST + 1], &with(1), &it.2).expect_err("too long");
        assert!(error.message().contains("65 bytes"), "{error}");
        it.0.keep(b"3*", &with(9), &it.2).expect("known");
        it.0.clear();
        assert_eq!(told(&it), []);
        it.0.keep(&[b'a'; LONGEST], &with(7), &it.2).expect("room");
        assert_eq!(told(&it), [("a".repeat(LONGEST), 7)]);
    }

    #[test]
    fn a_change_again_changes_no_order() {
        let it = overrides();
        for (pattern, seconds) in [("k*", 1), ("*1", 2), ("k*", 3), ("a*", 4), ("*1", 5)] {
            it.0.keep(pattern.as_bytes(), &with(seconds), &it.2).expect("room");
        }
        assert_eq!(told(&it), [("k*".to_owned(), 3), ("*1".to_owned(), 5), ("a*".to_owned(), 4)]);
    }

    /// Cut off after each step: what was, or what was written; and the next goes on.
    #[test]
    fn others_go_on_for_the_killed() {
        for steps in 0..5 {
            let it = overrides();
            it.0.keep(b"a*", &with(1), &it.2).expect("room");
            let (version, slot) = (it.0.version(), 1);
            if steps > 0 {
                it.0.0[0].store(version + 1, Ordering::Relaxed);
            }
            if steps > 1 {
                it.0.write(slot, b"a*", &with(2));
            }
            if steps > 2 {
                it.0.word(slot, NUMBER).store(version + 1, Ordering::Relaxed);
            }
            if steps > 3 {
                it.0.word(0, NUMBER).store(0, Ordering::Relaxed);
            }
            assert_eq!(it.0.version() > version, steps > 0, "who made a change that is seen tells of it");
            assert_eq!(told(&it), [("a*".to_owned(), if steps > 2 { 2 } else { 1 })], "{steps}");
            for pattern in 1..MOST {
                it.0.keep(format!("{pattern}").as_bytes(), &with(5), &it.2).expect("room for all");
            }
            it.0.keep(b"a*", &with(3), &it.2).expect("room");
            assert_eq!(told(&it).iter().filter(|(pattern, _)| pattern == "a*").count(), 1);
            assert!(told(&it).contains(&("a*".to_owned(), 3)) && told(&it).len() == MOST, "{steps}");
        }
    }

    #[test]
    fn foreign_bytes_are_no_settings() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..500 {
            let it = overrides();
            it.0.keep(b"a*", &with(1), &it.2).expect("room");
            for word in it.0.0.iter() {
                if random.u32(..4) > 0 {
                    word.store([0, 1, 5, 64, u64::MAX, random.u64(..)][random.usize(..6)], Ordering::Relaxed);
                }
            }
            let all = it.0.over(&it.1, &it.2);
            all.check().expect("whatever it says can be");
            let _ = it.0.keep(b"b*", &with(2), &it.2);
            it.0.clear();
            it.0.keep(b"b*", &with(2), &it.2).expect("room");
            assert_eq!(told(&it), [("b*".to_owned(), 2)]);
        }
    }
}
