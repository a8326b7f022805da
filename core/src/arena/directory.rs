//! Names and what stands behind them.

use super::error::{ArenaError, ArenaErrorKind};
use super::layout::{NAME_BYTES, OBJECTS, OBJECTS_AT, Record};
use super::object::{ObjectSpec, OpenContext, Settings};
use super::{Arena, text};
use crate::ConfigError;
use crate::error::shortened;
use crate::memory::ObjectAllocator;
use crate::setting::setting;
use crate::sync::{AtomicU64, Ordering};
use std::fmt;
use std::sync::Arc;

/// What an object in an arena is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
#[non_exhaustive]
pub enum ObjectKind {
    /// A [`TokenBucket`](crate::TokenBucket).
    TokenBucket = 1,
    /// A [`RateLimiter`](crate::RateLimiter).
    RateLimiter = 2,
    /// A [`CircuitBreaker`](crate::CircuitBreaker).
    CircuitBreaker = 3,
    /// A [`ConcurrencyLimiter`](crate::ConcurrencyLimiter).
    ConcurrencyLimiter = 4,
    /// A [`RetryBudget`](crate::RetryBudget).
    RetryBudget = 5,
    /// A [`ClientThrottle`](crate::ClientThrottle).
    ClientThrottle = 6,
    /// A [`BreakerRegistry`](crate::breaker::registry::BreakerRegistry).
    BreakerRegistry = 7,
    /// A [`LoadShedder`](crate::LoadShedder).
    LoadShedder = 8,
    /// A [`ClusterLimit`](crate::ClusterLimit).
    ClusterLimit = 9,
}

impl ObjectKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::TokenBucket,
        Self::RateLimiter,
        Self::CircuitBreaker,
        Self::ConcurrencyLimiter,
        Self::RetryBudget,
        Self::ClientThrottle,
        Self::BreakerRegistry,
        Self::LoadShedder,
        Self::ClusterLimit,
    ];

    pub(super) fn of(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u64 == number)
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TokenBucket => "token bucket",
            Self::RateLimiter => "rate limiter",
            Self::CircuitBreaker => "circuit breaker",
            Self::ConcurrencyLimiter => "concurrency limiter",
            Self::RetryBudget => "retry budget",
            Self::ClientThrottle => "client throttle",
            Self::BreakerRegistry => "breaker registry",
            Self::LoadShedder => "load shedder",
            Self::ClusterLimit => "cluster limit",
        })
    }
}

/// What to do when an object exists and was last declared with other settings (rate, burst, thresholds) than mine.
/// Settings changed at run time are not compared: `set_quota` and `set_config` survive the restart of a worker that
/// declares what it did before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// An error that names both.
    #[default]
    Error,
    /// Take the object as it is.
    Keep,
    /// Change it to mine, for everybody.
    Apply,
}

impl std::str::FromStr for OnConflict {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "error" => Ok(Self::Error),
            "keep" => Ok(Self::Keep),
            "apply" => Ok(Self::Apply),
            _ => {
                let message = format!(
                    "{text:?} is not \"error\", \"keep\" (take the object as it is) or \"apply\" (change it for \
                     everybody)"
                );
                Err(ConfigError::syntax("on_conflict", message))
            }
        }
    }
}

/// A name in an arena, as `tidegate ls` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ObjectKind,
    /// What decides its size and meaning.
    pub shape: String,
    /// Settings as last declared, in words.
    pub declared: String,
    /// Bytes it takes.
    pub bytes: usize,
}

const FREE: u64 = 0;
const IN_USE: u64 = 1;
const REMOVED: u64 = 2;

impl Arena {
    fn records(&self) -> &[Record] {
        self.mapping().slice(super::layout::DIRECTORY_AT, OBJECTS).unwrap_or_default()
    }

    /// Opens the object `spec.name`, or makes it: `build` lays out its parts in the context's room, and writes first
    /// values where that is fresh. Under the arena's lock.
    pub(super) fn open_or_make<T>(
        self: &Arc<Self>,
        spec: &ObjectSpec<'_>,
        build: impl FnOnce(&mut OpenContext) -> Result<T, ConfigError>,
    ) -> Result<T, ArenaError> {
        check_name("name", spec.name, "an object's name")?;
        let _held = self.lock()?;
        self.check_linked()?;
        match self.find(spec.name) {
            Some(record) => self.open_object(record, spec, build),
            None => self.make_object(spec, build),
        }
    }

    /// The record in use under this name.
    fn find(&self, name: &str) -> Option<&Record> {
        self.records().iter().find(|record| load(&record.state) == IN_USE && text::read(&record.name) == name)
    }

