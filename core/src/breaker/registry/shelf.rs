//! The places of a registry, and how they change hands: see the folder's page for the steps and why they may be cut off
//! anywhere.

use super::OVERFLOW;
use super::config::RegistryConfig;
use super::handles::HandleCell;
use super::index::{Entry, Index};
use super::key::{self, Hasher, Key, KeyLine};
use super::overrides::Overrides;
use super::place::Place;
use super::{RegistryStats, config};
use crate::breaker::control::Control;
use crate::breaker::counts::LANES;
use crate::breaker::layout::Layout;
use crate::breaker::memory::{Head, Words};
use crate::breaker::owners::Owners;
use crate::breaker::probes::Probes;
use crate::breaker::state::State;
use crate::breaker::{BreakerConfig, CircuitBreaker, Outcomes, Parts};
use crate::counters::{Striped, StripedRows};
use crate::memory::{ChangeLock, ObjectAllocator, One, SharedSlice, Watch};
use crate::sync::{AtomicU64, Ordering, fence};
use crate::{Clock, ConfigError};
use std::fmt;
use std::sync::Arc;

/// Places that a registry can have, the shared breaker's included.
pub(super) const MAX_PLACES: usize = config::MAX_BREAKERS as usize + 1;
/// For how long nobody looks for room again after a search in vain.
const SEARCH_EVERY_MS: u64 = 10;
/// How far ahead of the clock a last call may lie before it counts as a bad reading's, and thus as long ago.
const SLACK_MS: u64 = 60_000;
const MS: u64 = 1_000_000;
/// Lost races against trips after which there is no room: foreign bytes must not keep a caller for ever.
const PATIENCE: usize = 16;

/// The words of one breaker's window and probes begin on a line of their own.
const LINE_WORDS: usize = 16;

/// Words of the registry as a whole.
#[derive(Debug)]
pub(super) struct Common(pub(super) SharedSlice<AtomicU64>);

impl Common {
    /// No place below is free: where the search begins.
    fn free_from(&self) -> &AtomicU64 {
        &self.0[0]
    }

    /// Milliseconds: until then nobody looks for room. 0: somebody may.
    fn full_until(&self) -> &AtomicU64 {
        &self.0[1]
    }

    fn evicted(&self) -> &AtomicU64 {
        &self.0[2]
    }
}

pub(super) struct Shelf {
    /// Changed under the lock.
    config: HandleCell<RegistryConfig>,
    /// As this handle was opened.
    declared: Arc<RegistryConfig>,
    /// In an arena: what was changed at run time, and as of which version the settings above have it.
    overrides: Option<Overrides>,
    merged: AtomicU64,
    clock: Clock,
    made_ns: u64,
    hasher: Hasher,
    pub(super) common: Common,
    pub(super) index: Index,
    /// Of each place the last call, in milliseconds and plus 1; 0: it is free.
    pub(super) calls: SharedSlice<AtomicU64>,
    pub(super) keys: SharedSlice<KeyLine>,
    pub(super) rows: Rows,
    lock: Arc<ChangeLock>,
    overflowed: Striped<1>,
    overflow: Arc<CircuitBreaker>,
}

/// What all breakers share, one after the other.
pub(super) struct Rows {
    pub(super) heads: Arc<SharedSlice<Head>>,
    windows: Arc<SharedSlice<AtomicU64>>,
    window_words: usize,
    layout: Layout,
    probes: Arc<SharedSlice<AtomicU64>>,
    probe_words: usize,
    watches: Arc<SharedSlice<Watch>>,
    probes_each: usize,
    calls: StripedRows<LANES>,
    owners: Owners,
}

impl Rows {
    fn in_room(room: &mut ObjectAllocator, layout: Layout, count: usize) -> Result<Self, ConfigError> {
        let lines = |words: usize| words.next_multiple_of(LINE_WORDS);
        let window_words = lines(Outcomes::words(&layout));
        let (probes_each, probe_words) = (layout.probes as usize, lines(Probes::words(layout.probes)));
        Ok(Self {
            heads: Arc::new(room.cells(count)?),
            windows: Arc::new(room.cells(count * window_words)?),
            window_words,
            layout,
            probes: Arc::new(room.cells(count * probe_words)?),
            probe_words,
            watches: Arc::new(room.cells(count * probes_each)?),
            probes_each,
            calls: StripedRows::in_room(room, count)?,
            owners: Owners::of(room),
        })
    }

