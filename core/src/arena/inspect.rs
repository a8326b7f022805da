//! For tools that look after arenas, as the `tidegate` command does: objects known only by their records.

use super::layout::{DIRECTORY_AT, HEADER_AT, Header, OBJECTS, Record, VERSION};
use super::{Arena, ArenaError, ArenaFile, HostOptions, ObjectKind, file};
use crate::sync::Ordering;
use crate::{CircuitBreaker, ConcurrencyLimiter, ConfigError, RateLimiter, TokenBucket};
use std::path::PathBuf;
use std::sync::Arc;

/// An object opened by its record.
#[allow(clippy::large_enum_variant, reason = "one at a time, and not for long")]
#[derive(Debug)]
pub enum Object {
    /// See [`TokenBucket`].
    Bucket(TokenBucket),
    /// See [`RateLimiter`].
    Limiter(RateLimiter),
    /// See [`CircuitBreaker`].
    Breaker(CircuitBreaker),
    /// See [`ConcurrencyLimiter`].
    Concurrency(ConcurrencyLimiter),
}

/// Names that an arena has room for.
pub const MOST_OBJECTS: usize = OBJECTS;
/// The layout that this build reads and writes.
pub const LAYOUT: u64 = VERSION;

impl Arena {
    /// The arenas where the options say, whatever name they say; otherwise as [`list`](Self::list).
    pub fn list_where(options: &HostOptions) -> Result<Vec<ArenaFile>, ArenaError> {
        file::list(options)
    }

    /// Where the options say that arenas lie.
    pub fn directory(options: &HostOptions) -> PathBuf {
        file::directory(options)
    }

    /// Wall clock nanoseconds since 1970 at which it was made; for people, as whoever can write to the arena can change it.
    pub fn created_ns(&self) -> u64 {
        // Relaxed: written before anybody could open the file.
        self.mapping().value::<Header>(HEADER_AT).map_or(0, |header| header.created_ns.load(Ordering::Relaxed))
    }

    /// Whether its file is still the one of its name.
    pub fn is_linked(&self) -> bool {
        self.check_linked().is_ok()
    }

    /// Bytes that cannot be given to objects any more.
    pub fn used(&self) -> usize {
        let records = self.mapping().slice::<Record>(DIRECTORY_AT, OBJECTS).unwrap_or_default();
        // Relaxed: a look; an object that is being made is not yet counted.
        let ends = records.iter().map(|record| record.end.load(Ordering::Relaxed));
        let ends = ends.filter_map(|end| usize::try_from(end).ok()).filter(|&end| end <= self.capacity());
        ends.fold(super::layout::OBJECTS_AT, usize::max)
    }

    /// The object of this name, as its record and its own memory have it. Takes no lock and changes nothing.
    ///
    /// `None`: there is none, or of a kind that is not known here. Errors: the record is damaged.
    pub fn to_look(self: &Arc<Self>, name: &str) -> Option<Result<Object, ConfigError>> {
        let (kind, _, mut plan) = self.plan_to_look(name)?;
        Some(match kind {
            ObjectKind::TokenBucket => TokenBucket::of_record(self, &mut plan).map(Object::Bucket),
            ObjectKind::RateLimiter => RateLimiter::of_record(self, &mut plan).map(Object::Limiter),
            ObjectKind::CircuitBreaker => CircuitBreaker::of_record(self, name, &mut plan).map(Object::Breaker),
            ObjectKind::ConcurrencyLimiter => ConcurrencyLimiter::of_record(self, &mut plan).map(Object::Concurrency),
        })
    }
}