    fn open_object<T>(
        self: &Arc<Self>,
        record: &Record,
        spec: &ObjectSpec<'_>,
        build: impl FnOnce(&mut OpenContext) -> Result<T, ConfigError>,
    ) -> Result<T, ArenaError> {
        let shape_hash = text::fingerprint(spec.shape.as_bytes());
        if load(&record.kind) != spec.kind as u64 || load(&record.shape_hash) != shape_hash {
            let kind = ObjectKind::of(load(&record.kind)).map_or("unknown object".to_owned(), |kind| kind.to_string());
            return Err(ArenaError::new(
                ArenaErrorKind::Shape,
                format!(
                    "{:?} in the arena {:?} is a {kind} ({}), here it is declared as a {} ({}); declare the same, use \
                     another name, or remove it with `tidegate rm {} {}`",
                    spec.name,
                    self.name(),
                    text::read(&record.shape),
                    spec.kind,
                    spec.shape,
                    self.name(),
                    spec.name
                ),
            ));
        }
        let declared = read_settings(record);
        let differs = declared.words != spec.settings.words;
        if differs && spec.on_conflict == OnConflict::Error {
            return Err(ArenaError::new(
                ArenaErrorKind::Settings,
                format!(
                    "{:?} in the arena {:?} was declared as {}, here as {}; declare the same, or say {} (take it as it \
                     is) or {} (change it for everybody)",
                    spec.name,
                    self.name(),
                    declared.text,
                    spec.settings.text,
                    setting("on_conflict", "keep"),
                    setting("on_conflict", "apply")
                ),
            ));
        }
        let apply = differs && spec.on_conflict == OnConflict::Apply;
        let (at, end) = self.extent(record).ok_or_else(|| self.foreign("a record points outside the file"))?;
        self.reserve(at, end)?;
        let settings = if apply { spec.settings.clone() } else { declared };
        let mut context = OpenContext { settings, apply, ..self.context(record, spec.name, at, end) };
        let object = build(&mut context).map_err(|error| match error.field() {
            // Its room is the record's: it is as large as the object, or the record is wrong.
            "capacity" => self.foreign("a record has not the size of its object"),
            _ => error.into(),
        })?;
        if context.room.next() != end {
            return Err(self.foreign("a record has not the size of its object"));
        }
        if apply {
            declare(record, &spec.settings);
        }
        Ok(object)
    }

    fn make_object<T>(
        self: &Arc<Self>,
        spec: &ObjectSpec<'_>,
        build: impl FnOnce(&mut OpenContext) -> Result<T, ConfigError>,
    ) -> Result<T, ArenaError> {
        let Some(record) = self.records().iter().find(|record| load(&record.state) == FREE) else {
            let message = format!(
                "the arena {:?} has given out its {OBJECTS} names (those that were removed count); use another arena",
                self.name()
            );
            return Err(ArenaError::new(ArenaErrorKind::Full, message));
        };
        // What a maker that died left behind is behind no record, so it is given out again.
        let taken = self.records().iter().filter(|record| load(&record.state) != FREE);
        let at = taken.filter_map(|record| self.extent(record)).map(|(_, end)| end).max().unwrap_or(OBJECTS_AT);
        let born_ns = self.clock().now();
        let room = ObjectAllocator::within(self.clone(), at.next_multiple_of(128), self.mapping().size(), true);
        let (arena, name, settings) = (self.clone(), spec.name.to_owned(), spec.settings.clone());
        let shape = spec.shape.clone();
        let mut context = OpenContext { arena, name, room, shape, settings, basis: spec.basis, born_ns, apply: false };
        let built = build(&mut context);
        let object = built.map_err(|error| refusal(&mut context.room).unwrap_or_else(|| error.into()))?;
        let shape_hash = text::fingerprint(spec.shape.as_bytes());
        for (word, value) in [
            (&record.kind, spec.kind as u64),
            (&record.shape_hash, shape_hash),
            (&record.at, at.next_multiple_of(128) as u64),
            (&record.end, context.room.next() as u64),
            (&record.born_ns, born_ns),
        ] {
            // Relaxed: published by `state`.
            word.store(value, Ordering::Relaxed);
        }
        for (word, value) in record.basis.iter().zip(spec.basis) {
            // Relaxed: published by `state`.
            word.store(value, Ordering::Relaxed);
        }
        text::write(&record.name, spec.name);
        text::write(&record.shape, &spec.shape);
        declare(record, &spec.settings);
        // Release: who finds the record in use sees all of it, and the object's first values.
        record.state.store(IN_USE, Ordering::Release);
        Ok(object)
    }