    fn parts(&self, place: usize, changes: &Arc<ChangeLock>) -> Parts {
        let probes = Words::of(&self.probes, place * self.probe_words, self.probe_words);
        Parts {
            head: One::of(&self.heads, place),
            window: Words::of(&self.windows, place * self.window_words, self.window_words),
            probes: Probes::over(probes, self.watches.part(place * self.probes_each, self.probes_each)),
            owners: self.owners.clone(),
            calls: Striped::of(&self.calls, place),
            changes: changes.clone(),
        }
    }
}

impl Shelf {
    /// Of settings that have been checked.
    pub(super) fn in_room(
        room: &mut ObjectAllocator,
        config: RegistryConfig,
        layout: Layout,
        made_ns: u64,
        clock: Clock,
    ) -> Result<Self, ConfigError> {
        let count = config.max_breakers as usize;
        let hasher = Hasher::of(room);
        let common = Common(room.cells(LINE_WORDS)?);
        let (index, calls, keys, rows) = room.sized_by(&config::MAX, |room| {
            let (index, calls, keys) = (Index::in_room(room, count)?, room.cells(count)?, room.cells(count)?);
            Ok::<_, ConfigError>((index, calls, keys, Rows::in_room(room, layout, count + 1)?))
        })?;
        let overflowed = Striped::in_room(room)?;
        let lock = Arc::new(ChangeLock::of(room));
        let parts = rows.parts(count, &lock);
        if room.is_fresh() {
            // Relaxed: nobody else has it yet.
            parts.head.control.word.store(Control::FIRST.0, Ordering::Relaxed);
        }
        let overflow = CircuitBreaker::of_parts(parts, OVERFLOW.into(), layout, made_ns, clock.clone(), None);
        if room.is_fresh() {
            overflow.put_first(&config.defaults);
        }
        let overflow = Arc::new(overflow);
        let overrides = if lock.is_shared() { Some(Overrides::in_room(room)?) } else { None };
        let merged = AtomicU64::new(0);
        let declared = Arc::new(config);
        let config = HandleCell::new(Some(declared.clone()));
        Ok(Self {
            config,
            declared,
            overrides,
            merged,
            clock,
            made_ns,
            hasher,
            common,
            index,
            calls,
            keys,
            rows,
            lock,
            overflowed,
            overflow,
        })
    }

    pub(super) fn config(&self) -> Arc<RegistryConfig> {
        self.config.find(|_| true).expect("there is one from the beginning")
    }

    /// The settings with what others have changed meanwhile. Under the lock.
    fn latest(&self) -> Arc<RegistryConfig> {
        if let Some(overrides) = &self.overrides {
            let version = overrides.version();
            // Relaxed, both: only who holds the lock looks.
            if self.merged.load(Ordering::Relaxed) != version {
                // Over what was declared: what has been forgotten since is in the settings above.
                self.config.put(Arc::new(overrides.over(&self.declared, &self.rows.layout)));
                self.merged.store(version, Ordering::Relaxed);
            }
        }
        self.config()
    }

    /// Forgets what was changed at run time, for who declares other settings. Under the lock.
    #[cfg(not(loom))]
    pub(super) fn forget_changes(&self) {
        if let Some(overrides) = &self.overrides {
            overrides.clear();
            self.merged.store(overrides.version(), Ordering::Relaxed);
        }
    }

    pub(super) fn config_of(&self, pattern: &[u8]) -> Result<BreakerConfig, ConfigError> {
        let _turn = self.lock.lock()?;
        Ok(self.latest().of_pattern(pattern).clone())
    }

    /// Changes the settings of a pattern's keys, those that have a breaker and those that get one. What was changed of
    /// a breaker alone stays, unless the update is of that.
    pub(super) fn change(
        self: &Arc<Self>,
        pattern: &[u8],
        now: u64,
        update: impl Fn(&mut BreakerConfig),
    ) -> Result<(), ConfigError> {
        let _turn = self.lock.lock()?;
        let new = Arc::new(self.latest().changed(pattern, &self.rows.layout, &update)?);
        // Before anything is changed, so that all is or nothing. Nobody else changes one: they have the lock in common.
        let mut changes = Vec::new();
        for breaker in (0..self.places()).filter_map(|place| self.at(place)) {
            let key = breaker.place.as_ref().map_or(&[][..], |place| place.key().text());
            if new.over(key).is_some_and(|(holds, _)| holds == pattern) {
                let config = self.changed_alone(&breaker, &update)?;
                changes.push((breaker, config));
            }
        }
        if pattern == b"*" {
            let config = self.changed_alone(&self.overflow, &update)?;
            changes.push((self.overflow.clone(), config));
        }
        if let (Some(overrides), Some((_, config))) =
            (&self.overrides, new.overrides.iter().find(|(other, _)| other == pattern))
        {
            overrides.keep(pattern, config, &self.rows.layout)?;
            self.merged.store(overrides.version(), Ordering::Relaxed);
        }
        // Before the breakers: who makes one takes the lock, so none is made in between.
        self.config.put(new);
        changes.iter().try_for_each(|(breaker, config)| breaker.change(now, config))
    }