    /// Where an object stands, if that is within the arena.
    fn extent(&self, record: &Record) -> Option<(usize, usize)> {
        let (at, end) = (usize::try_from(load(&record.at)).ok()?, usize::try_from(load(&record.end)).ok()?);
        (OBJECTS_AT <= at && at <= end && end <= self.mapping().size()).then_some((at, end))
    }

    /// The names in use, in the order in which they were made.
    pub fn objects(&self) -> Vec<ObjectInfo> {
        let info = |record: &Record| {
            (load(&record.state) == IN_USE).then_some(())?;
            let (at, end) = self.extent(record)?;
            Some(ObjectInfo {
                name: text::read(&record.name),
                kind: ObjectKind::of(load(&record.kind))?,
                shape: text::read(&record.shape),
                declared: read_settings(record).text,
                bytes: end - at,
            })
        };
        self.records().iter().filter_map(info).collect()
    }

    /// Takes a name away: who has the object open goes on with it, who opens the name afresh makes a new one. Its bytes
    /// are not given out again. Returns whether there was one.
    ///
    /// Errors: only those of the arena's lock.
    pub fn remove(self: &Arc<Self>, name: &str) -> Result<bool, ArenaError> {
        let _held = self.lock()?;
        let Some(record) = self.find(name) else { return Ok(false) };
        // Release: as its making.
        record.state.store(REMOVED, Ordering::Release);
        Ok(true)
    }

    /// What it is, and with what to open it, for who looks inside. Not under the lock.
    pub(crate) fn context_to_look(self: &Arc<Self>, name: &str) -> Option<(ObjectKind, OpenContext)> {
        let record = self.find(name)?;
        let (at, end) = self.extent(record)?;
        self.reserve(at, end).ok()?;
        Some((ObjectKind::of(load(&record.kind))?, self.context(record, name, at, end)))
    }

    /// With what an object that stands there is opened.
    fn context(self: &Arc<Self>, record: &Record, name: &str, at: usize, end: usize) -> OpenContext {
        OpenContext {
            arena: self.clone(),
            name: name.to_owned(),
            room: ObjectAllocator::within(self.clone(), at, end, false),
            shape: text::read(&record.shape),
            settings: read_settings(record),
            basis: std::array::from_fn(|i| load(&record.basis[i])),
            born_ns: load(&record.born_ns).min(self.clock().now()),
            apply: false,
        }
    }
}

/// Why the filesystem gave no space, if that is why a part could not be had.
fn refusal(room: &mut ObjectAllocator) -> Option<ArenaError> {
    Some(*room.take_refusal()?.downcast().ok()?)
}

fn load(word: &AtomicU64) -> u64 {
    // Acquire: a record in use is seen whole.
    word.load(Ordering::Acquire)
}

fn read_settings(record: &Record) -> Settings {
    let set = &record.settings[usize::from(load(&record.declared) % 2 == 1)];
    Settings { words: std::array::from_fn(|i| load(&set.words[i])), text: text::read(&set.text) }
}

/// Writes the other set, then names it: who dies in between has changed nothing.
fn declare(record: &Record, settings: &Settings) {
    let next = 1 - load(&record.declared) % 2;
    let set = &record.settings[next as usize];
    for (word, value) in set.words.iter().zip(settings.words) {
        // Relaxed: published by `declared`.
        word.store(value, Ordering::Relaxed);
    }
    text::write(&set.text, &settings.text);
    // Release: who reads it sees the set that it names.
    record.declared.store(next, Ordering::Release);
}

/// Whether a name can be an object's.
#[cfg(feature = "policy")]
pub(crate) fn check_object_name(name: &str) -> Result<(), ArenaError> {
    check_name("name", name, "an object's name")
}

/// Names of arenas and objects: they become part of a file's name, and of commands that people type.
/// `argument`: what the caller knows it as.
pub(super) fn check_name(argument: &str, name: &str, what: &str) -> Result<(), ArenaError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '/');
    let fine = !name.is_empty() && name.len() < NAME_BYTES && !name.starts_with(['.', '-']) && name.chars().all(plain);
    if fine {
        return Ok(());
    }
    let message = format!(
        "{argument}: {:?} is not {what}: 1 to {} of A-Z a-z 0-9 . _ - : / that do not begin with a dot or a dash",
        shortened(name),
        NAME_BYTES - 1
    );
    Err(ArenaError::new(ArenaErrorKind::Argument, message))
}