    /// What the update makes of one breaker's settings.
    fn changed_alone(
        &self,
        breaker: &CircuitBreaker,
        update: impl Fn(&mut BreakerConfig),
    ) -> Result<BreakerConfig, ConfigError> {
        let mut config = breaker.config();
        update(&mut config);
        config.validate().and_then(|()| self.rows.layout.check(&config)).map_err(|error| {
            let message = format!("{} (of {:?}, with what was changed of it alone)", error.message(), breaker.name());
            ConfigError::new(error.kind(), error.field(), message)
        })?;
        Ok(config)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn overflow(&self) -> &Arc<CircuitBreaker> {
        &self.overflow
    }

    pub(super) fn places(&self) -> usize {
        self.calls.len()
    }

    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash(key)
    }

    pub(super) fn key(&self, key: &[u8]) -> Key {
        self.hasher.key(key)
    }

    /// The first that `is_it` says something of, among those that may be the key's.
    #[inline]
    pub(super) fn search<T>(&self, hash: u64, is_it: impl FnMut(Entry) -> Option<T>) -> Option<T> {
        // Acquire: who finds it changed sees the index without the entry, and does not come there again. A place from
        // shared memory is checked by the index.
        self.index.find(hash, |place| self.incarnation(place).load(Ordering::Acquire), is_it)
    }

    pub(super) fn stats(&self) -> RegistryStats {
        // Relaxed, both: statistics.
        let used = self.calls.iter().filter(|last| last.load(Ordering::Relaxed) != 0).count();
        RegistryStats {
            breakers: used as u64,
            max_breakers: self.places() as u64,
            evicted: self.common.evicted().load(Ordering::Relaxed),
            overflowed: self.overflowed.sum(0),
        }
    }

    fn ms(&self, now: u64) -> u64 {
        now.saturating_sub(self.made_ns) / MS
    }

    /// Stores only what is another millisecond.
    #[inline]
    pub(super) fn note_call(&self, place: usize, now: u64) {
        let last = &self.calls[place];
        // Relaxed, both: who makes room takes the oldest by what it sees.
        let (new, old) = (self.ms(now) + 1, last.load(Ordering::Relaxed));
        // A free place stays free: its holder comes late. A lost race: another thread's moment stands.
        if old != 0 && (old < new || old > new + SLACK_MS) {
            let _ = last.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    pub(super) fn control(&self, place: usize) -> Control {
        // Acquire: as in a breaker.
        Control(self.rows.heads[place].control.word.load(Ordering::Acquire))
    }

    pub(super) fn incarnation(&self, place: usize) -> &AtomicU64 {
        &self.rows.heads[place].control.incarnation
    }

    /// The key's place and its incarnation, unless it is about to change hands.
    fn stands(&self, key: &Key) -> Option<(usize, u64)> {
        self.search(key.hash, |entry| {
            let place = entry.place();
            let line = self.keys.get(place)?;
            // Acquire: pairs with the release after the key was written.
            let incarnation = self.incarnation(place).load(Ordering::Acquire);
            let is_it = incarnation % 2 == 1 && entry.is_of(incarnation) && key::holds(line, key);
            (is_it && self.is_still(place, incarnation)).then_some((place, incarnation))
        })
    }

    /// Whether what was read of the place was of this incarnation, and it is in use.
    fn is_still(&self, place: usize, incarnation: u64) -> bool {
        // Acquire: the load below is not before those of what was read.
        fence(Ordering::Acquire);
        // Relaxed: ordered by the fence.
        self.incarnation(place).load(Ordering::Relaxed) == incarnation && !self.control(place).is_retired()
    }

    fn handle(self: &Arc<Self>, place: usize, incarnation: u64, key: Key) -> Arc<CircuitBreaker> {
        let (name, clock) = (key.name(), self.clock.clone());
        let (parts, layout) = (self.rows.parts(place, &self.lock), self.rows.layout);
        let place = Place::new(self.clone(), place, incarnation, key);
        Arc::new(CircuitBreaker::of_parts(parts, name, layout, self.made_ns, clock, Some(place)))
    }

    /// The breaker that stands at a place.
    pub(super) fn at(self: &Arc<Self>, place: usize) -> Option<Arc<CircuitBreaker>> {
        // Acquire: as in `stands`.
        let incarnation = self.incarnation(place).load(Ordering::Acquire);
        let key = key::read(self.keys.get(place)?);
        (incarnation % 2 == 1 && self.is_still(place, incarnation)).then(|| self.handle(place, incarnation, key))
    }

    pub(super) fn find(self: &Arc<Self>, key: &Key) -> Option<Arc<CircuitBreaker>> {
        let (place, incarnation) = self.stands(key)?;
        Some(self.handle(place, incarnation, key.clone()))
    }

    /// The key's breaker, made where it has none; the shared one where there is no room.
    pub(super) fn get(self: &Arc<Self>, key: &Key, now: u64) -> Arc<CircuitBreaker> {
        let stands = self.stands(key).or_else(|| if self.is_full(now) { None } else { self.make(key, now) });
        match stands {
            Some((place, incarnation)) => self.handle(place, incarnation, key.clone()),
            None => {
                self.overflowed.add(0, 1);
                self.overflow.clone()
            }
        }
    }

    /// Whether somebody has just looked for room in vain.
    fn is_full(&self, now: u64) -> bool {
        // Relaxed: only saves a search.
        let (until, now) = (self.common.full_until().load(Ordering::Relaxed), self.ms(now));
        // One that lies further ahead was stored by a later reading.
        now < until && until <= now + SEARCH_EVERY_MS
    }

    #[cold]
    fn make(&self, key: &Key, now: u64) -> Option<(usize, u64)> {
        let _turn = self.lock.lock().ok()?;
        self.stands(key).or_else(|| {
            // One whose change of hands was cut off is nobody's.
            self.clear_half(key);
            let free = self.free();
            let Some(place) = free.or_else(|| self.make_room(now)) else {
                // Relaxed: as in `is_full`.
                self.common.full_until().store(self.ms(now) + SEARCH_EVERY_MS, Ordering::Relaxed);
                return None;
            };
            let settled = self.settle(place, key, now);
            if free.is_none() {
                // Relaxed: only who holds the lock writes. There was none, and what was made is taken: the next need
                // not look at all of them again.
                self.common.free_from().store(self.places() as u64, Ordering::Relaxed);
            }
            Some(settled)
        })
    }

    /// Frees what the index names for the key although its word is retired. Under the lock.
    fn clear_half(&self, key: &Key) {
        let retired = |place: usize| place < self.places() && self.control(place).is_retired();
        for _ in 0..PATIENCE {
            let half = self.search(key.hash, |entry| {
                let place = entry.place();
                (retired(place) && key::holds(&self.keys[place], key)).then_some(place)
            });
            match half {
                Some(place) => self.vacate(place),
                None => return,
            }
        }
    }

    /// A place that nobody has. Under the lock.
    fn free(&self) -> Option<usize> {
        // Relaxed, all: only who holds the lock writes.
        let from = self.common.free_from().load(Ordering::Relaxed).min(self.places() as u64) as usize;
        let free = (from..self.places()).find(|&place| self.calls[place].load(Ordering::Relaxed) == 0);
        self.common.free_from().store(free.unwrap_or(self.places()) as u64, Ordering::Relaxed);
        free
    }

    /// The place of the closed breaker whose last call is the oldest, retired. Under the lock.
    fn make_room(&self, now: u64) -> Option<usize> {
        for _ in 0..PATIENCE {
            let (place, seen) = self.oldest(self.ms(now) + 1)?;
            if seen.is_retired() {
                self.vacate(place);
                return Some(place);
            }
            if self.retire(place, seen) {
                self.vacate(place);
                // Relaxed: only who holds the lock writes.
                let evicted = self.common.evicted();
                evicted.store(evicted.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
                return Some(place);
            }
        }
        None
    }

    /// Of equals the first; one whose change of hands was cut off before any other.
    pub(super) fn oldest(&self, now: u64) -> Option<(usize, Control)> {
        let mut oldest: Option<(u64, usize, Control)> = None;
        for (place, last) in self.calls.iter().enumerate() {
            // Relaxed: as in `note_call`.
            let last = last.load(Ordering::Relaxed);
            // One impossibly far ahead is a bad reading's, and older than all.
            let last = if last > now.saturating_add(SLACK_MS) { 0 } else { last };
            if oldest.is_none_or(|(before, ..)| last < before) {
                let seen = self.control(place);
                if seen.is_retired() {
                    return Some((place, seen));
                }
                if seen.state() == State::Closed {
                    oldest = Some((last, place, seen));
                }
            }
        }
        oldest.map(|(_, place, seen)| (place, seen))
    }

    /// Whether the place is nobody's now: not if its word has changed since it was `seen`. Under the lock.
    pub(super) fn retire(&self, place: usize, seen: Control) -> bool {
        let word = &self.rows.heads[place].control.word;
        // AcqRel: as any transition of a breaker.
        word.compare_exchange(seen.0, seen.retired().0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Takes a retired place from its key. Any part of it may have been done before. Under the lock.
    pub(super) fn vacate(&self, place: usize) {
        // Relaxed, all loads: only who holds the lock writes.
        self.index.remove(self.keys[place][0].load(Ordering::Relaxed), place);
        let incarnation = self.incarnation(place);
        let before = incarnation.load(Ordering::Relaxed);
        // Release: who finds it changed sees the index without it.
        incarnation.store(before.wrapping_add(before % 2), Ordering::Release);
        let from = self.common.free_from();
        // Before the place is free, so that a search never begins after it.
        from.store(from.load(Ordering::Relaxed).min(place as u64), Ordering::Relaxed);
        // Release: the hint is seen with it.
        self.calls[place].store(0, Ordering::Release);
        // Relaxed: somebody may look for room again.
        self.common.full_until().store(0, Ordering::Relaxed);
    }

    /// Gives a place that nobody has to the key. Under the lock.
    fn settle(&self, place: usize, key: &Key, now: u64) -> (usize, u64) {
        let head = &self.rows.heads[place];
        // Relaxed, all loads: only who holds the lock writes.
        let seen = self.control(place);
        let retired = if seen.is_retired() { seen } else { seen.retired() };
        head.control.word.store(retired.0, Ordering::Relaxed);
        let incarnation = self.incarnation(place);
        let before = incarnation.load(Ordering::Relaxed);
        let vacant = before.wrapping_add(before % 2);
        // Release: as in `vacate`.
        incarnation.store(vacant, Ordering::Release);
        // Release: who reads a word of what follows sees that the incarnation before has ended.
        fence(Ordering::Release);
        key::write(&self.keys[place], key);
        // Relaxed: published by the incarnation.
        head.control.trip.store(0, Ordering::Relaxed);
        head.transitions.iter().for_each(|count| count.store(0, Ordering::Relaxed));
        head.first_event.store(head.events.next(), Ordering::Relaxed);
        head.control.watch.clear();
        head.control.window_watch.clear();
        let parts = self.rows.parts(place, &self.lock);
        parts.calls.clear();
        let newcomer =
            CircuitBreaker::of_parts(parts, String::new(), self.rows.layout, self.made_ns, self.clock.clone(), None);
        newcomer.put_first(self.latest().of(key.text()));
        self.calls[place].store(self.ms(now) + 1, Ordering::Relaxed);
        let next = vacant.wrapping_add(1);
        // Release: who finds it so sees the key.
        incarnation.store(next, Ordering::Release);
        self.index.insert(key.hash, place, next);
        // Release: who reads the word sees what it begins with, and the incarnation.
        head.control.word.store(retired.next(State::Closed, 0, 0).0, Ordering::Release);
        (place, next)
    }

    pub(super) fn remove(&self, key: &Key) -> Result<bool, ConfigError> {
        let _turn = self.lock.lock()?;
        let Some((place, _)) = self.stands(key) else {
            self.clear_half(key);
            return Ok(false);
        };
        let word = &self.rows.heads[place].control.word;
        // AcqRel: as any transition of a breaker; whatever it was or became meanwhile, it ends here. A generation that
        // began meanwhile is this one's: no word of it but this one follows.
        word.swap(self.control(place).retired().0, Ordering::AcqRel);
        self.vacate(place);
        Ok(true)
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("places", &self.places()).finish_non_exhaustive()
    }
}
